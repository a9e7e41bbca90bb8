"""A dispute about the dealer: on a third machine the dealing of one job is replayed.

Run by an auditor who is as independent as the coordinator: from openings of both parties, without any message between them.
"""
