"""What each party of a network of several banks is sent is uniform, to any two banks too, and no pad hides two values."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from common.learn.network import several
from common.learn.network.weights import Weights
from common.mpc.fixedpoint import Words
from common.mpc.prg import Prg, Purpose
from common.mpc.session import OPENS, Array, Kind, Round
from common.mpc.several.hub import HubCorrelations, LineCorrelations
from common.party import Party
from common.plan.network import Network
from tests.banks import Banks
from tests.common.learn.network.test_several import World, trained
from tests.common.mpc.uniform import uneven

ROWS, JOBS = (120, 90, 110), 4
SECTION = Network(hidden=3, epochs=2, batch=160)
RELU = SECTION.model_copy(update={"activation": "relu", "hidden": 8})  # what is dealt for signs fills its words
EARLY = SECTION.model_copy(update={"early_stop": 2, "epochs": 12})  # a step an epoch, of which the tenth is looked at first
HUB = {Kind.MASKED_UPDATE, Kind.MASKED_COMPARED}
BITS = {Kind.MASKED_DIGITS, Kind.MASKED_SIGNS}  # of a few values in a byte: compare/test_signs.py looks at many
ELSEWHERE = {Kind.SEED, Kind.SEEDS, Kind.NONCES, *BITS}
Message = tuple[str, int, Round, Array]  # who hears it, on which line


def worlds() -> list[World]:
    """The same rows with both labels, and with nearly all labels alike."""
    first = World.made(ROWS, seed=3)
    few = np.zeros_like(first.label)
    few[[first.at(k).start for k in range(len(ROWS))]] = 1.0
    return [first, replace(first, label=1.0 - first.label), replace(first, label=few)]


async def job(world: World, seed: int, section: Network = SECTION) -> tuple[Banks, list[Weights]]:
    banks = Banks(len(ROWS), seed=seed)
    return banks, await trained(world, section, banks)


def messages(banks: Banks) -> Iterator[Message]:
    """All that is sent in a job and opens nothing, by who hears it."""
    yield from (one for one in banks.heard() if one[2].kind not in {*OPENS, *ELSEWHERE})


@pytest.fixture(scope="module", params=[SECTION, RELU, EARLY], ids=["sine", "relu", "early"])
def seen(request: pytest.FixtureRequest) -> dict[tuple[str, Kind], list[bytes]]:
    """By who hears it and its kind, all that was sent in several jobs."""
    found: dict[tuple[str, Kind], list[bytes]] = defaultdict(list)

    async def jobs() -> None:
        for number, world in enumerate(worlds()):
            for again in range(JOBS):
                banks, _ = await job(world, 100 * number + again, request.param)
                for who, line, label, values in messages(banks):
                    shared = label.kind in HUB or (label.kind is Kind.MASKED_WEIGHTS and len(values) == request.param.hidden)
                    if line == 0 or who != "grid" or not shared:  # there all banks say the same
                        found[who, label.kind].append(values.tobytes())

    asyncio.run(jobs())
    return found


def test_every_message_is_uniform(seen: dict[tuple[str, Kind], list[bytes]]) -> None:
    kinds = {who: {kind for other, kind in seen if other == who} for who in ("grid", "bank 0", "bank 2")}
    few = {Kind.MASKED_COMPARED}  # a word an epoch
    both = {Kind.MASKED_UPDATE} | {Kind.MASKED_MATRIX, Kind.MASKED_WEIGHTS, Kind.MASKED_HIDDEN, Kind.MASKED_U}
    both |= {Kind.MASKED_RESIDUAL, Kind.MASKED_BACK, Kind.DEALT_HIDDEN, Kind.DEALT_LINK}
    signs = kinds["grid"] & {Kind.DEALT_DIGITS} | few
    assert kinds["grid"] - signs == both | {Kind.MASKED_ADDEND, Kind.DEALT_SUM, Kind.DEALT_TRUNCATION, Kind.DEALT_CUT}
    assert kinds["bank 0"] - signs == kinds["bank 2"] - signs == both
    for key, parts in seen.items():
        data = b"".join(parts)
        if key[1] is Kind.DEALT_DIGITS and len(data) < 1500:
            continue  # of one value, with zeros up to a whole word
        assert uneven(data) < 6.0 and (len(data) > 1500 or key[1] in few), key


def test_what_any_two_banks_hear_of_the_steps_together_is_uniform(seen: dict[tuple[str, Kind], list[bytes]]) -> None:
    """What is said to each on its own line; differences between what two hear are of different pads too."""
    for one, other in combinations(("bank 0", "bank 1", "bank 2"), 2):
        for kind, width in ((Kind.MASKED_U, 4), (Kind.MASKED_BACK, 8), (Kind.MASKED_RESIDUAL, 8)):
            apart = []
            for a, b in zip(seen[one, kind], seen[other, kind], strict=True):
                n = min(len(a), len(b))
                apart.append(np.frombuffer(a[:n], f"<u{width}") - np.frombuffer(b[:n], f"<u{width}"))
            assert uneven(np.concatenate(apart).tobytes()) < 6.0, (one, other, kind)


@pytest.mark.parametrize(
    ("where", "name", "purpose", "kind"),
    [
        (LineCorrelations, "sum_mask", None, Kind.MASKED_ADDEND),
        (HubCorrelations, "mask", Purpose.OUTPUT_WEIGHTS, Kind.MASKED_WEIGHTS),
    ],
)
def test_a_missing_mask_would_be_found(
    monkeypatch: pytest.MonkeyPatch, where: type, name: str, purpose: Purpose | None, kind: Kind
) -> None:
    original = getattr(where, name)

    def bare(self: object, *args: object) -> Words:
        found: Words = original(self, *args)
        return np.zeros_like(found) if purpose is None or args[0] is purpose else found

    async def arrived(*_: object) -> bool:  # what is not masked spoils the training, too
        return True

    monkeypatch.setattr(where, name, bare)
    monkeypatch.setattr(several, "check_arrived", arrived)

    async def heard() -> bytes:
        every = [await job(worlds()[2], seed) for seed in range(2)]
        words = [
            v.tobytes()
            for banks, _ in every
            for _, _, label, v in messages(banks)
            if label.kind is kind and (kind is not Kind.MASKED_WEIGHTS or len(v) == SECTION.hidden)
        ]
        return b"".join(words)

    assert uneven(asyncio.run(heard())) > 20.0


def test_the_grid_sees_no_banks_sum_and_no_sum_of_two() -> None:
    """What the grid holds of one bank's addends, or of two banks', says nothing of them: other pads make it another thing."""

    async def addends(seed: int) -> list[Words]:
        banks, _ = await job(worlds()[2], seed)
        return banks.addends()

    every = [asyncio.run(addends(seed)) for seed in range(8)]
    for some in [*combinations(range(3), 1), *combinations(range(3), 2)]:
        told = np.concatenate([np.sum([one[k] for k in some], axis=0, dtype=np.uint64) for one in every])
        assert uneven(told.tobytes()) < 6.0, some


async def test_no_pad_of_a_loss_or_its_comparison_hides_two_values(
    streams: dict[Prg, list[tuple[bytes, Purpose, int]]],
) -> None:
    banks, _ = await job(worlds()[0], 1, EARLY)
    again = {Purpose.MATRIX, Purpose.COMPARE_PADS}  # by the dealer for each epoch; once more for the bit that hides a sign
    for used in streams.values():
        assert not [key for key, count in Counter(used).items() if count > 1 and key[1] not in again]
    counts = Counter(purpose for _, purpose, _ in {key for used in streams.values() for key in used})
    sent = Counter(label.kind for line in range(3) for party in Party for label, _ in banks.peer[line][party].log)
    compared, steps = sent[Kind.MASKED_COMPARED] // 4, sent[Kind.MASKED_UPDATE] // 8
    assert compared and steps == 10 + compared
    looked = compared + 1
    assert counts[Purpose.UNIT_SUMS] == 2 * compared  # the grid's, and the one that all banks have
    assert counts[Purpose.CUT] == 3 * looked + steps and counts[Purpose.OUTPUT_WEIGHTS] == 2 * (steps + looked)
    assert counts[Purpose.RESIDUAL] == 6 * (steps + looked) == sent[Kind.MASKED_RESIDUAL]
    assert counts[Purpose.SUM] == 3 * counts[Purpose.SUM_OUT] == 3 * (1 + steps + looked)


@pytest.mark.parametrize("section", [SECTION, RELU], ids=["sine", "relu"])
async def test_no_pad_hides_two_values(
    streams: dict[Prg, list[tuple[bytes, Purpose, int]]], monkeypatch: pytest.MonkeyPatch, section: Network
) -> None:
    """As many pads of each kind as values that they hide: each sent once, on one line, or by all banks alike."""
    monkeypatch.setattr("common.learn.network.steps.SPAN_CELLS", 60)
    banks, _ = await job(worlds()[0], 1, section)
    for used in streams.values():
        assert not [key for key, count in Counter(used).items() if count > 1]
    counts = Counter(purpose for _, purpose, _ in {key for used in streams.values() for key in used})
    sent = Counter(
        (line, party, label.kind) for line in range(3) for party in Party for label, _ in banks.peer[line][party].log
    )
    lines, steps = [(line, party) for line in range(3) for party in Party], 4
    pads = {Kind.MASKED_U: Purpose.ANGLE, Kind.MASKED_RESIDUAL: Purpose.RESIDUAL, Kind.MASKED_BACK: Purpose.BACK}
    for kind, purpose in pads.items():
        assert counts[purpose] == sum(sent[*at, kind] for at in lines) > 6 * steps
    assert counts[Purpose.WEIGHTS] == 6 * steps and counts[Purpose.OUTPUT_WEIGHTS] == 2 * steps
    spoken = {at: 0 if at[0] and at[1] is Party.BANK else steps for at in lines}  # the first bank speaks for all
    assert all(sent[*at, Kind.MASKED_WEIGHTS] == steps + spoken[at] for at in lines)
    assert counts[Purpose.SUM] == 3 * counts[Purpose.SUM_OUT] == 3 * (1 + steps)
    assert all(sent[*at, Kind.MASKED_UPDATE] == 2 * spoken[at] for at in lines)
    assert counts[Purpose.TRUNCATION] == 4 * steps and counts[Purpose.CUT] == steps
    assert counts[Purpose.TRUNCATION_BODY] == counts[Purpose.TRUNCATION_TOP] == 2 * steps
