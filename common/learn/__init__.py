"""What a model is and how two parties train it, a folder for each kind.

Knows shares and matrices, no network.
"""
