# SPDX-License-Identifier: Apache-2.0

"""Checks of a model, a machine and a running node, with remedies."""
