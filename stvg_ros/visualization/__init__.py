# SPDX-License-Identifier: Apache-2.0

"""Pictures of a grounding: annotated frames, heat maps, contact sheet, video."""
