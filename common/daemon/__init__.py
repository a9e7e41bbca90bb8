"""A party's process around its jobs: it attends, meets the other party, runs, reports.

Knows no row and no formula.
"""
