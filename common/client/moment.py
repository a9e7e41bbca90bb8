"""A moment as a command line takes it: a date, a time of this machine's zone, or how long ago."""

from __future__ import annotations

import re
import time
from datetime import datetime

import click

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def moment(text: str) -> float:
    """Seconds since 1970 of 2026-01-31, 2026-01-31T08:00, also with a zone behind; of 90m, 12h, 30d, 4w ago."""
    if ago := re.fullmatch(r"(\d{1,6})([mhdw])", text.strip()):
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is neither a date such as 2026-01-31 nor a time ago such as 12h or 30d") from None
