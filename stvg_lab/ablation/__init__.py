# SPDX-License-Identifier: Apache-2.0

"""What each part of the method adds, measured on rendered scenes."""
