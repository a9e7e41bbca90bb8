"""The linear model, whole: its design, steps, training, weights and scores; run by both parties.

Knows no network.
"""
