# SPDX-License-Identifier: Apache-2.0

"""Measures who is who: recognition after absences, tracks, and following through losses."""
