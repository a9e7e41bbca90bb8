"""From score to decision, by the bank alone: calibration, points, grades, rules.

Knows no column of the grid.
"""
