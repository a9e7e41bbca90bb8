"""How bytes get to disk, in every process: private files, books, scratch.

Knows no party, no plan and no row.
"""
