"""What a party learns of its own binned columns: a report for its owner, which never leaves it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from common.features.binning import Binning, information_value, woe
from common.features.options import Preparation


def selection(binnings: Sequence[Binning], trained: Collection[str], options: Preparation) -> dict[str, Any]:
    """JSON-safe: for each column its bins (label, rows, and where counted ones, zeros, rate, woe), iv, and whether it is kept.

    trained: sources of the columns that are trained. Columns come by falling information value, those without last.
    """
    found = [_column(b, b.cells.source in trained) for b in binnings]
    found.sort(key=lambda column: (column["iv"] is None, -(column["iv"] or 0.0), column["name"]))
    return {"coding": options.coding, "columns": found}


def _column(binning: Binning, trained: bool) -> dict[str, Any]:
    reason = binning.left_out or ("" if trained else "it tells nothing that the columns before it do not")
    ones, rows = binning.ones, binning.group_rows
    counted = ones is not None and min(ones.min(), (rows - ones).min()) > 0
    iv = information_value(ones, rows - ones) if ones is not None and counted else None
    bins = [{"bin": binning.label(k), "rows": int(count)} for k, count in enumerate(rows)]
    if ones is not None and counted:
        for found, bad, good, value in zip(bins, ones.tolist(), (rows - ones).tolist(), woe(ones, rows - ones), strict=True):
            found |= {"ones": bad, "zeros": good, "rate": bad / (bad + good), "woe": float(value)}
    return {"name": binning.cells.source, "iv": iv, "kept": not reason, "reason": reason, "bins": bins}
