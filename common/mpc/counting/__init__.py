"""Labels counted by bin on shares, by both parties and the dealer.

Knows counts, no column and no file.
"""
