"""`python -m bank_party.worker`: a worker of this party's daemon, which starts it."""

from __future__ import annotations

from bank_party.seat import SEAT
from common.daemon.worker import main

if __name__ == "__main__":
    main(SEAT)
