# SPDX-License-Identifier: Apache-2.0

"""Contribution of each part of the method, measured on rendered scenes."""
