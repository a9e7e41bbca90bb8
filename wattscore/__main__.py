"""`python -m wattscore`: the command `wattscore`."""

from __future__ import annotations

from common.cli import main

if __name__ == "__main__":
    main()
