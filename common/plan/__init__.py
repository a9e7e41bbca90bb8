"""What a client asks and what a party allows; read by every process.

Knows no row and no network.
"""
