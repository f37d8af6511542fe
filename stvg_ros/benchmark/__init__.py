"""What a grounding costs: arithmetic, time and memory, beside the schedule that it replaces."""
