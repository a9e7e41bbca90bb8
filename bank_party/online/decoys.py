"""Rows of the bank's own that are asked for beside each one that is meant, so that the grid cannot tell which that was.

They are the same whenever the row is asked for: in every session, of every month, by a challenger too. Of others each time only
the row that is meant would be among all. PROTOCOL.md section 19.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from secrets import SystemRandom

import numpy as np
import pyarrow as pa

from common.rows.cmac import KEY_BYTES, cmac
from common.stages.align import row_name

_PURPOSE = b"wattscore decoys 1"
# Rows next to a point among which one is chosen: that many gaps between points are alike in sum, so that all rows are decoys
# as often to a tenth, and of one that is new the choice changes once in as many.
_NEAR = 64


class Decoys:
    """How many there are beside each row, and the secret by which they are chosen."""

    def __init__(self, count: int, key: bytes) -> None:
        """key: of this party, the same for as long as its rows are asked for."""
        self.count = count
        self.key = hmac.digest(key, _PURPOSE, hashlib.sha256)[:KEY_BYTES]

    def least(self, rows: int) -> int:
        """How many may be meant where so many may be asked for."""
        return rows // (1 + self.count)

    def among(self, names: Iterable[str], *, by_period: bool) -> Crowd:
        """Those of a session whose rows are `names`, as `align.row_name` has them. It takes a second for a million."""
        months: dict[int | None, list[str]] = {}
        for name in names:
            month, id = parts_of(name, by_period=by_period)
            months.setdefault(month, []).append(id)
        return Crowd(self, {month: _Ring(ids, self.key) for month, ids in months.items()}, by_period)


class _Ring:
    """The ids of one month by their tags, of which the first follows the last."""

    def __init__(self, ids: Sequence[str], key: bytes) -> None:
        texts = pa.array(ids, pa.string())
        tags = cmac(texts, key)[:, 0]
        order = np.argsort(tags)
        self.tags, self._ids = tags[order], texts.take(pa.array(order))

    def near(self, point: int, count: int) -> list[str]:
        """So many ids from `point` on."""
        at = int(np.searchsorted(self.tags, np.uint64(point))) + np.arange(min(count, len(self.tags)))
        found: list[str] = self._ids.take(pa.array(at % len(self.tags))).to_pylist()
        return found


class Crowd:
    """The decoys of one session's rows."""

    def __init__(self, decoys: Decoys, rings: Mapping[int | None, _Ring], by_period: bool) -> None:
        self._decoys, self._rings, self._by_period = decoys, rings, by_period

    def of(self, name: str) -> list[str]:
        """Names of others beside this row, of its month; fewer where there are no more."""
        month, id = parts_of(name, by_period=self._by_period)
        if (ring := self._rings.get(month)) is None:
            return []
        points, found = self._tags([f"{place}\0{id}" for place in range(self._decoys.count)]), list[str]()
        nears = [ring.near(point, _NEAR + place + 1) for place, point in enumerate(points)]
        ranks = iter(self._tags([f"{place}\0{id}\0{other}" for place, near in enumerate(nears) for other in near]))
        for near in nears:
            left = [(rank, other) for rank, other in zip(islice(ranks, len(near)), near, strict=True) if other != id]
            if (best := min((one for one in left if one[1] not in found), default=None)) is None:
                break
            found.append(best[1])
        return [row_name(other, month) for other in found]

    def _tags(self, texts: list[str]) -> list[int]:
        found: list[int] = cmac(pa.array(texts, pa.string()), self._decoys.key)[:, 0].tolist()
        return found


def together(names: Sequence[str], beside: Mapping[str, Sequence[str]]) -> list[str]:
    """`names` and what is beside each, once each and in an order that says nothing."""
    every = list(dict.fromkeys(chain(names, *(beside[name] for name in names))))
    SystemRandom().shuffle(every)
    return every


def parts_of(name: str, *, by_period: bool) -> tuple[int | None, str]:
    """The month and the id of a row's name."""
    if not by_period:
        return None, name
    month, _, id = name.partition(" ")
    return int(month), id
