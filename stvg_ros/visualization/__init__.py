"""Pictures of a grounding: annotated frames, heat maps, contact sheet, video."""
