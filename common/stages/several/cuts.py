"""The thresholds of columns that all banks bring, the same at each: by shares of all banks' rows below edges. Section 16."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np

from common.errors import DataError
from common.features.bins import Cells
from common.features.fit import FittedPreparation
from common.features.options import Preparation, least_rows
from common.features.pooled_cuts import ROUNDS, SHARE_BITS, Search, asked, keys_of
from common.learn.trees.design import Prepared, check_monotone, pooled_thresholds
from common.mpc.fixedpoint import decode, encode
from common.mpc.several.hub import BankHub, GridHub, to_banks
from common.party import Party
from common.plan.trees import Trees
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from common.stages.several.columns import Counts, compare, tell, told


async def bank_cuts(
    hub: BankHub,
    section: Trees,
    table: FeatureTable,
    columns: Mapping[str, ColumnConfig],
    options: Preparation,
    counts: Counts,
    train_rows: int,
    banks: int,
    room: int,
) -> tuple[Prepared, list[str]]:
    """This bank's thresholds, those of all banks, and warnings. banks: how many. room: for how many thresholds, unless two bins
    a column are more.

    table: matched rows, the training rows first. columns: of which `agree` has said that they are all banks'. Raises DataError
    for a column that is no number, or misses values that must be there.
    """
    names = sorted(columns)
    check_monotone(section, columns, options)
    keys = await asyncio.to_thread(lambda: [np.sort(keys_of(_numbers(table, columns, name)[:train_rows])) for name in names])
    await tell(hub, len(names))
    least, few = least_rows(options), max(1, least_rows(options) // (4 * banks))
    shape = section.bins, least / counts.train, banks * (few - 1) / counts.train
    searches, bits = [Search(*shape) for _ in names], SHARE_BITS + (banks - 1).bit_length()
    for number in range(ROUNDS):
        edges = [search.ask(number) for search in searches]
        asked_of = zip(searches, keys, edges, strict=True)
        below = [search.below(own, some, few) for search, own, some in asked_of]
        # rounded here, alike for edges between which no row lies: else many edges would tell what one does not
        shares = np.rint(np.concatenate(below) / counts.train * 2.0**bits)
        heard = decode(await to_banks(hub, encode(shares, 0)), bits).reshape(len(names), -1)
        for search, some, share in zip(searches, edges, heard, strict=True):
            search.told(some, share.tolist())
    bins = section.bins
    while True:
        cuts = [search.cuts(bins) for search in searches]
        found = sum(len(edges) + apart for edges, apart in cuts)
        if not room or found <= room or bins == 2:
            break
        bins = max(2, min(bins - 1, bins * room // found))
    if not found:
        message = "no column of the banks is left to train on: each has one bin only"
        raise DataError(message, public=message, remedy="Declare other columns, or bring more rows.")
    await tell(hub, found)
    cells = [_cells(name, columns[name], tuple(edges)) for name, (edges, _) in zip(names, cuts, strict=True)]
    parts = zip(cells, (apart for _, apart in cuts), strict=True)
    fitted = await asyncio.to_thread(lambda: [pooled_thresholds(one, apart, table, train_rows) for one, apart in parts])
    warnings = [f"left out {name!r}: it has one bin only" for name, some in zip(names, fitted, strict=True) if not some]
    every = FittedPreparation(fitted=tuple(one for some in fitted for one in some))
    return Prepared(every, table, Party.BANK, columns), warnings


async def grid_cuts(hub: GridHub, section: Trees) -> int:
    """The grid's part: how many thresholds all banks have. It learns that, and how many columns were brought."""
    await compare(hub)
    brought = await told(hub)
    for number in range(ROUNDS):
        await to_banks(hub, np.zeros(brought * asked(number, section.bins), np.uint64))
    return await told(hub)


def _cells(name: str, config: ColumnConfig, edges: tuple[float, ...]) -> Cells:
    return Cells(source=name, edges=edges, missing="refuse" if config.missing in ("drop", "refuse") else "bin")


def _numbers(
    table: FeatureTable, columns: Mapping[str, ColumnConfig], name: str
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if columns[name].kind != "numeric":
        message = f"column {name!r} is a category, and with several banks columns are numbers"
        raise DataError(message, public=message, remedy="Leave it out of the plan's columns, or give its levels as numbers.")
    _cells(name, columns[name], ()).of(table)  # raises for values that must be there
    return table.numeric[name]
