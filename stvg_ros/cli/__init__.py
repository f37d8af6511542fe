"""The `stvg-ros` command."""
