"""Submits plans, follows jobs and shows results, for people and programs.

Knows plans and results, no row and no share.
"""
