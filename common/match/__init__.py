"""Which rows both parties hold, by a conversation of the two.

Knows ids, no column, label or score.
"""
