"""Conversations of the two parties, both halves in one file, and a job as a whole.

Knows no network: a session carries it.
"""
