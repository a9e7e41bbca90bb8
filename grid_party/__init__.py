"""The grid company: it lends its columns, and keeps account of what leaves.

Knows no label, score or decision.
"""
