"""A training with several banks, as the grid and as each of them runs it.

Knows no socket: lines between the grid and the banks are sessions.
"""
