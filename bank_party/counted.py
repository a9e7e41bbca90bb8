"""The bank's book of rows whose labels were counted for the grid. PROTOCOL.md section 13."""

from __future__ import annotations

from pathlib import Path

from common.home.rowbook import RowBook


class Counted(RowBook):
    """The rows whose labels each training job had counted."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            file,
            "have had their labels counted by bin in {limit} training jobs already",
            "Use coding = 'bins' or 'linear', or other rows. The limit is the bank's counts_per_row.",
        )
