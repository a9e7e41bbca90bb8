"""Files a job leaves at the bank."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from common.mpc.fixedpoint import Reals
from common.stages.metrics import sigmoid
from common.table import FeatureTable


def write_scores(path: Path, table: FeatureTable, u: Reals) -> None:
    """id, period if there is one, log-odds u and probability of each row as CSV; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame({"id": table.ids.tolist()})
    if table.periods is not None:
        frame["period"] = [f"{p // 12:04d}-{p % 12 + 1:02d}" for p in table.periods.tolist()]
    frame["u"] = u
    frame["probability"] = sigmoid(u)
    part = path.with_suffix(".part")
    frame.to_csv(part, index=False)
    part.replace(path)
