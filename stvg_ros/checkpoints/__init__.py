# SPDX-License-Identifier: Apache-2.0

"""Checkpoints from a folder or the hub: their files, weights, image preprocessing and device."""
