"""A coordinator whose generator is broken: run as a process in place of the real one.

WATTSCORE_ROGUE says how. same: both parties are dealt one seed, a new one in each job. again: they are dealt two, the same
in every job.
"""

from __future__ import annotations

import itertools
import os
import secrets
from functools import partial

from common.coordinator import drive
from common.coordinator.__main__ import main
from common.mpc.dealer import Dealer

_made = itertools.count()
_last = bytes(32)


def _same() -> bytes:
    global _last
    if next(_made) % 2 == 0:
        _last = secrets.token_bytes(32)
    return _last


def _again() -> bytes:
    return bytes([next(_made) % 2]) * 32


if __name__ == "__main__":
    fresh = {"same": _same, "again": _again}[os.environ["WATTSCORE_ROGUE"]]
    drive.Dealer = partial(Dealer, fresh_seed=fresh)  # type: ignore[misc, assignment]
    main()
