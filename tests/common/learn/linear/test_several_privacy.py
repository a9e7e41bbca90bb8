"""What each party of several banks is sent is uniform, to any set of banks too, and no pad hides two values."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest

from common.learn.linear import several
from common.learn.linear.several import train_several
from common.mpc.fixedpoint import Words
from common.mpc.prg import Prg, Purpose
from common.mpc.session import OPENS, Array, Kind, Round
from common.mpc.several.hub import Hub, LineCorrelations, rounded_to_banks, to_banks
from common.mpc.tags import MARK_WORDS
from common.party import Party
from tests.banks import Banks, End, several_plan
from tests.common.learn.linear.test_several import COMMON, GRID, RIDGE, World
from tests.common.mpc.uniform import uneven

ROWS, STEPS, JOBS = (120, 90, 110), 3, 6
SUMS, WORDS = 6, 64  # sums that the banks are told, as in preparation, and the words of each
HUB = {Kind.MASKED_UPDATE, Kind.MASKED_OPERAND}
ELSEWHERE = {Kind.SEED, Kind.SEEDS, Kind.NONCES}
Message = tuple[str, int, Round, Array]  # who hears it, on which line


def worlds() -> list[World]:
    """The same rows with both labels, and with labels that are all alike."""
    first, turned, flat = (World(ROWS, seed=3) for _ in range(3))
    turned.y, flat.y = 1.0 - first.y, np.zeros_like(first.y)
    return [first, turned, flat]


async def job(world: World, seed: int) -> tuple[Banks, list[Words]]:
    """Sums that the banks are told, and a training. Every bank brings zeros to the sums, the worst case."""
    plan = several_plan(len(ROWS), model={"iterations": STEPS, "ridge": RIDGE, "period": 32})
    layout, start, banks = world.layout, np.zeros(world.layout.columns), Banks(len(ROWS), seed=seed)

    async def sums(hub: Hub) -> None:
        for _ in range(SUMS):
            await to_banks(hub, np.zeros(WORDS, np.uint64))
            await rounded_to_banks(hub, np.zeros(WORDS, np.uint64), 35)

    async def grid(hub: Hub, lines: list[End]) -> Words:
        await sums(hub)
        return (await train_several(hub, [world.line(line, 4.0) for line in lines], layout, plan.model, start, 0.0)).weights

    async def bank(hub: Hub, end: End) -> Words:
        await sums(hub)
        own = start.copy()
        own[GRID + COMMON + end.number] = 0.1 * (end.number + 1)
        return (await train_several(hub, [world.line(end, 4.0)], layout, plan.model, own, 1.0)).weights

    return banks, await banks.run(grid, bank, plan)


def messages(banks: Banks) -> Iterator[Message]:
    """All that is sent in a job and opens nothing, by who hears it."""
    for who, line, label, values in banks.heard():
        if label.kind not in {*OPENS, *ELSEWHERE}:  # the mark of a key is the same in all jobs
            yield who, line, label, values[:-MARK_WORDS] if label.kind is Kind.DEALT_TAGS else values


@pytest.fixture(scope="module")
def seen() -> dict[tuple[str, Kind], list[bytes]]:
    """By who hears it and its kind, all that was sent in several jobs."""
    found: dict[tuple[str, Kind], list[bytes]] = defaultdict(list)

    async def jobs() -> None:
        for number, world in enumerate(worlds()):
            for again in range(JOBS):
                banks, _ = await job(world, 100 * number + again)
                for who, line, label, values in messages(banks):
                    if line == 0 or who != "grid" or label.kind not in HUB:  # there all banks say the same
                        found[who, label.kind].append(values.tobytes())

    asyncio.run(jobs())
    return found


def test_every_message_is_uniform(seen: dict[tuple[str, Kind], list[bytes]]) -> None:
    kinds = {who: {kind for other, kind in seen if other == who} for who in ("grid", "bank 0", "bank 2")}
    both = HUB | {Kind.MASKED_MATRIX, Kind.MASKED_WEIGHTS, Kind.MASKED_U, Kind.MASKED_RESIDUAL}
    dealt = {Kind.DEALT_LINK, Kind.DEALT_TRUNCATION, Kind.DEALT_CUT, Kind.DEALT_TAGS}
    assert kinds["grid"] == both | dealt | {Kind.MASKED_ADDEND, Kind.DEALT_SUM}
    assert kinds["bank 0"] == kinds["bank 2"] == both | dealt - {Kind.DEALT_TRUNCATION, Kind.DEALT_CUT}
    for key, parts in seen.items():
        data = b"".join(parts)
        assert len(data) > 1500 and uneven(data) < 6.0, key


def test_what_any_two_banks_hear_of_the_steps_together_is_uniform(seen: dict[tuple[str, Kind], list[bytes]]) -> None:
    """What is said to each on its own line; differences between what two hear are of different pads too."""
    for one, other in combinations(("bank 0", "bank 1", "bank 2"), 2):
        for kind in (Kind.MASKED_U, Kind.MASKED_WEIGHTS):
            first = (
                1 + STEPS if kind is Kind.MASKED_WEIGHTS else 0
            )  # arrays a job, of which the first is said to all banks alike
            both = zip(seen[one, kind], seen[other, kind], strict=True)
            pairs = [pair for place, pair in enumerate(both) if not first or place % first]
            width = 2 if kind is Kind.MASKED_U else 8
            apart = [
                np.frombuffer(a[:n], f"<u{width}") - np.frombuffer(b[:n], f"<u{width}")
                for a, b in pairs
                if (n := min(len(a), len(b)))
            ]
            assert uneven(np.concatenate(apart).tobytes()) < 6.0, (one, other, kind)


def test_a_sum_without_its_mask_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LineCorrelations, "sum_mask", lambda self, number, count: np.zeros(count, np.uint64))

    async def arrived(*_: object) -> bool:  # what is not masked spoils the training, too
        return True

    monkeypatch.setattr(several, "check_arrived", arrived)

    async def heard() -> bytes:
        banks, _ = await job(worlds()[0], 1)
        return b"".join(values.tobytes() for who, _, label, values in messages(banks) if label.kind is Kind.MASKED_ADDEND)

    assert uneven(asyncio.run(heard())) > 100.0


def test_the_grid_sees_no_banks_sum_and_no_sum_of_two() -> None:
    """What the grid holds of one bank's addends, or of two banks', says nothing of them: other pads make it another thing."""

    async def addends(seed: int) -> list[Words]:
        banks, _ = await job(worlds()[2], seed)
        return banks.addends()

    every = [asyncio.run(addends(seed)) for seed in range(8)]
    for some in [*combinations(range(3), 1), *combinations(range(3), 2)]:
        told = np.concatenate([np.sum([one[k] for k in some], axis=0, dtype=np.uint64) for one in every])
        assert uneven(told.tobytes()) < 6.0, some


async def test_no_pad_hides_two_values(streams: dict[Prg, list[tuple[bytes, Purpose, int]]]) -> None:
    """As many pads of each kind as values that they hide: each sent once, on one line, or by all banks alike."""
    world = worlds()[0]
    banks, _ = await job(world, 1)
    expanded = {key for used in streams.values() for key in used}
    counts = Counter(purpose for _, purpose, _ in expanded)
    seeds = {seed for seed, purpose, _ in expanded if purpose is Purpose.SUM}
    assert len(seeds) == 3 and counts[Purpose.SUM] == 3 * counts[Purpose.SUM_OUT]
    sent = Counter(
        (line, party, label.kind) for line in range(3) for party in Party for label, _ in banks.peer[line][party].log
    )
    assert counts[Purpose.SUM_OUT] == 2 * SUMS + 2 + STEPS == sent[0, Party.BANK, Kind.MASKED_ADDEND]
    lines = [(line, party) for line in range(3) for party in Party]
    for kind, purpose in ((Kind.MASKED_U, Purpose.ANGLE), (Kind.MASKED_RESIDUAL, Purpose.RESIDUAL)):
        assert counts[purpose] == sum(sent[line, party, kind] for line, party in lines) == 6 * STEPS
    weights = sum(sent[line, party, Kind.MASKED_WEIGHTS] for line, party in lines)
    first = 3 + 1  # before the steps the grid says one thing to all banks, and the first bank for all to it
    assert counts[Purpose.WEIGHTS] - 2 == weights - first == 6 * STEPS
    hub = sent[
        0, Party.GRID, Kind.MASKED_UPDATE
    ]  # what the grid says to all banks, and the first bank for all to it, is one value each
    assert all(sent[*at, Kind.MASKED_UPDATE] == (hub if at[1] is Party.GRID or not at[0] else 0) for at in lines)
    assert counts[Purpose.TRUNCATION] == 2 * hub
    products = sent[0, Party.GRID, Kind.MASKED_OPERAND] - 1  # all but the first have parts of a mask dealt, as truncations have
    assert counts[Purpose.TRUNCATION_BODY] == counts[Purpose.TRUNCATION_TOP] == hub + products
    assert counts[Purpose.CUT] == STEPS
