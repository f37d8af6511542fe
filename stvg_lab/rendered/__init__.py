# SPDX-License-Identifier: Apache-2.0

"""Rendered scenes of people who act, with true tubes and queries."""
