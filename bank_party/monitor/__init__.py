"""What became of earlier scores, by the bank alone, once labels are known.

Knows no column of the grid.
"""
