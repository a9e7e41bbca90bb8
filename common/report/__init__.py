"""The page about a training job, for its owner to review and sign.

Knows files of one party, no network.
"""
