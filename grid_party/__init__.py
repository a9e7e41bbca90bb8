"""The grid's process."""
