# SPDX-License-Identifier: Apache-2.0

"""Trains the embedded checkpoint on rendered scenes; not part of the installed package."""
