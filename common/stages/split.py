"""Which matched rows are held out. Drawn by the bank, which has the label; the grid is told row numbers and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from common.errors import LocalProtocolError, PolicyError
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.train import Split
from common.rows.hashes import hash_levels, mix_rows
from common.rows.table import FeatureTable, Index

Mask = npt.NDArray[np.bool_]

_SOME = 1 << 20  # rows at a time
_FIRST = 16  # bits of a hash by which rows are counted
_REST = np.uint64(64 - _FIRST)

MIXED = "the split is by row, so months of one enterprise both train and test: split by enterprise or by time"


def draw(table: FeatureTable, split: Split) -> Mask:
    """True (n,) for rows held out: those of smallest keyed hash of (id, period), in each class alike if stratified.

    By enterprise: all rows of the enterprises of smallest keyed hash; stratified by whether one was ever overdue. By time:
    all rows of the last months, no hash. The key comes from all options of the split and all labels, so the draw is the same
    for the same data whatever their order, and only who knows every label can repeat it: the grid must not, or it could
    see where each class is cut and read the labels of the rows between the two cuts. Of two plans that cut one order
    differently it could do so too, so another option is another order. Raises LocalProtocolError for a table without labels.
    """
    label = table.outcomes
    if split.by == "time":
        return _last_months(table, split.months)
    options = blake2b(split.model_dump_json().encode(), digest_size=32, person=b"split").digest()
    of_id = hash_levels(table.ids, options)
    every = mix_rows(table, of_id, options, label)
    every.sort()
    key = blake2b(every.data).digest()
    del every
    if split.by == "row":
        order = mix_rows(table, of_id, key)
        del of_id
        return _smallest(order, label, split)
    firms, firm_of = table.ids.each()
    ever = np.zeros(len(firms))
    ever[firm_of[label == 1.0]] = 1.0
    return _smallest(mix_rows(FeatureTable(firms, None, {}, {}), of_id, key), ever, split)[firm_of]


def _smallest(order: npt.NDArray[np.uint64], label: npt.NDArray[np.float64], split: Split) -> Mask:
    """As many in all as the share of all rows: the grid counts them, and that must not tell how many are of a class."""
    test, held = np.zeros(len(order), np.bool_), round(split.test * len(order))
    parts = [(~test, held)]
    if split.stratify:
        ones = round(split.test * float(label.sum()))
        parts = [(label == 1.0, ones), (label == 0.0, held - ones)]
    for members, count in parts:
        if not (some := min(count, int(members.sum()))):
            continue
        last = _ranked(order, members, some - 1)
        below = members & (order < last)
        test |= below
        test[np.flatnonzero(members & (order == last))[: some - int(below.sum())]] = True  # of one hash the first rows
    return test


def _ranked(order: npt.NDArray[np.uint64], members: Mask, rank: int) -> np.uint64:
    """The value of this rank, from 0, among those of `order` that are members: by their first bits, without a copy of them."""
    parts = [slice(low, low + _SOME) for low in range(0, len(order), _SOME)]
    counts = np.zeros(1 << _FIRST, np.int64)
    for rows in parts:
        counts += np.bincount((order[rows][members[rows]] >> _REST).view(np.int64), minlength=len(counts))
    ends = np.cumsum(counts)
    first = int(np.searchsorted(ends, rank, side="right"))
    near = np.concatenate([order[rows][members[rows] & (order[rows] >> _REST == np.uint64(first))] for rows in parts])
    rank -= int(ends[first] - counts[first])
    near.partition(rank)
    found: np.uint64 = near[rank]
    return found


def training_first(matched: Index, test: Mask) -> Index:
    """The places of matched rows, (n,), those that train before those held out, each in their order."""
    order, end = np.empty_like(matched), 0
    for members in (~test, test):
        for low in range(0, len(matched), _SOME):
            part = matched[low : low + _SOME][members[low : low + _SOME]]
            order[end : end + len(part)] = part
            end += len(part)
    return order


def _last_months(table: FeatureTable, months: int) -> Mask:
    if table.periods is None:
        raise LocalProtocolError("a split by time needs periods")
    test: Mask = table.periods > table.periods.max() - months
    if test.all():
        raise PolicyError(
            f"all matched rows lie in the last {months} months, which are held out",
            remedy="Hold out fewer months, or bring more of them.",
        )
    return test


async def agree(session: Session, table: FeatureTable, split: Split, check: Callable[[FeatureTable, Mask], None]) -> Mask:
    """The bank's draw, at both parties: one message of a bit a row.

    check: at the bank, whether a draw leaves labels enough; what it raises, this raises, before anything is sent.
    """
    size = -(-table.rows // 8)
    if session.party is Party.GRID:
        bits = await session.receive(Kind.SPLIT, np.uint8, (size,))
        return np.unpackbits(bits, count=table.rows).astype(np.bool_)
    test = await session.compute(lambda: draw(table, split), table.rows * 64)
    await session.compute(lambda: check(table, test), table.rows * 64)
    await session.send(Kind.SPLIT, np.packbits(test))
    return test
