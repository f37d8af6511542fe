# SPDX-License-Identifier: Apache-2.0

"""The `stvg-ros` command."""
