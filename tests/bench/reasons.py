"""Reasons of the grid from a model that nobody holds, beside the same choice in numpy, all roles in one process."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np

from common.features.contributions import strongest
from common.learn.linear import cost
from common.party import Party
from tests.common.learn.linear.groups import plain, right, rows, tell
from tests.peers import Trio

_THRESHOLD, _MOST = 0.1, 2


def bench_reasons(count: int, columns: int, texts: int) -> dict[str, Any]:
    """Processor seconds of all three roles together, bytes on each line, and in how many rows the plain choice was told."""
    own, groups = rows(count, columns), [column % texts for column in range(columns)]
    begin = time.process_time()
    told = asyncio.run(tell(Trio(), own, groups, texts, _THRESHOLD, _MOST))
    seconds = time.process_time() - begin
    begin = time.process_time()
    parts = plain(own, groups, texts)
    alone = strongest(parts, _MOST, _THRESHOLD)
    return {
        "rows": count,
        "columns": columns,
        "texts": texts,
        "seconds": {"secure": seconds, "numpy": time.process_time() - begin},
        "bytes": {party.value: vars(cost.reasons(party, count, columns, texts, _MOST)) for party in Party},
        "the plain choice": float((told == alone).all(axis=1).mean()),
        "the plain choice, or one within 2^-8 of it": float(np.mean(right(told, parts, _THRESHOLD))),
    }
