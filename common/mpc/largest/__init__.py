"""The largest of shared values told to its owner alone, by both parties and the dealer. PROTOCOL.md section 14.

Knows values, no column and no file.
"""
