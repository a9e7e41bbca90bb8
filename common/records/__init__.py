"""From monthly records to features, by one party before any job.

Knows no job, no network and no other party.
"""
