"""Scores on request over HTTPS, for the bank's own programs: sessions that stay warm in its daemon, served from stock.

Knows no column of the grid, nor how a session goes.
"""
