# SPDX-License-Identifier: Apache-2.0

"""Zero-shot spatio-temporal video grounding for ROS 2: a sentence in, boxes and a time span out."""
