"""Boosted trees, whole: thresholds, growing, leaves, scores; run by both parties. PROTOCOL.md section 14.

Knows no network.
"""
