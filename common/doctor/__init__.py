"""Checks of a side before it runs, and through it of the others.

Changes nothing, and reads headers of tables at most.
"""
