"""The grid's book of scored rows: each (row, model) opened to the bank is one linear equation in the grid's features.

After as many models as the grid has columns the bank could solve for them, so a row is scored by few models; the same linear
model again is the same equation, and costs nothing. Each scoring by trees is another equation. PROTOCOL.md sections 7 and 14.
"""

from __future__ import annotations

from pathlib import Path

from common.home.rowbook import RowBook


class Ledger(RowBook):
    """The rows that each model has scored."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            file,
            "have been scored by {limit} models already",
            "The limit is the grid's scores_per_row, and half as many as the model has columns of the grid: train on more"
            " of them, or on rows that are new, such as further months or enterprises. Rows that a training holds out"
            " count, and another seed of the split holds out some of the same.",
        )
