# SPDX-License-Identifier: Apache-2.0

"""What a grounding costs: arithmetic, time and memory, beside the schedule that it replaces."""
