"""Which matched rows are held out. Drawn by the bank, which has the label; the grid is told row numbers and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from common.errors import LocalProtocolError, PolicyError
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan import Limits, Split
from common.table import FeatureTable

Mask = npt.NDArray[np.bool_]


def draw(table: FeatureTable, split: Split) -> Mask:
    """True (n,) for rows held out: those of smallest keyed hash of (id, period), in each class alike if stratified.

    The key comes from the seed and all labels, so the draw is the same for the same data whatever their order, and only
    who knows every label can repeat it: the grid must not, or it could see where each class is cut and read the labels
    of the rows between the two cuts. Raises LocalProtocolError for a table without labels.
    """
    if table.label is None:
        raise LocalProtocolError("only the bank, which has the label, draws the split")
    key = blake2b(np.sort(_hashes(table, split.seed.to_bytes(8, "little"), table.label.tolist())).tobytes()).digest()
    order = _hashes(table, key, [""] * table.rows)
    test = np.zeros(table.rows, np.bool_)
    for members in [table.label == value for value in (0.0, 1.0)] if split.stratify else [~test]:
        rows = np.flatnonzero(members)
        test[rows[np.argsort(order[rows], kind="stable")[: round(split.test * len(rows))]]] = True
    return test


def _hashes(table: FeatureTable, key: bytes, values: Sequence[object]) -> npt.NDArray[np.uint64]:
    periods = table.periods.tolist() if table.periods is not None else [0] * table.rows
    rows = zip(table.ids, periods, values, strict=True)
    digests = b"".join(blake2b(f"{i}|{p}|{v}".encode(), key=key, digest_size=8).digest() for i, p, v in rows)
    return np.frombuffer(digests, np.uint64)


async def agree(session: Session, table: FeatureTable, split: Split, limits: Limits) -> Mask:
    """The bank's draw, at both parties: one message of a bit a row.

    Raises PolicyError for too few labels of a class.
    """
    size = -(-table.rows // 8)
    if session.party is Party.GRID:
        bits = await session.receive(Kind.SPLIT, np.uint8, (size,))
        return np.unpackbits(bits, count=table.rows).astype(np.bool_)
    test = await session.compute(lambda: draw(table, split), table.rows * 64)
    _check_classes(table, test, limits)
    await session.send(Kind.SPLIT, np.packbits(test))
    return test


def _check_classes(table: FeatureTable, test: Mask, limits: Limits) -> None:
    assert table.label is not None  # noqa: S101
    parts = (("training", ~test, "min_per_class"), ("held-out", test, "min_test_per_class"))
    for what, rows, limit in parts:
        ones = int(table.label[rows].sum())
        if min(ones, int(rows.sum()) - ones) < (least := getattr(limits, limit)):
            raise PolicyError(
                f"the matched {what} rows hold fewer than {least} labels of one class",
                remedy=f"Bring more rows, or lower {limit} openly in plan and policy.",
            )
