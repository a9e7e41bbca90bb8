"""Matching that memory does not suffice for is refused before anything is sent; what it takes is what is said."""

from __future__ import annotations

import asyncio
import tracemalloc
from functools import partial
from typing import Any

import pyarrow as pa
import pytest

from common.daemon import matching
from common.daemon.matching import AIDED_BYTES, ECDH_BYTES, choose_match
from common.disclosure import Opened
from common.errors import ConfigError
from common.match import ecdh
from common.match.agree import MatchLimits
from common.match.aided import make_tags
from common.mpc.session import Session
from common.party import Party
from common.plan.train import TrainPlan
from common.wire.peer import Counter
from tests.channels import MemoryChannel, memory_pair

LIMITS = MatchLimits(min_matched=1)
PLAN = TrainPlan.model_validate({"grid": {"dataset": "g"}, "bank": {"dataset": "b"}, "matching": "ecdh"})


def ids(count: int) -> pa.StringArray:
    return pa.array([f"91E{k:015d}" for k in range(count)])


def match(session: Session, count: int) -> Any:
    return choose_match(PLAN, "job-1", None, Counter())(session, ids(count), domain=b"job-1", limits=LIMITS)


def session(party: Party, end: MemoryChannel) -> Session:
    return Session(party, end, allowed=frozenset(Opened))


async def test_more_ids_than_there_is_memory_for_are_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "free_memory", lambda: 100 * ECDH_BYTES)
    here, there = memory_pair()
    with pytest.raises(ConfigError, match="matching 101 ids takes about 0 MiB of memory, and 0 MiB are free") as caught:
        await match(session(Party.GRID, here), 101)
    assert not any(digit in caught.value.public for digit in "0123456789"), "how many ids there are is not told by it"
    assert there._in.empty()
    found = await asyncio.gather(*(match(session(p, end), 100) for p, end in zip(Party, memory_pair(), strict=True)))
    assert [len(rows) for rows in found] == [100, 100]


def grown(work: Any, few: int, many: int) -> float:
    """Bytes that each further one takes at most."""
    peaks = []
    for count in (few, many):
        tracemalloc.start()
        work(count)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return float(peaks[1] - peaks[0]) / (many - few)


def test_what_matching_takes_is_what_is_said() -> None:
    texts = ids(1_200_000)
    assert 0.5 < grown(lambda n: make_tags(texts[:n], b"k" * 16), 700_000, 1_200_000) / AIDED_BYTES < 1.0

    async def both(count: int) -> None:
        own = partial(ecdh.match_ids, domain=b"d", limits=LIMITS)
        await asyncio.gather(*(own(session(p, end), ids(count)) for p, end in zip(Party, memory_pair(), strict=True)))

    assert 0.5 < grown(lambda n: asyncio.run(both(n)), 500, 2500) / 2 / ECDH_BYTES < 1.0
