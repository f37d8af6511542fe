# SPDX-License-Identifier: Apache-2.0

"""The method, ROS-free: one module a stage (arXiv 2509.15178, section 4)."""
