"""How the bank wants scores turned into decisions, as its configuration says.

Knows no score.
"""
