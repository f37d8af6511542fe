"""Rendered scenes of people who act, with true tubes and queries."""
