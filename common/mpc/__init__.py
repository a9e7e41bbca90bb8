"""Arithmetic on secret shares, run by both parties at once and on masks by the dealer.

Knows no socket, file or clock.
"""
