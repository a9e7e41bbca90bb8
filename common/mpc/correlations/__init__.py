"""Single-use randomness: what computations ask for, and where it comes from; expanded by each party from its own seed.

Knows no input, no message between the parties.
"""
