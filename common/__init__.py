"""What the two companies and the neutral process share; run by all of them.

Knows nothing that one company alone runs. Reading order: README.md beside this file.
"""

__version__ = "0.1.0"
