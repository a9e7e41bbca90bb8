"""The bank's process."""
