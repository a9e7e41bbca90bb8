"""Sums over banks: exact, the same at each bank, uniform to the grid, and never padded twice by one pad."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from common.errors import PeerProtocolError
from common.mpc.fixedpoint import Words
from common.mpc.prg import Prg, Purpose
from common.mpc.session import Kind
from common.mpc.several.hub import BankHub, GridHub, Hub, means_to_banks, rounded_to_banks, to_banks
from common.mpc.several.seeds import common_nonce, take_nonces
from common.party import Party
from tests.banks import Banks, End, nonce
from tests.patience import patience

WORDS = np.array([0, 1, 2**63, 2**64 - 1, 12345], np.uint64)


def own(bank: int) -> Words:
    return WORDS * np.uint64(bank + 3) + np.uint64(bank)


async def sums(banks: Banks, rounds: int = 1) -> list[list[Words]]:
    """Each end's shares of sums of `own`, the grid bringing ones."""

    async def shared(hub: Hub, mine: Words) -> list[Words]:
        return [await hub.shared(await hub.order(len(mine)), mine) for _ in range(rounds)]

    return await banks.run(lambda hub, _: shared(hub, np.ones_like(WORDS)), lambda hub, end: shared(hub, own(end.number)))


@pytest.mark.parametrize("count", [2, 3, 8])
async def test_shares_of_a_sum_are_the_same_at_all_banks_and_sum_to_it(count: int) -> None:
    (grid,), *others = await sums(Banks(count))
    want = np.ones_like(WORDS) + sum((own(k) for k in range(count)), np.zeros_like(WORDS))
    assert all(np.array_equal(other[0], others[0][0]) for other in others)
    assert np.array_equal(grid + others[0][0], want)


async def test_a_sum_told_to_the_banks_is_theirs_alone() -> None:
    async def at_grid(hub: GridHub, _: list[End]) -> Words:
        return await to_banks(hub, np.zeros_like(WORDS))

    async def at_bank(hub: BankHub, end: End) -> Words:
        return await to_banks(hub, own(end.number))

    banks = Banks(3)
    grid, *others = await banks.run(at_grid, at_bank)
    assert not grid.any()
    assert all(np.array_equal(found, own(0) + own(1) + own(2)) for found in others)
    # What the grid has in the end: its share, which is what it sends; with another seed it is another one.
    sent = [values for label, values in banks.peer[0][Party.GRID].log if label.kind is Kind.POOLED_SHARE]
    again = Banks(3, seed=1)
    await again.run(at_grid, at_bank)
    other = [values for label, values in again.peer[0][Party.GRID].log if label.kind is Kind.POOLED_SHARE]
    assert len(sent) == len(other) == 1 and (sent[0] != other[0]).all()


async def test_a_sum_is_rounded_before_anybody_sees_it() -> None:
    values = {0: [0.3, -0.7, 5.0], 1: [0.1, 0.2, -2.5]}

    async def at_bank(hub: BankHub, end: End) -> Words:
        words = np.round(np.array(values[end.number]) * 2.0**40).astype(np.int64).view(np.uint64)
        return await rounded_to_banks(hub, words, 35)

    _, one, two = await Banks(2).run(lambda hub, _: rounded_to_banks(hub, np.zeros(3, np.uint64), 35), at_bank)
    assert np.array_equal(one, two)
    found = one.view(np.int64) / 32
    assert np.abs(found - [0.4, -0.5, 2.5]).max() <= 1 / 32


async def test_means_keep_their_digits() -> None:
    async def at_bank(hub: BankHub, end: End) -> Words:
        return await means_to_banks(hub, np.array([1e-9, -1234.5, 2.0**17]) * (end.number + 1))

    _, one, _ = await Banks(2).run(lambda hub, _: means_to_banks(hub, np.zeros(3)), at_bank)
    assert np.abs(one - np.array([3e-9, -3703.5, 3 * 2.0**17])).max() < 2.0**-38


async def test_what_the_grid_hears_is_uniform_whatever_is_summed() -> None:
    """Of zeros, the worst case: each byte of what the banks send and of what the dealer deals is as likely as any other."""

    async def many(hub: Hub) -> None:
        for _ in range(40):
            await hub.shared(await hub.order(512), np.zeros(512, np.uint64))

    banks = Banks(3)
    await banks.run(lambda hub, _: many(hub), lambda hub, _: many(hub))
    for k in range(3):
        heard = [values for label, values in banks.peer[k][Party.BANK].log if label.kind is Kind.MASKED_ADDEND]
        assert _chi(np.concatenate(heard)) < 5.0
    dealt = [values for label, values in banks.at_dealer[0][Party.GRID].log if label.kind is Kind.DEALT_SUM]
    assert len(dealt) == 40 and _chi(np.concatenate(dealt)) < 5.0


def _chi(words: Words) -> float:
    """How many deviations the bytes' chi-square is from what uniform ones give."""
    counts = np.bincount(words.view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    return abs(float(((counts - expected) ** 2 / expected).sum()) - 255.0) / np.sqrt(2 * 255.0)


async def test_no_pad_hides_two_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[bytes, Purpose, int]] = []
    words = Prg.words

    def recorded(self: Prg, purpose: Purpose, counter: int, count: int) -> Words:
        used.append((self._seed, purpose, counter))
        return words(self, purpose, counter, count)

    monkeypatch.setattr(Prg, "words", recorded)
    await sums(Banks(3), rounds=5)
    pads = [key for key in used if key[1] is Purpose.SUM]
    seeds = {key[0] for key in pads}
    assert len(seeds) == 3  # each bank has its own, and the dealer expands the same
    assert len(set(pads)) == 15 and all(pads.count(key) == 2 for key in set(pads))
    out = [key for key in used if key[1] is Purpose.SUM_OUT]
    assert len({key[0] for key in out}) == 1 and all(out.count(key) == 4 for key in set(out))  # three banks and the dealer
    assert not seeds & {key[0] for key in out}


async def test_a_bank_that_says_another_thing_than_the_others_is_named() -> None:
    async def at_grid(hub: GridHub, _: list[End]) -> None:
        await hub.session.exchange(Kind.MASKED_UPDATE, WORDS)

    async def at_bank(hub: BankHub, end: End) -> None:
        await hub.session.exchange(Kind.MASKED_UPDATE, WORDS + np.uint64(end.number == 1))

    with pytest.raises(PeerProtocolError, match="the bank 1 says another thing than the bank 0"):
        await Banks(3).run(at_grid, at_bank)


async def test_under_pads_of_all_banks_the_first_alone_speaks_whatever_each_is_told() -> None:
    """Else a grid that tells banks unlike things would hear unlike answers under one pad, and their difference."""

    async def at_grid(hub: GridHub, lines: list[End]) -> None:
        for end in lines:
            await end.session.send(Kind.MASKED_SUMS, WORDS + np.uint64(end.number))
        await hub.spoken.collect(Kind.MASKED_UPDATE, np.uint64, WORDS.shape)

    async def at_bank(hub: BankHub, end: End) -> None:
        told = await hub.spoken.receive(Kind.MASKED_SUMS, np.uint64, WORDS.shape)
        await hub.spoken.send(Kind.MASKED_UPDATE, told + hub.correlations.secret(Purpose.SPLIT, len(WORDS)))

    banks = Banks(3)
    await banks.run(at_grid, at_bank)
    assert [len(banks.peer[k][Party.BANK].log) for k in range(3)] == [1, 0, 0]


def _answered(said: Words, unlike: str) -> list[Words]:
    """What a grid tells each bank of the hashes that all said, (banks, bytes)."""
    if unlike == "replayed":  # to each bank its own in place of another's
        return [np.stack([own] * len(said)) for own in said]
    return [said] * len(said)


@pytest.mark.parametrize("answer", ["honest", "replayed"])
async def test_banks_that_were_told_unlike_sums_find_out(answer: str) -> None:
    async def at_grid(hub: GridHub, lines: list[End]) -> None:
        number = await hub.order(len(WORDS))
        share = await hub.shared(number, np.zeros_like(WORDS))
        for end in lines:
            await end.session.send(Kind.POOLED_SHARE, share + np.uint64(end.number == 2))
        said = np.stack(await hub.banks.each(Kind.HEARD, np.uint8, (32,)))
        for end, told in zip(lines, _answered(said, answer), strict=True):
            await end.session.send(Kind.HEARD, told)
        await lines[0].session.receive(Kind.SHAPE, np.uint64, (1,))

    found: dict[int, str] = {}

    async def at_bank(hub: BankHub, end: End) -> None:
        await to_banks(hub, own(end.number))
        try:
            await hub.compare()
        except PeerProtocolError as error:
            found[end.number] = error.message
        if len(found) == 3:
            await asyncio.sleep(0)
            raise PeerProtocolError("all have found out")
        await asyncio.sleep(30)

    with pytest.raises(PeerProtocolError, match="all have found out"):
        await Banks(3).run(at_grid, at_bank)
    if answer == "honest":
        assert found[0].startswith("the bank 2 and this bank") and found[2].startswith("the bank 0, the bank 1 and this bank")
    else:
        assert all("have not heard the same of the grid" in text for text in found.values())


async def test_banks_that_were_told_the_same_go_on_however_often_they_compare() -> None:
    async def at_grid(hub: GridHub, _: list[End]) -> None:
        for _again in range(3):
            await rounded_to_banks(hub, np.zeros_like(WORDS), 3)
            await hub.compare()

    async def at_bank(hub: BankHub, end: End) -> bytes:
        for _again in range(3):
            await rounded_to_banks(hub, np.full_like(WORDS, 5), 3)
            await hub.compare()
        return hub.heard.digest()

    banks = Banks(3)
    _, *digests = await banks.run(at_grid, at_bank)
    assert len(set(digests)) == 1
    said = [values.tobytes() for k in range(3) for label, values in banks.peer[k][Party.BANK].log if label.kind is Kind.HEARD]
    assert len(set(said)) == 9  # each time and at each bank another one


async def test_only_what_all_have_is_common_and_no_bank_hears_it_before_all_have_said_it() -> None:
    points, heard = {0: [5, 7, 9, 0], 1: [7, 9, 11, 5], 2: [9, 5, 6, 0]}, list[int]()

    async def at_grid(hub: GridHub, _: list[End]) -> Words:
        return await hub.session.common(Kind.RESUME, np.array([4, 5, 9, 13], np.uint64))

    async def at_bank(hub: BankHub, end: End) -> Words:
        if end.number == 2:
            await asyncio.sleep(0.05)
            assert not heard
        found = await hub.session.common(Kind.RESUME, np.array(points[end.number], np.uint64))
        heard.append(end.number)
        return found

    grid, *others = await asyncio.wait_for(Banks(3).run(at_grid, at_bank), patience(30))
    assert [sorted(set(found.tolist()) - {0}) for found in (grid, *others)] == [[5, 9]] * 4


async def test_lines_that_ask_for_different_sums_are_not_dealt_to() -> None:
    async def at_grid(hub: GridHub, lines: list[End]) -> None:
        await hub.order(5)
        await lines[0].session.receive(Kind.SHAPE, np.uint64, (1,))

    async def at_bank(hub: BankHub, end: End) -> None:
        await hub.order(5 + (end.number == 1))
        await end.session.receive(Kind.SHAPE, np.uint64, (1,))

    with pytest.raises(PeerProtocolError, match="different things"):
        await asyncio.wait_for(Banks(2).run(at_grid, at_bank), patience(30))


class _Said:
    """A dealer's channel that says what it is given."""

    def __init__(self, told: bytes) -> None:
        self._told = np.frombuffer(told, np.uint8)

    async def receive(self, _: object) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        return self._told


async def test_a_bank_looks_for_what_it_brought_to_the_seed_of_all() -> None:
    mine, other = nonce(0, Party.BANK), nonce(1, Party.BANK)
    assert await take_nonces(_Said(mine + other), mine, 0, 2) == common_nonce([mine, other])  # type: ignore[arg-type]
    for told in (other + mine, other + other, mine + mine):
        with pytest.raises(PeerProtocolError, match="what this bank brought"):
            await take_nonces(_Said(told), mine, 0, 2)  # type: ignore[arg-type]
