"""A party's own table: keys, months, columns, read and checked by its owner alone.

Knows no network and no other party.
"""
