"""Seeds that either party has met, or that are equal, end a job at both before it begins."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from common.errors import PeerProtocolError
from common.home.seedbook import SeedBook
from common.mpc.correlations.dealt import DealtSeed
from common.mpc.seeds import fingerprint, fresh_nonce, own_seed
from common.mpc.session import Kind
from common.party import Party
from common.stages.seeds import agree_on_seeds
from tests.peers import Trio

ONE, TWO, THREE, FOUR = (bytes([k]) * 32 for k in range(4))
Pair = dict[Party, bytes]


def pair(grid: bytes, bank: bytes) -> Pair:
    return {Party.GRID: grid, Party.BANK: bank}


async def agree(
    folder: Path, dealt: Pair, nonces: Pair | None = None, says: tuple[bytes, bytes] | None = None
) -> tuple[list[bytes | BaseException], Trio]:
    """What each party makes of what it is dealt, or why it refuses; says: what the dealer commits itself to."""
    own = nonces or pair(fresh_nonce(), fresh_nonce())
    trio = Trio()
    books = {party: SeedBook(folder / f"{party.value}.sqlite") for party in Party}
    committed = says or tuple(fingerprint(own_seed(dealt[p], own[p])) for p in Party)
    sides = (agree_on_seeds(trio.session[p], DealtSeed(dealt[p], committed), own[p], books[p]) for p in Party)
    return list(await asyncio.gather(*sides, return_exceptions=True)), trio


def refused(outcome: list[bytes | BaseException]) -> bool:
    """Whether both refuse, in the same words; fails if only one does."""
    bad = [isinstance(found, PeerProtocolError) for found in outcome]
    assert bad[0] == bad[1]
    assert len({str(found) for found in outcome if isinstance(found, PeerProtocolError)}) <= 1
    return bad[0]


async def test_new_seeds_are_taken_and_only_fingerprints_are_sent(tmp_path: Path) -> None:
    nonces = pair(fresh_nonce(), fresh_nonce())
    outcome, trio = await agree(tmp_path, pair(ONE, TWO), nonces)
    assert outcome == [own_seed(ONE, nonces[Party.GRID]), own_seed(TWO, nonces[Party.BANK])]
    for party in Party:
        sent = [(label.kind, values.nbytes) for label, values in trio.peer[party].log]
        assert sent == [(Kind.SEEDS, 64), (Kind.SEEDS, 1)]
        said = b"".join(values.tobytes() for _, values in trio.peer[party].log)
        assert not any(secret in said for secret in (ONE, TWO, *nonces.values(), *outcome) if isinstance(secret, bytes))


async def test_one_seed_for_both(tmp_path: Path) -> None:
    assert refused((await agree(tmp_path, pair(ONE, ONE)))[0])


@pytest.mark.parametrize("again", [pair(ONE, FOUR), pair(FOUR, TWO), pair(TWO, FOUR), pair(FOUR, ONE)])
async def test_a_seed_that_was_dealt_before_to_either(tmp_path: Path, again: Pair) -> None:
    assert not refused((await agree(tmp_path, pair(ONE, TWO)))[0])
    assert refused((await agree(tmp_path, again))[0])
    assert not refused((await agree(tmp_path, pair(bytes(range(32)), bytes(range(1, 33)))))[0])


@pytest.mark.parametrize("forgets", list(Party))
async def test_a_party_whose_book_was_lost_is_told_by_the_other(tmp_path: Path, forgets: Party) -> None:
    await agree(tmp_path, pair(ONE, TWO))
    (tmp_path / f"{forgets.value}.sqlite").unlink()
    assert refused((await agree(tmp_path, pair(ONE, TWO)))[0])


async def test_a_party_restored_with_its_generator(tmp_path: Path) -> None:
    """It makes the very seed of an earlier job; only the other party can know."""
    nonces = pair(THREE, FOUR)
    await agree(tmp_path, pair(ONE, TWO), nonces)
    (tmp_path / "grid.sqlite").unlink()
    outcome, _ = await agree(tmp_path, pair(ONE, bytes(range(32))), pair(THREE, fresh_nonce()))
    assert refused(outcome)


async def test_a_seed_is_met_though_the_other_party_never_answers(tmp_path: Path) -> None:
    book, trio = SeedBook(tmp_path / "grid.sqlite"), Trio()
    dealt = DealtSeed(ONE, (ONE, TWO))
    alone = asyncio.create_task(agree_on_seeds(trio.session[Party.GRID], dealt, TWO, book))
    while not trio.peer[Party.GRID].log:
        await asyncio.sleep(0)
    alone.cancel()
    assert refused((await agree(tmp_path, pair(ONE, TWO)))[0])


@pytest.mark.parametrize("party", list(Party))
async def test_the_seed_of_a_stock_is_met_when_it_is_dealt_and_never_taken_again(tmp_path: Path, party: Party) -> None:
    """A dealer, and a generator, that come back with what a stock was made of: the stock is as good as used."""
    nonces = pair(THREE, FOUR)
    assert not refused((await agree(tmp_path, pair(ONE, TWO), nonces))[0])  # as every job begins, one that deals ahead too
    fresh = {p: bytes([9 + k]) * 32 for k, p in enumerate(Party)}
    assert refused((await agree(tmp_path, fresh | {party: pair(ONE, TWO)[party]}, nonces))[0])


async def test_a_dealer_that_deals_one_seed_to_both_learns_nothing_for_either(tmp_path: Path) -> None:
    """What was an attack: with one seed for both, each could take the other's masks off. No job begins."""
    outcome, trio = await agree(tmp_path, pair(ONE, ONE))
    assert refused(outcome)
    said = {party: trio.peer[party].log[0][1].tobytes() for party in Party}
    assert said[Party.GRID][:32] == said[Party.BANK][:32] and said[Party.GRID][32:] != said[Party.BANK][32:]
    assert {label.kind for party in Party for label, _ in trio.peer[party].log} == {Kind.SEEDS}


@pytest.mark.parametrize("which", [0, 1])
async def test_a_dealer_that_commits_itself_to_other_seeds_is_found(tmp_path: Path, which: int) -> None:
    dealt, nonces = pair(ONE, TWO), pair(THREE, FOUR)
    grid, bank = (fingerprint(own_seed(dealt[p], nonces[p])) for p in Party)
    said = (bytes(32), bank) if which == 0 else (grid, bytes(32))
    assert refused((await agree(tmp_path, dealt, nonces, said))[0])
    assert not refused((await agree(tmp_path / "anew", dealt, nonces, (grid, bank)))[0])
