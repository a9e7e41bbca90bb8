"""The real matcher, where an environment with `spu` is named: WATTSCORE_PSI_PYTHON=/path/to/env/bin/python."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from common.disclosure import Opened
from common.errors import PolicyError
from common.match.choose import Finder
from common.match.ecdh import MatchLimits
from common.match.tags import match_tags
from common.mpc.session import Session, memory_pair
from common.party import Party

PYTHON = os.environ.get("WATTSCORE_PSI_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="WATTSCORE_PSI_PYTHON names no python with spu: RR22 itself is NOT tested")


async def run(grid: list[str], bank: list[str]) -> list[list[str]]:
    sessions = [Session(p, c, allowed=frozenset(Opened)) for p, c in zip(Party, memory_pair(2), strict=True)]
    limits, find = MatchLimits(min_matched=1), Finder(Path(PYTHON), 60.0)
    rows = await asyncio.gather(
        *(
            match_tags(session, ids, domain=b"job", limits=limits, find=find)
            for session, ids in zip(sessions, (grid, bank), strict=True)
        )
    )
    return [[ids[row] for row in found] for ids, found in zip((grid, bank), rows, strict=True)]


@pytest.mark.parametrize(
    ("grid", "bank"),
    [
        ([f"企业{n}" for n in range(3000)], [f"企业{n}" for n in range(5000, 1000, -1)]),
        (["only"], [str(n) for n in range(300)] + ["only"]),
        ([str(n) for n in range(500)], [str(n) for n in range(500)]),
    ],
    ids=["overlap", "one", "equal sets"],
)
async def test_both_find_the_same_ids_in_the_same_order(grid: list[str], bank: list[str]) -> None:
    one, two = await run(grid, bank)
    assert one == two and set(one) == set(grid) & set(bank)


async def test_no_common_id() -> None:
    with pytest.raises(PolicyError, match="no id is common"):
        await run([f"a{n}" for n in range(300)], [f"b{n}" for n in range(300)])
