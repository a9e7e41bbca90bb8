"""The neutral process: queue, dealer, journal.

Knows plans, sizes and results, never a row, a share or a model.
"""
