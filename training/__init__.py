"""Trains the embedded checkpoint on rendered scenes; not part of the installed package."""
