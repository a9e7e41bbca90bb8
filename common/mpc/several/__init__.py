"""Several banks at once: what the grid and all of them say to each other, and sums over the banks that nobody holds.

Knows no row and no column.
"""
