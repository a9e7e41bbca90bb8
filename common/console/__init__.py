"""A party's pages for its own people: jobs, models, budgets, what was opened, what waits for a decision.

Knows this party's own files and the jobs that run in its daemon, and no row of anybody.
"""
