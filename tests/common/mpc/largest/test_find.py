"""The largest of shared values: its owner alone hears which one it is, and every message is uniform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.correlations.source import Source
from common.mpc.dealer import Dealer
from common.mpc.largest.dealer import deal_largest
from common.mpc.largest.find import ROUNDS, find_largest
from common.mpc.largest.masks import LOW, WIDTH, dealt_words, pair_count
from common.mpc.session import Kind, Session
from common.party import Party
from tests.common.mpc.uniform import uneven
from tests.peers import Trio


def source_of(session: Session, correlations: DealtCorrelations) -> Source:
    return Source(session.party, correlations._prg, correlations._dealt)


async def find(trio: Trio, values: list[int], grids: int, to: Party, number: int = 5) -> dict[Party, int | None]:
    rng = np.random.default_rng(sum(values) + grids)
    shares = {Party.GRID: rng.integers(0, 1 << WIDTH, len(values), np.uint32)}
    shares[Party.BANK] = (np.array(values, np.int64).astype(np.uint32) - shares[Party.GRID]) & LOW

    async def protocol(session: Session, correlations: DealtCorrelations) -> int | None:
        source = source_of(session, correlations)
        return await find_largest(session, source, number, shares[session.party], grids, to, Kind.SPLIT_TESTS)

    async def deal(dealer: Dealer) -> None:
        await dealer.deal(iter([deal_largest(dealer._prg, to, number, len(values))]))

    return await trio.run(protocol, deal)


VALUES = st.lists(st.integers(0, (1 << 24) - 1), min_size=1, max_size=12)


@settings(deadline=None)
@given(VALUES, st.data(), st.sampled_from(Party))
async def test_the_owner_of_the_largest_hears_which_it_is_and_the_other_that_it_is_none_of_its_own(
    values: list[int], data: st.DataObject, to: Party
) -> None:
    grids = data.draw(st.integers(0, len(values)))
    found = await find(Trio(), values, grids, to)
    best = int(np.argmax(values))  # the first of equal ones
    owner = Party.GRID if best < grids else Party.BANK
    assert found == {owner: best, owner.other: None}


@pytest.mark.parametrize("values", [[0, (1 << 24) - 1], [-(1 << 23), (1 << 23) - 1, 0], [7, 7, 7], [255, 256, 65535, 65536]])
async def test_at_the_ends_of_the_range_and_of_digits(values: list[int]) -> None:
    found = await find(Trio(), values, 1, Party.GRID)
    assert set(found.values()) == {int(np.argmax(values)), None}


async def test_what_is_sent_is_what_is_stated() -> None:
    trio = Trio()
    await find(trio, list(range(32)), 20, Party.BANK)
    assert dealt_words(32) * 8 >= 256 * pair_count(32) + 4 * 32
    for party, others in ((Party.GRID, 12), (Party.BANK, 20)):
        traffic = trio.session[party].traffic
        sent = {Kind.MASKED_COMPARED: 4 * 32, Kind.MASKED_CARRIES: 5 * pair_count(32) // 8, Kind.SPLIT_TESTS: 4 * others}
        assert traffic.sent == sent and traffic.rounds == ROUNDS


async def test_messages_are_uniform_whatever_the_values() -> None:
    seen: dict[Kind, list[bytes]] = {}
    for values in ([5] * 24, list(range(24)), [(1 << 24) - 1] + 23 * [0]):
        for _ in range(12):
            trio = Trio()
            await find(trio, values, 12, Party.GRID)
            for party in Party:
                for label, sent in trio.peer[party].log:
                    seen.setdefault(label.kind, []).append(_low_bytes(label.kind, sent))
    for kind, parts in seen.items():
        assert uneven(b"".join(parts)) < 6.0, kind


def _low_bytes(kind: Kind, sent: np.ndarray[tuple[int, ...], np.dtype[np.uint32]]) -> bytes:
    """The bytes that are wholly random: an element's upper byte and a value's have fewer bits."""
    if kind is Kind.MASKED_CARRIES:
        return sent[:, :-1].tobytes()
    return sent.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
