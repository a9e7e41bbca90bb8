"""Every message of a network's training and scoring that opens nothing is uniform, and no key stream serves twice."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from common.mpc.prg import Prg, Purpose
from common.mpc.session import OPENS, Array, Kind, Round
from common.party import Party
from common.plan.network import Network
from tests.common.learn.network.problems import Problem, scored, trained
from tests.common.mpc.problems import run
from tests.common.mpc.test_privacy import SURE, Sample, suspicious
from tests.extent import extent
from tests.peers import Trio

JOBS = extent(50, 150)  # each missing mask below is found in 40
PROBLEM = Problem.made(6)
SECTION = Network(hidden=2, epochs=2, batch=6, step=8.0, decay=1e-4)
RELU = Network(hidden=4, epochs=2, batch=6, step=2.0, decay=1e-4, activation="relu")  # what is dealt for signs fills its words
SECTIONS = {"sine": SECTION, "relu": RELU}
EARLY = SECTION.model_copy(update={"early_stop": 9})
NEW = {Kind.MASKED_HIDDEN, Kind.MASKED_BACK, Kind.DEALT_HIDDEN, Kind.DEALT_CUT}
BITS = {Kind.MASKED_DIGITS.value, Kind.MASKED_SIGNS.value}  # of a few values in a byte: compare/test_signs.py looks at many

pytestmark = pytest.mark.untraced


async def one_job(seed: int, problem: Problem, section: Network) -> list[tuple[str, str, Array]]:
    """A training, and a scoring of its rows by what came of it, with another seed."""
    found = []
    for trio, what in ((Trio(seed=2 * seed), "trained"), (Trio(seed=2 * seed + 1), "scored")):
        if what == "trained":
            shares = await trained(trio, problem, section)
        else:
            await scored(trio, problem, shares, activation=section.activation)
        messages = [(party.value, *entry) for party in Party for entry in trio.peer[party].log]
        dealt = [(f"dealer to {party.value}", *entry) for party in Party for entry in trio.to_party[party].log]
        found += [(who, f"{label} {what}", values) for who, label, values in messages + dealt if _looked_at(label)]
    for party, share in shares.items():
        found.append((party.value, "shares", share.joined(party)))
    return found


def _looked_at(label: Round) -> bool:
    return label.kind not in OPENS and label.kind.value not in BITS


def collect(problem: Problem, jobs: range, section: Network = SECTION) -> Sample:
    async def all_jobs() -> Sample:
        words: dict[tuple[str, str], list[Array]] = defaultdict(list)
        for seed in jobs:
            for who, label, values in await one_job(seed, problem, section):
                words[who, label].append(values.ravel())
        stacked = {key: np.stack(values) for key, values in words.items()}
        return {(*key, i): column for key, block in stacked.items() for i, column in enumerate(block.T)}

    async def in_place(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", in_place)
        result: Sample = run(all_jobs())
    return result


@pytest.fixture(scope="module", params=SECTIONS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sample(name: str) -> Sample:
    return collect(PROBLEM, range(JOBS), SECTIONS[name])


def test_what_opens_nothing_is_uniform(sample: Sample) -> None:
    assert suspicious(sample) == set()


def test_every_kind_of_message_of_a_network_was_looked_at(sample: Sample) -> None:
    assert {kind.value for kind in NEW} <= {label.split("/")[0] for _, label, _ in sample}
    assert {who for who, label, _ in sample if label == "shares"} == {p.value for p in Party}


def test_what_the_grid_receives_does_not_depend_on_the_labels(sample: Sample, name: str) -> None:
    flipped = Problem(PROBLEM.grid, PROBLEM.bank, 1.0 - PROBLEM.label)
    after = collect(flipped, range(JOBS, JOBS + extent(40, 100)), SECTIONS[name])
    to_grid = [key for key in sample if key[0] in ("dealer to grid", "bank")]
    assert len(to_grid) > 100
    worst = min(float(stats.ks_2samp(sample[key], after[key], method="asymp").pvalue) for key in to_grid)
    assert worst > SURE


def unmasked(purpose: Purpose) -> Callable[[pytest.MonkeyPatch], None]:
    """A party that leaves out the mask of this purpose, the dealer too."""

    def spoil(patch: pytest.MonkeyPatch) -> None:
        for name in ("words", "half_words"):
            original = getattr(Prg, name)

            def zeroed(self: Prg, what: Purpose, counter: int, count: int, original: Any = original) -> Array:
                out: Array = original(self, what, counter, count)
                return np.zeros_like(out) if what is purpose else out

            patch.setattr(Prg, name, zeroed)

    return spoil


@pytest.mark.parametrize(
    ("purpose", "kind"),
    [
        (Purpose.OUTPUT_WEIGHTS, Kind.MASKED_WEIGHTS),
        (Purpose.UNITS, Kind.DEALT_HIDDEN),
        (Purpose.CUT, Kind.DEALT_CUT),
    ],
    ids=str,
)
def test_a_missing_mask_is_found(monkeypatch: pytest.MonkeyPatch, purpose: Purpose, kind: Kind) -> None:
    unmasked(purpose)(monkeypatch)
    found = {label.split("/")[0] for _, label in suspicious(collect(PROBLEM, range(40)))}
    assert kind.value in found and "masked_u" not in found


@pytest.mark.parametrize("name", [*SECTIONS, "early"])
@pytest.mark.parametrize("batch", [16, 0])
async def test_no_key_stream_is_used_twice(
    streams: dict[Prg, list[tuple[bytes, Purpose, int]]], monkeypatch: pytest.MonkeyPatch, batch: int, name: str
) -> None:
    for module in ("correlations.dealt", "product"):
        monkeypatch.setattr(f"common.mpc.{module}.MATRIX_BLOCK", 16)
    monkeypatch.setattr("common.learn.network.steps.SPAN_CELLS", 24)
    more = {"hidden": 3, "epochs": 13 if name == "early" else 4, "batch": batch}
    await trained(Trio(), Problem.made(50), (SECTIONS | {"early": EARLY})[name].model_copy(update=more))
    assert len(streams) == 4  # each party's, and the dealer's of each
    for used in streams.values():
        again = {purpose for (_, purpose, _), count in Counter(used).items() if count > 1}
        # at the dealer, epoch by epoch; at a party, what hid a sign is told
        assert again == set() or (name == "early" and again in ({Purpose.MATRIX}, {Purpose.COMPARE_PADS}))
    for seed in {used[0][0] for used in streams.values()}:
        party, dealer = (set(used) for used in streams.values() if used[0][0] == seed)
        assert party == dealer
