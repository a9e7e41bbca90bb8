"""How long a test waits for what must come: limits that end what hangs, and that no machine reaches which is merely busy.

Give the seconds that a quiet machine may need. Nothing waits that long where what is awaited comes.
"""

from __future__ import annotations

import os

FACTOR = float(os.environ.get("WATTSCORE_TEST_PATIENCE", "5"))


def patience(seconds: float) -> float:
    """Seconds after which a test gives up."""
    return FACTOR * seconds
