"""The signs of shared values, hidden, in two rounds: by both parties and the dealer. PROTOCOL.md section 18.

Knows values, no column and no file.
"""
