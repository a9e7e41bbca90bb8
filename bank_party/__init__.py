"""The bank: it has the label, sees scores, decides, and answers for the model.

Knows nothing that the grid runs alone.
"""
