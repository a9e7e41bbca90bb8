"""From new features to a new champion, step by step: what is done is written down before the next step, and is not done twice.

Runs at the bank, which judges; jobs are the coordinator's.
"""
