"""The commands of the three daemons, for programs that run one of them otherwise than it is."""

from __future__ import annotations

from typing import Any

import bank_party.__main__
import common.coordinator.__main__
import grid_party.__main__

MAIN: dict[str, Any] = {
    "coordinator": common.coordinator.__main__.main,
    "grid": grid_party.__main__.main,
    "bank": bank_party.__main__.main,
}
