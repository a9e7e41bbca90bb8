"""Measurements: `python -m tests.bench --help`. Not collected by pytest."""
