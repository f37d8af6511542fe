# SPDX-License-Identifier: Apache-2.0

"""The hard splits: what robots meet and competitions ask for, with exact truth."""
