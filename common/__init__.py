"""WattScore: what all its processes share. Reading order: README.md beside this file."""

__version__ = "0.1.0"
