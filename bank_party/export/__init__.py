"""A model's scorecard for software that is not ours: formulas of the bank's columns, and one input for the grid's part.

Reads the bank's files alone, and gives away what the bank itself knows of a model: of a closed one, no weight.
"""
