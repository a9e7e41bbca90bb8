"""`python -m grid_party.worker`: a worker of this party's daemon, which starts it."""

from __future__ import annotations

from common.daemon.worker import main
from grid_party.seat import SEAT

if __name__ == "__main__":
    main(SEAT)
