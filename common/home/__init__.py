"""What outlives a job at a party: models, registry, stocks, books.

Knows no other party.
"""
