"""The vectors of comparisons: signs of values near the ends of digits, and the largest two of a few rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np

from common.mpc.compare.dealer import deal_signs
from common.mpc.compare.signs import hidden_signs
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.correlations.source import Source
from common.mpc.dealer import Dealer, Dealt
from common.mpc.ranks.dealer import deal_ranks
from common.mpc.ranks.find import tell_largest
from common.mpc.session import Array, Kind, Session
from common.party import Party
from tests.peers import KEYS, NONCES, Trio
from tests.vectors.basics import DEALT, SEEDS
from tests.vectors.form import stored, whole

NUMBER = 11
_ENDS = [0, 1, -1, 2**15, 2**15 - 1, -(2**15), 2**19, 2**27, -(2**27), 2**31 - 1, 2**15 - 2**31, -(2**31)]


def comparisons() -> dict[str, Any]:
    """Section 18."""
    return {"seeds": {p.value: s.hex() for p, s in SEEDS.items()}, "signs": _signs(), "largest": [_largest(2), _largest(1)]}


def _signs() -> dict[str, Any]:
    n = np.random.default_rng(1).integers(0, 1 << 32, len(_ENDS), np.uint32)
    c, hidden = np.array(_ENDS, np.int64).astype(np.uint32) - n, []

    def deal(dealer: Dealer) -> Iterator[Dealt]:
        dealt, bits = deal_signs(dealer.expanded, NUMBER, n)
        hidden.append(bits)
        yield dealt

    trio, found = _run(lambda session, source: hidden_signs(session, source, NUMBER, c), deal)
    given = {"values": _ENDS, "number": NUMBER, "c": stored(c), "n": stored(n)}
    return given | _said(trio) | {"opened": stored(found[Party.GRID]), "hidden": stored(hidden[0])}


def _largest(most: int) -> dict[str, Any]:
    draw = np.random.default_rng(most)
    values = draw.integers(-(1 << 29), 1 << 29, (3, 4))
    values[:, 0], values[:, 1] = -(1 << 28), [1 << 28, 1 << 20, 1 << 28]
    grid, lacks = draw.integers(0, 1 << 32, (2, *values.shape), np.uint32)
    shares = {Party.GRID: grid, Party.BANK: values.astype(np.uint32) - grid - lacks}
    trio, found = _run(
        lambda session, source: tell_largest(session, source, NUMBER, shares[session.party], most, Kind.GRID_REASONS),
        lambda dealer: deal_ranks(dealer.expanded, NUMBER, lacks),
    )
    told = found[Party.BANK]
    assert told is not None
    given = {"values": values.tolist(), "most": most, "number": NUMBER, "lacks": stored(lacks)}
    return given | {"shares": {p.value: stored(shares[p]) for p in Party}} | _said(trio) | {"codes": stored(told)}


def _run(
    protocol: Callable[[Session, Source], Awaitable[Array | None]], deal: Callable[[Dealer], Iterator[Dealt]]
) -> tuple[Trio, dict[Party, Any]]:
    trio = Trio(seed=0)
    trio.dealer = Dealer(dict(trio.to_party), iter(DEALT.values()).__next__, nonces=NONCES, keys=KEYS)

    async def side(session: Session, correlations: DealtCorrelations) -> Array | None:
        return await protocol(session, Source(session.party, correlations._prg, correlations._dealt))

    return trio, asyncio.run(trio.run(side, lambda dealer: dealer.deal(deal(dealer))))


def _said(trio: Trio) -> dict[str, Any]:
    return {
        "dealt": {p.value: whole(trio.to_party[p].log[1:]) for p in Party},
        "sent": {p.value: whole(trio.peer[p].log) for p in Party},
    }
