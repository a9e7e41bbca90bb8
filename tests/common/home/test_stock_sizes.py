"""How large a stock would be is counted no further than there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import PlanError, PolicyError
from common.home import stocks
from common.home.stock import stock_bytes
from common.learn.dealt_ahead import Ahead
from common.mpc.session import Round
from common.party import Party
from common.plan.predeal import PredealPlan
from tests.common.home.test_stocks import opened


@pytest.mark.parametrize(
    "model",
    [{"full_steps": 0}, {"dealer": "none"}, {"dealer": "none", "link": "taylor"}, {"kind": "trees"}, {"kind": "network"}],
)
def test_a_stock_of_any_size_is_refused_at_once(model: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked for one said how many arrays were counted, while the daemon did nothing else: for minutes, in any memory."""
    more = {"epochs": 1000, "batch": 0} if model.get("kind") == "network" else {"trees": 300} if "kind" in model else {}
    more = more or {"iterations": 1000}
    raw = {"model": model | more, "rows": 2**20 if "epochs" in more else 2**31, "grid_columns": 100, "bank_columns": 100}
    counted = []

    def arrays(party: Party, ahead: Ahead, most: float) -> int:
        def each() -> Iterator[tuple[Round, tuple[int, ...]]]:
            for array in ahead.arrays(party):
                counted.append(array)
                yield array

        return stock_bytes(party, Ahead(ahead.demand, lambda _: each(), ahead.alike), most)

    monkeypatch.setattr(stocks, "stock_bytes", arrays)
    with pytest.raises((PolicyError, PlanError), match=r"MiB or more|at most 4194304 training rows"):
        opened(tmp_path, mib=64).check(PredealPlan.model_validate(raw), Party.GRID)
    assert len(counted) < 3000
