"""A network of one hidden layer over both sides' columns, trained and used on shares; run by both parties.

Knows no network of machines.
"""
