"""Signs of shared values: right but within what is not looked at, bytes as stated, every message uniform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import PeerProtocolError
from common.mpc.circle import Turns
from common.mpc.compare.dealer import deal_signs
from common.mpc.compare.masks import CELL_BYTES, IGNORED, CompareMasks, dealt_words
from common.mpc.compare.signs import ROUNDS, hidden_signs
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.correlations.source import Source
from common.mpc.dealer import Dealer
from common.mpc.narrow import Bytes
from common.mpc.session import Kind, Session
from common.party import Party
from tests.common.mpc.uniform import uneven
from tests.peers import Trio

NUMBER, HALF = 9, 1 << 31
UNSURE = 1 << IGNORED


async def signs(trio: Trio, values: list[int], n: Turns) -> Bytes:
    """Whether each value is below zero, as the opened bits and the dealer's say together."""
    c = np.array(values, np.int64).astype(np.uint32) - n
    hidden: list[Bytes] = []

    async def protocol(session: Session, correlations: DealtCorrelations) -> Bytes:
        source = Source(session.party, correlations._prg, correlations._dealt)
        return await hidden_signs(session, source, NUMBER, c)

    async def deal(dealer: Dealer) -> None:
        dealt, bits = deal_signs(dealer.expanded, NUMBER, n)
        hidden.append(bits)
        await dealer.deal(iter([dealt]))

    found = await trio.run(protocol, deal)
    assert (found[Party.GRID] == found[Party.BANK]).all()
    return found[Party.GRID] ^ hidden[0]


def drawn(count: int, seed: int = 0) -> Turns:
    return np.random.default_rng(seed).integers(0, 1 << 32, count, np.uint32)


def sure(value: int) -> bool:
    return not (0 <= value < UNSURE or value < UNSURE - HALF)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(-HALF, HALF - 1), st.integers(0, 2 * HALF - 1)), min_size=0, max_size=40))
async def test_signs_are_right_whatever_the_value_and_the_mask(drawn: list[tuple[int, int]]) -> None:
    values, n = [v for v, _ in drawn], np.array([m for _, m in drawn], np.uint32)
    found = await signs(Trio(), values, n)
    assert [bool(bit) for bit, v in zip(found, values, strict=True) if sure(v)] == [v < 0 for v in values if sure(v)]


async def test_at_the_ends_of_digits_of_the_range_and_near_zero() -> None:
    near = [sign * (1 << k) + d for k in range(31) for sign in (-1, 1) for d in (-1, 0, 1)]
    values = [v for v in [*near, -1, HALF - 1, UNSURE, UNSURE - HALF] if sure(v)]
    for seed in range(20):
        found = await signs(Trio(), values, drawn(len(values), seed))
        assert found.tolist() == [int(v < 0) for v in values]


async def test_every_pair_of_digits_in_every_place_is_compared_right() -> None:
    """c + n just reaches the top bit or just not: equal digits above the place, and any two digits in it."""
    for place in range(4):
        digit = 1 << IGNORED + 4 * place
        ours, theirs = (np.repeat(np.arange(16), 16), np.tile(np.arange(16), 16))
        upper = (0x5A5A5A5A >> 4 * place + IGNORED + 4 << 4 * place + IGNORED + 4) & 0x7FFFFFFF
        n, c = (ours * digit + upper).astype(np.uint32), (~(theirs * digit + upper) & 0x7FFFFFFF).astype(np.uint32)
        values = (n + c).view(np.int32)
        found = await signs(Trio(), values.tolist(), n)
        assert (found == (ours > theirs)).all()


async def test_what_is_not_looked_at_makes_small_values_negative_the_less_likely_the_greater_they_are() -> None:
    count = 4000
    for part in (0.0, 0.25, 0.75):
        found = await signs(Trio(), [int(part * UNSURE)] * count, drawn(count, 3))
        assert abs(found.mean() - (1.0 - part)) < 5 * 0.5 / np.sqrt(count)


@pytest.mark.parametrize("count", [0, 1, 7, 1000, 1001])
async def test_what_is_sent_and_dealt_is_what_is_stated(count: int) -> None:
    trio = Trio()
    await signs(trio, [5] * count, drawn(count))
    each = {Party.GRID: (count + 1) // 2, Party.BANK: count // 2}
    for party in Party:
        traffic = trio.session[party].traffic
        packed = -(-count // 8)
        assert traffic.sent == {Kind.MASKED_DIGITS: 6 * packed, Kind.MASKED_SIGNS: packed}
        assert traffic.rounds == ROUNDS
        dealt = [values.nbytes for label, values in trio.to_party[party].log if label.kind is Kind.DEALT_DIGITS]
        assert dealt == [8 * dealt_words(count, party)] == [8 * -(-CELL_BYTES * each[party] // 8)]


async def test_messages_and_what_is_dealt_are_uniform_whatever_the_values() -> None:
    seen: dict[tuple[Party, Kind], list[bytes]] = {}
    count = 4096
    for values in ([1 << 20] * count, list(range(count)), [-(1 << 30)] * count):
        for seed in range(4):
            trio = Trio()
            await signs(trio, values, drawn(count, seed))
            for party in Party:
                for label, sent in (*trio.peer[party].log, *trio.to_party[party].log[1:]):
                    seen.setdefault((party, label.kind), []).append(sent.tobytes())
    assert {kind for _, kind in seen} == {Kind.MASKED_DIGITS, Kind.MASKED_SIGNS, Kind.DEALT_DIGITS}
    for kind, parts in seen.items():
        assert uneven(b"".join(parts)) < 6.0, kind


async def test_no_pad_hides_twice() -> None:
    """Under another number every pad and share is another; within one the sign's pad is no other's."""
    prg = (trio := Trio(seed=4)).dealer.expanded[Party.GRID]
    await trio.dealer.seeds()
    one, two = (CompareMasks(prg, number, 4096) for number in (1, 2))
    for first, second in ((one.pads(), two.pads()), (one.tables(Party.BANK).digits, two.tables(Party.BANK).digits)):
        assert abs((first == second).mean() - 1 / (128 if first.dtype == np.uint8 else 65536)) < 0.01
    pads = one.pads()
    for bit in range(6):
        assert abs((pads >> bit & 1 == pads >> 6 & 1).mean() - 0.5) < 0.05


async def test_signs_of_another_size_are_refused() -> None:
    trio = Trio()

    async def protocol(session: Session, correlations: DealtCorrelations) -> Bytes:
        source = Source(session.party, correlations._prg, correlations._dealt)
        return await hidden_signs(session, source, NUMBER, np.zeros(16 if session.party is Party.GRID else 17, np.uint32))

    async def deal(dealer: Dealer) -> None:
        dealt, _ = deal_signs(dealer.expanded, NUMBER, np.zeros(16, np.uint32))
        await dealer.deal(iter([dealt]))

    with pytest.raises(PeerProtocolError, match="another shape"):
        await trio.run(protocol, deal)
