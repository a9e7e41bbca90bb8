"""Statistics of everything that is sent and opens nothing: over many jobs on one input, each word is uniform.

A job here is tiny, so that hundreds run in seconds; all randomness comes from fixed seeds, so a result is repeatable.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import pytest
from scipy import stats

from common.learn.linear.deal import KEPT_BYTES, Masks
from common.learn.linear.joint import gradient_number
from common.learn.linear.path import Step
from common.learn.linear.schedule import nesterov, sgd
from common.mpc.correlations.asked import PeriodDemand
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import deal_periods
from common.mpc.link import Fourier, Link, Taylor
from common.mpc.prg import Prg, Purpose
from common.mpc.session import OPENS, Array, Kind, Round
from common.party import Party
from tests.common.mpc.problems import Problem, make_problem, run, train
from tests.peers import Trio, dealt_to

pytestmark = pytest.mark.untraced
JOBS = 180  # each missing mask below is found in 60
SURE = 1e-6  # a p-value below this, among some hundreds of tests, is no accident
PROBLEM = make_problem(5, 2, 2, ridge=0.1)
FINAL = "shares"  # not a message: a party's own share of the final weights

Column = tuple[str, str, int]  # from, label, place in the array
Sample = dict[Column, Array]  # that word over all jobs


@dataclass(frozen=True)
class Setting:
    steps: list[Step]
    link: Link
    bits: int | None
    gain: float | None = None


SETTINGS = {
    "shared fourier": Setting(nesterov(5, 2, 2.5), Fourier(32, 2), 8),
    "shared taylor": Setting(nesterov(5, 1, 2.5), Taylor(), 8),
    "shared joint": Setting(nesterov(5, 1, 2.5), Taylor(), 8, 1.5),
    "owned fourier": Setting(sgd(5, 5, 1, 1.0), Fourier(32, 2), None),
    "owned taylor": Setting(sgd(5, 5, 1, 1.0), Taylor(), None),
}


async def one_job(seed: int, problem: Problem, setting: Setting) -> Iterable[tuple[str, str, Array]]:
    trio = Trio(seed=seed)
    trained = await train(trio, problem, setting.steps, setting.link, setting.bits, gain=setting.gain)
    messages = [(party.value, *entry) for party in Party for entry in trio.peer[party].log]
    dealt = [(f"dealer to {party.value}", *entry) for party in Party for entry in trio.to_party[party].log]
    found = [
        (who, str(label), unfilled(label, values, problem, setting))
        for who, label, values in messages + dealt
        if label.kind not in OPENS
    ]
    for party, blocks in trained.shares.items():
        found.append((party.value, FINAL, np.concatenate([block.words for block in blocks])))
    return found


def unfilled(label: Round, values: Array, problem: Problem, setting: Setting) -> Array:
    """The array, without the zeros that fill up short words."""
    if label.kind is not Kind.DEALT_LINK or setting.link.least_bits is None:
        return values
    return values.view(np.uint8)[: 6 * problem.rows * setting.link.tables // 2]


def collect(problem: Problem, setting: Setting, seeds: Iterable[int]) -> Sample:
    """Every word that opens nothing, by where it is sent and where it stands, over one job a seed."""

    async def all_jobs() -> Sample:
        words: dict[tuple[str, str], list[Array]] = defaultdict(list)
        for seed in seeds:
            for who, label, values in await one_job(seed, problem, setting):
                words[who, label].append(values.ravel())
        stacked = {key: np.stack(values) for key, values in words.items()}
        return {(*key, i): column for key, block in stacked.items() for i, column in enumerate(block.T)}

    async def in_place(work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", in_place)  # a hop to a thread costs more than the work
        result: Sample = run(all_jobs())
    return result


def uneven_each(block: Array) -> Any:
    """Of each column of (jobs, words) the smaller p-value that its top or low four bits are uniform, by chi-square."""
    bits, (jobs, words) = 8 * block.itemsize, block.shape
    low, top = block & block.dtype.type(15), block >> block.dtype.type(bits - 4)
    found = []
    for part in (low, top):
        places = part.astype(np.int64) + 16 * np.arange(words)
        counts = np.bincount(places.ravel(), minlength=16 * words).reshape(words, 16)
        found.append(stats.chi2.sf(((counts - jobs / 16) ** 2).sum(axis=1) * 16 / jobs, 15))
    return np.minimum(*found)


def uneven(column: Array) -> float:
    """The same of one column."""
    return float(uneven_each(column[:, None])[0])


def uneven_bytes(columns: list[Array]) -> float:
    """The same over whole top and low bytes, all places of an array together."""
    words = np.concatenate(columns)
    each = words.view(np.uint8).reshape(len(words), words.itemsize)
    return min(float(stats.chisquare(np.bincount(each[:, k], minlength=256)).pvalue) for k in (0, -1))


def suspicious(sample: Sample) -> set[tuple[str, str]]:
    """The (sender, label) that are not uniform."""
    together: dict[tuple[str, str], list[Array]] = defaultdict(list)
    for (who, label, _), column in sample.items():
        together[who, label].append(column)
    return {
        key for key, columns in together.items() if min(uneven_each(np.stack(columns, 1)).min(), uneven_bytes(columns)) < SURE
    }


@pytest.fixture(scope="module")
def samples() -> dict[str, Sample]:
    """One input, as many seeds; half as many where a setting only repeats the masks of another."""
    jobs = {name: JOBS if name.startswith("shared") else JOBS // 2 for name in SETTINGS}
    return {name: collect(PROBLEM, setting, range(jobs[name])) for name, setting in SETTINGS.items()}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_opens_nothing_is_uniform(samples: dict[str, Sample], name: str) -> None:
    assert suspicious(samples[name]) == set()


def test_every_masked_kind_was_looked_at(samples: dict[str, Sample]) -> None:
    seen = {label.split("/")[0] for sample in samples.values() for _, label, _ in sample} - {FINAL}
    elsewhere = {Kind.PERIOD_BITS, Kind.DEALT_PERIODS}  # of the alignment: test_period_products_are_uniform
    elsewhere |= {Kind.DEALT_TAGS}  # of models that stay closed: learn/linear/test_tags.py
    elsewhere |= {Kind.SEEDS}  # fingerprints, before anything is masked: stages/test_seeds.py
    elsewhere |= {Kind.MASKED_BINS, Kind.MASKED_COUNTS, Kind.DEALT_COUNTS}  # test_counts.py
    elsewhere |= {Kind.MASKED_COMPARED, Kind.MASKED_CARRIES, Kind.DEALT_LARGEST}  # largest/test_find.py
    elsewhere |= {
        Kind.MASKED_THRESHOLDS,
        Kind.MASKED_NODES,
        Kind.MASKED_SUMS,
        Kind.MASKED_BRANCH,
    }  # learn/trees/test_privacy.py
    elsewhere |= {Kind.MASKED_CHOICE, Kind.MASKED_LEAVES, Kind.MASKED_ORDER, Kind.DEALT_TREES}  # likewise
    elsewhere |= {Kind.MASKED_HIDDEN, Kind.MASKED_BACK, Kind.DEALT_HIDDEN}  # learn/network/test_privacy.py
    elsewhere |= {Kind.MASKED_DIGITS, Kind.MASKED_SIGNS, Kind.DEALT_DIGITS}  # compare/test_signs.py
    elsewhere |= {Kind.MASKED_RANKS, Kind.DEALT_RANKS}  # ranks/test_find.py
    elsewhere |= {kind for kind in Kind if kind.value.startswith("lattice_")}  # lattice/test_shares.py
    elsewhere |= {Kind.MODEL_MARKS}  # hashes of what both hold: learn/linear/test_score_undealt.py
    elsewhere |= {Kind.TRANSCRIPT}  # sums over what both have sent and taken: test_transcript.py
    elsewhere |= {Kind.MASKED_ADDEND, Kind.DEALT_SUM, Kind.NONCES}  # learn/linear/test_several_privacy.py
    elsewhere |= {Kind.HEARD}  # hashes under a key of the banks: several/test_hub.py
    assert seen == {kind.value for kind in Kind if kind not in OPENS} - {kind.value for kind in elsewhere}
    for name, sample in samples.items():
        assert {who for who, label, _ in sample if label == FINAL} == (
            {p.value for p in Party} if name.startswith("shared") else set()
        )


def test_same_input_other_seed_other_messages(samples: dict[str, Sample]) -> None:
    for sample in samples.values():
        for key, column in sample.items():
            if column.dtype != np.uint8:
                assert len(np.unique(column)) > 0.99 * len(column), key


def received(key: Column, party: Party) -> bool:
    """Whether a word reaches `party`; its own share of the weights counts."""
    who, label, _ = key
    return who == f"dealer to {party.value}" or who == (party if label == FINAL else party.other).value


def test_what_the_bank_receives_does_not_depend_on_a_row_of_the_grid(samples: dict[str, Sample]) -> None:
    x = PROBLEM.x[Party.GRID].copy()
    x[2] = [40.0, -40.0]
    changed = replace(PROBLEM, x={**PROBLEM.x, Party.GRID: x})
    name = "shared fourier"
    before, after = samples[name], collect(changed, SETTINGS[name], range(JOBS, 2 * JOBS))
    to_bank = [key for key in before if received(key, Party.BANK)]
    assert len(to_bank) > 60
    worst = min(float(stats.ks_2samp(before[key], after[key], method="asymp").pvalue) for key in to_bank)
    assert worst > SURE


def test_what_the_grid_receives_does_not_depend_on_the_labels(samples: dict[str, Sample]) -> None:
    flipped = replace(PROBLEM, y=1.0 - PROBLEM.y)
    name = "owned taylor"
    before, after = samples[name], collect(flipped, SETTINGS[name], range(JOBS, 2 * JOBS))
    to_grid = [key for key in before if received(key, Party.GRID)]
    assert len(to_grid) > 30
    worst = min(float(stats.ks_2samp(before[key], after[key], method="asymp").pvalue) for key in to_grid)
    assert worst > SURE


# A test that finds nothing must be able to find something: each mask in turn is left out, or is too short.


def zeros(*shape: int, dtype: Any = np.uint64) -> Array:
    return np.zeros(shape, dtype, order="F")


def leave_out_matrix(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DealtCorrelations, "matrix_mask", lambda self, block, rows, columns: zeros(columns, rows))


def leave_out_ridge(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DealtCorrelations, "ridge_mask", lambda self, columns: zeros(columns, columns))


def leave_out_weights(patch: pytest.MonkeyPatch) -> None:
    # Before the first step the shares are zero, so there the mask is all there is.
    patch.setattr(DealtCorrelations, "weight_mask", lambda self, number, count: zeros(count))


def short_update(patch: pytest.MonkeyPatch) -> None:
    original = Prg.words

    def words(self: Prg, purpose: Purpose, counter: int, count: int) -> Array:
        out = original(self, purpose, counter, count)
        return out & np.uint64(2**60 - 1) if purpose is Purpose.TRUNCATION_BODY else out

    patch.setattr(Prg, "words", words)


def clear_top(patch: pytest.MonkeyPatch) -> None:
    original = Prg.words

    def words(self: Prg, purpose: Purpose, counter: int, count: int) -> Array:
        out = original(self, purpose, counter, count)
        return out * np.uint64(0) if purpose in (Purpose.TRUNCATION_TOP, Purpose.LINK) else out

    patch.setattr(Prg, "words", words)


CONTROLS = [
    (leave_out_matrix, {"masked_matrix/1"}),
    (leave_out_ridge, {"masked_matrix/2"}),
    (leave_out_weights, {"masked_weights/3"}),
    (short_update, {"dealt_truncation/0", "dealt_truncation/1"}),
    (clear_top, {"dealt_truncation/0", "dealt_truncation/1", "dealt_link/0"}),
]


@pytest.mark.parametrize(("spoil", "labels"), CONTROLS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_missing_mask_is_found(
    monkeypatch: pytest.MonkeyPatch, spoil: Callable[[pytest.MonkeyPatch], None], labels: set[str]
) -> None:
    spoil(monkeypatch)
    found = {label for _, label in suspicious(collect(PROBLEM, SETTINGS["shared taylor"], range(60)))}
    assert labels <= found
    untouched = {"masked_update/6", "masked_residual/5", "seed/0"}
    assert not found & untouched


def test_products_of_top_bits_without_their_mask_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Prg.words

    def words(self: Prg, purpose: Purpose, counter: int, count: int) -> Array:
        out = original(self, purpose, counter, count)
        return np.zeros_like(out) if purpose is Purpose.CUT else out

    monkeypatch.setattr(Prg, "words", words)
    found = {label for _, label in suspicious(collect(PROBLEM, SETTINGS["shared joint"], range(100)))}
    assert found == {f"dealt_cut/{gradient_number(0)}"}


def test_one_biased_word_is_found(samples: dict[str, Sample]) -> None:
    """One place of one array, off by a little in distribution only."""
    sample = dict(samples["shared taylor"])
    key = next(key for key in sample if key[1].startswith("masked_u"))
    biased = sample[key].copy()
    biased[::6] >>= np.uint32(4)
    assert suspicious(sample | {key: biased}) == {key[:2]}


def test_period_products_are_uniform() -> None:
    """The alignment's masks: a party's bits xor its mask, and the dealt share of mask and mask."""

    async def one(seed: int) -> dict[str, Array]:
        trio = Trio(seed=seed)
        await trio.dealer.seeds()
        await trio.dealer.deal(deal_periods(trio.dealer._prg, PeriodDemand(3)))
        result = {}
        for party in Party:
            correlations = await dealt_to(party, trio.from_dealer[party])
            mask, share = await correlations.period_product(3)
            result |= {f"{party.value} masked": mask ^ np.uint64(2**64 - 1), f"{party.value} share": share}
        return result

    async def every() -> list[dict[str, Array]]:
        return [await one(seed) for seed in range(JOBS)]

    jobs = run(every())
    for what in jobs[0]:
        block = np.stack([job[what] for job in jobs])
        assert min(uneven(column) for column in block.T) > SURE and uneven_bytes(list(block.T)) > SURE


# No key stream twice.


@pytest.mark.parametrize("bits", [8, 20, None])
async def test_no_key_stream_is_used_twice(
    streams: dict[Prg, list[tuple[bytes, Purpose, int]]], monkeypatch: pytest.MonkeyPatch, bits: int | None
) -> None:
    for module in ("correlations.dealt", "product"):
        monkeypatch.setattr(f"common.mpc.{module}.MATRIX_BLOCK", 16)
    monkeypatch.setattr("common.learn.linear.path.SPAN_ROWS", 8)
    problem = make_problem(50, 3, 2)
    steps = nesterov(50, 5, 2.5) if bits else sgd(50, 15, 3, 1.0)
    await train(Trio(), problem, steps, Fourier(32, 2), bits)
    assert len(streams) == 4  # each party's, and the dealer's of each
    for used in streams.values():
        assert Counter(used).most_common(1)[0][1] == 1
    # What a party hides with, the dealer knows of, and nothing else: no stream stands for two things.
    seeds = {used[0][0] for used in streams.values()}
    assert len(seeds) == 2
    for seed in seeds:
        party, dealer = (set(used) for used in streams.values() if used[0][0] == seed)
        assert party == dealer
    both = set(chain(*streams.values()))
    assert sorted(counter for _, purpose, counter in both if purpose is Purpose.MATRIX) == [0, 0, 1, 1, 2, 2, 3, 3]
    spans = sorted(span.number for step in steps for span in step.spans())
    assert len(spans) > 1.5 * len(steps)
    for each in (Purpose.ANGLE, Purpose.LINK, Purpose.RESIDUAL):
        assert sorted(counter for _, purpose, counter in both if purpose is each) == sorted(2 * spans)


def test_dealer_and_party_agree_on_what_is_private() -> None:
    """The dealer's working state never prints its masks."""
    masks = Masks(Trio(seed=0).dealer._prg, PROBLEM.work([], Taylor(), 8), KEPT_BYTES)
    assert "array" not in repr(masks)
