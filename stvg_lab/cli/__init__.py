# SPDX-License-Identifier: Apache-2.0

"""The commands of `stvg-ros` that measure, annotate and render."""
