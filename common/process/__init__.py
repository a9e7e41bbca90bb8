"""What every long-running process has: settings, metrics, health, memory.

Knows no row and no share.
"""
