"""From training rows to binned columns: at the bank with its own label, at the grid with jointly counted ones. Section 13.

What the grid is told of the label, and how often, is bounded by the bank: see `Allowance`. PROTOCOL.md section 13.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from common.disclosure import Opened
from common.errors import PeerProtocolError, PolicyError
from common.features import binning
from common.features.binning import Binning, Groups
from common.features.bins import BinnedColumn
from common.features.isolation import find_isolated
from common.features.options import Preparation, least_rows
from common.mpc.correlations.asked import Correlations
from common.mpc.counting.counts import BinCounts
from common.mpc.counting.masks import MAX_BINS, CountsDemand
from common.mpc.field import Elements
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from common.stages.price import count_bits

Counts = npt.NDArray[np.int64]
_FEW = "its bins hold too few labels of a class"


@dataclass(frozen=True)
class Allowance:
    """The bounds of counting: training rows for each bin counted, and at the bank the entry in its book of what was told."""

    rows_per_bin: int
    charge: Callable[[FeatureTable, float], None]  # so many bits of these rows' labels; raises PolicyError for too many


async def bin_columns(
    session: Session,
    correlations: Correlations,
    table: FeatureTable,
    columns: Mapping[str, ColumnConfig],
    options: Preparation,
    train_rows: int,
    allowance: Allowance,
) -> list[Binning]:
    """This party's columns in bins, training rows of `table` first; with counts of the label where the coding needs them.

    Raises PolicyError for too many bins, or when the bank's book is full.
    """
    train = np.arange(table.rows) < train_rows
    cut = await session.compute(lambda: binning.cut(table, columns, options, train), table.rows * len(columns) * 16)
    if options.coding != "woe":
        return cut
    if session.party is Party.GRID:
        return await _ask(session, correlations, cut, options, train_rows, allowance)
    rows = table.keys(slice(0, train_rows))
    await _answer(session, correlations, rows, options, allowance)
    return _count_own(cut, rows.outcomes, options)


def columns_in_clear(
    table: FeatureTable, columns: Mapping[str, ColumnConfig], options: Preparation, label: npt.NDArray[np.float64]
) -> list[BinnedColumn]:
    """The binned columns where the label of the training rows, which are the first, is at hand; none for other codings."""
    if options.coding in ("linear", "auto"):
        return []
    found = binning.cut(table, columns, options, np.arange(table.rows) < len(label))
    if options.coding == "woe":
        found = _count_own(found, label, options)
    return binning.binned_columns(found, options)


def _count_own(cut: Sequence[Binning], label: npt.NDArray[np.float64], options: Preparation) -> list[Binning]:
    return [b if b.left_out else binning.count_own(b, label, options) for b in cut]


async def _ask(
    session: Session,
    correlations: Correlations,
    cut: Sequence[Binning],
    options: Preparation,
    rows: int,
    allowance: Allowance,
) -> list[Binning]:
    """The grid's part: tests and merges its bins until none is small, then learns the counts of what is left."""
    used = [b for b in cut if not b.left_out]
    bins = sum(len(b.groups) for b in used)
    await session.send(Kind.SHAPE, np.array([bins], np.uint64))
    if not bins:
        return list(cut)
    _check_bins(bins, rows, allowance)
    asked = _Asked.of(used, bins)
    counts = await BinCounts.share(session, correlations, _demand(rows, bins, options), asked.codes(used), None)
    unknown: set[str] = set()
    for _ in range(counts.tests):
        small = await counts.small(*asked.matrix(used))
        assert small is not None  # noqa: S101
        used, unknown = _merged(used, small)
    used = [replace(b, left_out=_FEW) if b.cells.source in unknown and not b.left_out else b for b in used]
    used = await session.compute(lambda: without_isolating(used, least_rows(options)), rows * len(used) * 16)
    opened = await counts.open(asked.matrix(used)[0])
    assert opened is not None  # noqa: S101
    done = {b.cells.source: b for b in _counted(used, opened, options)}
    return [done.get(b.cells.source, b) for b in cut]


async def _answer(
    session: Session,
    correlations: Correlations,
    rows: FeatureTable,
    options: Preparation,
    allowance: Allowance,
) -> None:
    """The bank's part: the same rounds whatever the grid's bins hold. The book is charged before anything is sent."""
    bins = int((await session.receive(Kind.SHAPE, np.uint64, (1,)))[0])
    if not bins:
        return
    _check_bins(bins, rows.rows, allowance)
    session.open(Opened.BIN_COUNTS)
    bits = count_bits(rows.rows, bins, int(np.bincount(rows.ids.codes).max()))
    await session.compute(lambda: allowance.charge(rows, bits), rows.rows * 64)
    counts = await BinCounts.share(session, correlations, _demand(rows.rows, bins, options), None, rows.outcomes)
    for _ in range(counts.tests):
        await counts.small(None, None)
    await counts.open(None)


def _demand(rows: int, bins: int, options: Preparation) -> CountsDemand:
    return CountsDemand(rows, bins, options.min_bin_class, binning.halvings(options.bins))


def _check_bins(bins: int, rows: int, allowance: Allowance) -> None:
    most = min(MAX_BINS, rows // allowance.rows_per_bin)
    if bins > most:
        raise PolicyError(
            f"{bins} bins of the grid's columns are too many to count labels of {rows} training rows in",
            expected=f"at most {most}",
            got=bins,
            remedy="Use fewer bins or columns of the grid, or bring more rows: each count is an equation in the labels.",
        )


@dataclass(frozen=True, repr=False)
class _Asked:
    """The bins first asked for, numbered through all columns: the places in which later groups are expressed."""

    groups: dict[str, Groups]
    starts: dict[str, int]
    bins: int

    @classmethod
    def of(cls, used: Sequence[Binning], bins: int) -> _Asked:
        starts = np.cumsum([0, *(len(b.groups) for b in used)])[:-1].tolist()
        names = [b.cells.source for b in used]
        return cls({b.cells.source: b.groups for b in used}, dict(zip(names, starts, strict=True)), bins)

    def codes(self, used: Sequence[Binning]) -> npt.NDArray[np.int16]:
        """(columns, n): the bin of each training row."""
        return np.stack([b.group_codes + np.int16(self.starts[b.cells.source]) for b in used])

    def matrix(self, used: Sequence[Binning]) -> tuple[Elements, Counts]:
        """(bins, bins) ones where a bin is in a group, and the groups' rows, (bins,); rows of no group are empty."""
        matrix, sizes = np.zeros((self.bins, self.bins), np.uint32), np.zeros(self.bins, np.int64)
        for place, (binned, k) in enumerate((b, k) for b in used if not b.left_out for k in range(len(b.groups))):
            first, start = self.groups[binned.cells.source], self.starts[binned.cells.source]
            inside = [start + j for j, members in enumerate(first) if set(members) <= set(binned.groups[k])]
            matrix[place, inside] = 1
            sizes[place] = binned.group_rows[k]
        return matrix, sizes


def _merged(used: Sequence[Binning], small: npt.NDArray[np.bool_]) -> tuple[list[Binning], set[str]]:
    """Small groups merged; and the columns with a group that may still be small: one which holds no large one."""
    out, unknown, place = [], set(), 0
    for b in used:
        if not b.left_out:
            flags = small[place : place + len(b.groups)]
            place += len(flags)
            large = [set(members) for members, few in zip(b.groups, flags, strict=True) if not few]
            b = b.regrouped(binning.merge(b.groups, flags, b.rows))
            if any(not any(known <= set(members) for known in large) for members in b.groups):
                unknown.add(b.cells.source)
            if len(b.groups) == 1:
                b = replace(b, left_out=binning.ONE_BIN)
        out.append(b)
    return out, unknown


def without_isolating(used: Sequence[Binning], least: int) -> list[Binning]:
    """Leaves out columns until no combination of the others' bins is a function of 1 to least - 1 rows.

    The same combination of counts would be a count over those rows, which are too few to be a bin.
    """
    out = list(used)
    while True:
        places = [k for k, b in enumerate(out) if not b.left_out]
        if not places or (found := find_isolated([out[k].group_codes for k in places], least)) is None:
            return out
        *others, last = (places[k] for k in found.columns)
        names = ", ".join(repr(out[k].cells.source) for k in others)
        why = f"its bins and those of {names} combine to fewer than {least} rows"
        out[last] = replace(out[last], left_out=why)


def _counted(used: Sequence[Binning], opened: Counts, options: Preparation) -> list[Binning]:
    """With the counts that were opened. Raises PeerProtocolError for ones that cannot be."""
    out, place = [], 0
    for b in used:
        if not b.left_out:
            ones = opened[place : place + len(b.groups)]
            place += len(ones)
            if np.minimum(ones, b.group_rows - ones).min() < options.min_bin_class:
                raise PeerProtocolError("the other party's shares give impossible counts of labels")
            b = binning.finish(b, ones, options)
        out.append(b)
    return out
