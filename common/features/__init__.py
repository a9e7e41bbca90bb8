"""A party's columns prepared by itself, from training rows alone.

Knows no network, no plan and no other party.
"""
