"""How good a model is, by the bank alone, on held-out rows and their label.

Knows no column of the grid.
"""
