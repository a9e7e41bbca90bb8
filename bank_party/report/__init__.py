"""The bank's sections of the page about a training job: what needs label or score.

Reads the bank's files alone.
"""
