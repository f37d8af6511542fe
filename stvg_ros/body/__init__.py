# SPDX-License-Identifier: Apache-2.0

"""What people look like and do, measured on their keypoints and pixels."""
