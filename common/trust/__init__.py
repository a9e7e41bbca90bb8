"""Certificates: an organisation's authority, what it issues and whom it refuses; run by its people.

Knows no job.
"""
