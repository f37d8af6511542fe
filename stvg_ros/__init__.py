# SPDX-License-Identifier: Apache-2.0

"""Zero-shot spatio-temporal video grounding for ROS 2: finds boxes and time span of a sentence."""

__version__ = "0.2.0"
