"""How later months differ from training, at each party by itself.

Knows the party's own rows and no other's.
"""
