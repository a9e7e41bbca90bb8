"""Files as programs write them: run by each party on its own files.

Each is read to its last byte or refused by line; what its columns mean is not known here.
"""
