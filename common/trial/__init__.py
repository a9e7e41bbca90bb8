"""All processes on one machine, with throw-away certificates: try, demo, tests.

Never part of what runs at an organisation.
"""
