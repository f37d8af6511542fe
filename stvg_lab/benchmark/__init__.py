# SPDX-License-Identifier: Apache-2.0

"""Cost of a grounding: FLOP, time and memory, compared with the schedule that it replaces."""
