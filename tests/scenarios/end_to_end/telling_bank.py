"""A bank that also writes down which enterprises it holds out: the plaintext twin cannot draw them, since no outsider can.

LIE in its environment: `rows`, it tells the grid of one training row more than it has; `columns`, that it trains one more;
`dealer`, it asks the dealer for tables of one row more.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import common.stages.several.bank as stage
import common.stages.several.columns as columns
from bank_party.__main__ import main
from common.learn.linear.layout import Layout
from common.rows.table import FeatureTable

_hold_out, _exchange, _tell, _demand = stage.hold_out, stage.exchange_sizes, columns.tell, Layout.demand


async def told(hub: Any, table: FeatureTable, *rest: Any) -> Any:
    test = await _hold_out(hub, table, *rest)
    ids = table.ids.texts(table.ids.codes[test]).to_pylist()
    Path(f"{os.environ['HELD_OUT']}.{os.getpid()}").write_text("\n".join(sorted(ids)), encoding="utf-8")
    return test


async def one_row_more(session: Any, rows: int, train: int, columns: int) -> int:
    return await _exchange(session, rows + 1, train + 1, columns)


async def one_column_more(hub: Any, count: int) -> None:
    await _tell(hub, count + 1)


def one_more_asked(layout: Any, rows: int, first: int = 0) -> Any:
    return _demand(layout, rows + 1, first)


def lie(what: str) -> None:
    if what == "rows":
        stage.exchange_sizes = one_row_more
    elif what == "columns":
        columns.tell = one_column_more
    elif what == "dealer":
        Layout.demand = one_more_asked  # type: ignore[method-assign]


if __name__ == "__main__":
    stage.hold_out = told  # type: ignore[assignment]
    lie(os.environ.get("LIE", ""))
    main()
