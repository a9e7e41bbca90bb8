"""One party's matrix times the other's vectors by ring-LWE, with nobody who deals masks. PROTOCOL.md section 20.

Knows words, no column and no plan.
"""
