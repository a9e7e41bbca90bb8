"""Measures of scores and columns, as plain functions of arrays.

Knows no party, no plan and no file.
"""
