"""The largest few of each row's shared values told to one party, by both parties and the dealer. PROTOCOL.md section 18.

Knows values, no column and no file.
"""
