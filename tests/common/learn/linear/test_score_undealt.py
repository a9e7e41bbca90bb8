"""Scores on shares with nobody who deals: within a step, without bias, by what training left and nothing else."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from common.errors import PeerProtocolError
from common.learn.learner import Packed, Size, Telling
from common.learn.linear.cost import undealt_scoring
from common.learn.linear.half import FORMAT, ClosedModel, CommittedModel, LinearModel, PartyModel, pack, parse
from common.learn.linear.learner import Linear
from common.learn.linear.score import Scores
from common.learn.linear.train import train
from common.learn.linear.unaided import WEIGHT_BITS, CommittedShares
from common.mpc.committed import Committed
from common.mpc.correlations.dealt import DealtCorrelations, NoDealer
from common.mpc.fixedpoint import WEIGHT_SCALE, Reals, decode
from common.mpc.lattice.committed import LIFT, commit
from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.ring96 import WORDS, stacked
from common.mpc.prg import Prg
from common.mpc.session import Array, Kind
from common.party import Party
from common.plan.linear import Model
from tests.common.learn.linear.test_score import BITS, COUNT, models, rows
from tests.common.learn.linear.test_tags import Changed
from tests.common.learn.linear.test_unaided import trained as opened
from tests.common.learn.linear.test_undealt import Broken, Kept, inputs_of
from tests.common.mpc.lattice.test_shares import COINS, NONCES, distance
from tests.common.mpc.lattice.test_shares import flat as long_words
from tests.common.mpc.problems import Problem, make_problem
from tests.common.mpc.test_cost import measured
from tests.extent import extent
from tests.patience import patience
from tests.peers import Trio

NONE: dict[str, Any] = {"dealer": "none", "link": "taylor"}
Halves = dict[Party, CommittedModel]


async def committed(count: int = COUNT, seed: int = 3, times: float = 1.0) -> tuple[Halves, Reals]:
    """Both halves of a model as `models` has them, and u of the rows in plain floats."""
    dealt, u = models(count, seed, times)
    trio = Trio()
    made = (commit(trio.session[p], NONCES, dealt[p].tagged.words, len(dealt[p].own)) for p in Party)
    return dict(zip(Party, map(half_of, (dealt[p] for p in Party), await asyncio.gather(*made)), strict=True)), u


def half_of(dealt: ClosedModel, held: Committed) -> CommittedModel:
    return CommittedModel(dealt.job, dealt.party, dealt.fitted, dealt.whiten, dealt.own, held, {}, {})


async def score(halves: Halves, count: int = COUNT, bits: int = BITS, times: int = 1, trio: Trio | None = None) -> list[Reals]:
    """u as the bank is told it, once for each of `times` tables of the same rows."""
    trio = trio or Trio()

    async def side(party: Party) -> list[Reals | None]:
        session = trio.session[party]
        correlations = DealtCorrelations(party, Prg.fresh_seed(), NoDealer())
        scores = await Scores.begin(session, correlations, halves[party], count, Telling(Kind.SCORES, bits))
        await scores.warm()
        return [await scores.open(rows(party, count)) for _ in range(times)]

    grid, bank = await asyncio.wait_for(asyncio.gather(*map(side, Party)), patience(60))
    assert grid == [None] * times
    return [u for u in bank if u is not None]


@pytest.mark.parametrize("bits", [0, 5, 12, 20])
async def test_the_bank_is_told_the_score_within_a_step_and_without_bias(bits: int) -> None:
    halves, u = await committed()
    (found,) = await score(halves, bits=bits)
    assert np.abs(found - u).max() < 1.6 * 2.0**-bits + 0.005  # columns and weights are encoded to 2^-10 and 2^-20
    assert abs(float((found - u).mean())) < 4 * 2.0**-bits / np.sqrt(COUNT) + 1e-3
    assert (found * 2.0**bits == np.rint(found * 2.0**bits)).all()


async def test_scores_are_right_up_to_the_end_of_what_a_word_holds() -> None:
    """64 bits of u at scale 50, to 2^13."""
    largest = np.abs(models()[1]).max()
    halves, u = await committed(times=2.0**13 * 0.998 / largest)
    assert u.max() > 2.0**12 and u.min() < -(2.0**12) and np.abs(u).max() > 2.0**13 * 0.99
    (found,) = await score(halves)
    assert np.abs(found - u).max() < 2.0**13 / 1000


async def test_a_row_scored_again_and_again_tells_no_finer_bits() -> None:
    """The mean of many scorings is off by the grid's dither, which is as wide as a step and the same each time."""
    halves, u = await committed(40)
    found = np.mean(await score(halves, 40, 2, times=extent(80, 256)), axis=0)
    off = (found - u) * 2.0**2  # in steps
    assert 0.2 < float(off.std()) < 0.4  # of a uniform step: 0.29; of nothing but rounding: 0.03
    assert float(np.abs(off).max()) < 0.75


async def test_a_party_sends_what_it_states_and_all_of_it_is_coins_but_the_marks() -> None:
    halves, _ = await committed(DEGREE + 1)
    trio = Trio()
    await score(halves, DEGREE + 1, trio=trio)
    for party in Party:
        section, size = Model(**NONE), Size(DEGREE + 1, 3, 3)
        stated = Linear().cost_scores(party, section, size)
        assert measured(trio, party) == stated == undealt_scoring(party, DEGREE + 1)
        for label, words in trio.peer[party].log:
            assert label.kind is not Kind.LATTICE_ROWS or distance(long_words(stacked(words))) < COINS


async def trained(
    problem: Problem, model: Model, diaries: dict[Party, Kept] | None = None, trio: Trio | None = None
) -> tuple[dict[Party, CommittedShares], Trio]:
    trio, diaries = trio or Trio(), diaries or {party: Kept() for party in Party}

    async def side(party: Party) -> CommittedShares:
        correlations = DealtCorrelations(party, Prg.fresh_seed(), NoDealer())
        found = await train(trio.session[party], correlations, inputs_of(problem, party, model), None, diaries[party])
        assert isinstance(found, CommittedShares)
        return found

    return dict(zip(Party, await asyncio.gather(*map(side, Party)), strict=True)), trio


def weights_of(found: dict[Party, CommittedShares]) -> Reals:
    spare = np.uint64(64 - WEIGHT_BITS)
    words = [(found[p].own + found[p.other].committed.words) << spare for p in Party]
    return decode(np.concatenate(words), WEIGHT_SCALE + int(spare))


@pytest.mark.parametrize("link", ["taylor", "fourier"])
async def test_a_closed_training_ends_where_one_that_opens_its_weights_does(link: str) -> None:
    problem, model = make_problem(5000, 3, 4), Model(dealer="none", link=link)
    found, trio = await trained(problem, model)
    other, _ = await opened(problem, Model(dealer="none", link=link, reveal="owners", weight_bits=14))
    assert np.abs(weights_of(found) - other).max() < 2.0**-7.5  # the noise of two trainings: of 30, up to 2^-8.6
    kinds = {label.kind for p in Party for label, _ in trio.peer[p].log}
    assert not kinds & {Kind.GRID_WEIGHT_SHARE, Kind.BANK_WEIGHT_SHARE}
    size = Size(problem.rows, *(problem.columns[p] for p in Party))
    assert {p: measured(trio, p) for p in Party} == {p: Linear().cost(p, model, size) for p in Party}


async def test_an_interrupted_training_that_was_through_commits_to_nothing_again() -> None:
    """Else a bank that had heard scores by one share could put another in its place."""
    problem, model = make_problem(2000, 2, 2), Model(**NONE, iterations=10)
    diaries = {party: Kept(breaks=1) for party in Party}
    with pytest.raises(Broken):
        await trained(problem, model, diaries)
    kept = {party: diaries[party].begin for party in Party}
    found, trio = await trained(problem, model, {party: Kept(kept[party]) for party in Party})
    assert not any(trio.peer[party].log for party in Party)
    again, _ = await trained(problem, model, {party: Kept(kept[party]) for party in Party})
    for party in Party:
        assert (found[party].own == again[party].own).all()
        assert found[party].committed.marks == again[party].committed.marks
        assert found[party].committed.sent == again[party.other].committed.marks[32:]


@pytest.mark.parametrize("liar", Party)
@pytest.mark.parametrize("place", [(0, 0), (1, 5), (3, 0), (5, 0), (8, 4095)], ids=str)
async def test_a_changed_word_of_masked_weights_is_refused_at_the_first_scoring(liar: Party, place: tuple[int, int]) -> None:
    """One bit, on its way at the end of training: no row is scored by it."""

    def change(values: Array) -> Array:
        values[place] ^= np.uint32(1 << 3)
        return values

    dealt, _ = models()
    trio = Trio()
    trio.session[liar]._peer = Changed(trio.peer[liar], Kind.LATTICE_MODEL, change)
    made = (commit(trio.session[p], NONCES, dealt[p].tagged.words, len(dealt[p].own)) for p in Party)
    held = await asyncio.gather(*made)
    halves = {p: half_of(dealt[p], one) for p, one in zip(Party, held, strict=True)}
    await refused(halves)


async def refused(halves: Halves) -> None:
    trio = Trio()
    with pytest.raises(PeerProtocolError, match="are not those that training left: nothing was scored") as caught:
        await score(halves, trio=trio)
    assert "put back" in str(caught.value)
    assert {label.kind for p in Party for label, _ in trio.peer[p].log} == {Kind.MODEL_MARKS}


@pytest.mark.parametrize("liar", Party)
async def test_the_half_of_another_training_is_refused(liar: Party) -> None:
    halves, _ = await committed()
    other, _ = await committed()
    await refused(halves | {liar: other[liar]})


async def test_masked_weights_that_a_party_changed_where_it_keeps_them_are_refused() -> None:
    halves, _ = await committed()
    masked = halves[Party.GRID].committed.masked.copy()
    masked[1, 1, 0] += np.uint32(1 << LIFT)
    changed = replace(halves[Party.GRID].committed, masked=masked)
    await refused(halves | {Party.GRID: replace(halves[Party.GRID], committed=changed)})


async def test_no_share_that_a_bank_puts_in_its_place_changes_what_the_grid_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the grid multiplies lies with the grid: by another share, or key, the bank turns only its own part of the sum."""
    monkeypatch.setattr("common.mpc.lattice.committed.Prg.fresh_seed", lambda: bytes(32))  # the same draws in each scoring
    halves, u = await committed()
    held = halves[Party.BANK].committed
    turned = replace(held, words=held.words + np.uint64(1 << 40), secret=np.roll(held.secret, 1))
    told = []
    for one in (held, turned):
        trio = Trio()
        scores = await score(halves | {Party.BANK: replace(halves[Party.BANK], committed=one)}, trio=trio)
        told.append(([values for label, values in trio.peer[Party.GRID].log], scores[0]))
    assert all(np.array_equal(a, b) for a, b in zip(told[0][0], told[1][0], strict=True))
    assert np.abs(told[0][1] - u).max() < 0.1 and np.abs(told[1][1] - u).std() > 100  # a turned sum is noise


@pytest.mark.parametrize("party", Party)
@pytest.mark.parametrize("kind", [Kind.MODEL_MARKS, Kind.LATTICE_ROWS], ids=lambda kind: kind.value)
async def test_an_array_of_another_shape_is_refused(party: Party, kind: Kind) -> None:
    halves, _ = await committed()
    trio = Trio()
    trio.session[party]._peer = Changed(trio.peer[party], kind, lambda values: values[:-1])
    with pytest.raises(PeerProtocolError, match="another shape"):
        await score(halves, trio=trio)


async def test_a_half_is_packed_and_read_again() -> None:
    halves, _ = await committed()
    for half in halves.values():
        found = parse(*read(pack(half)))
        assert isinstance(found, CommittedModel) and (found.own == half.own).all() and (found.whiten == half.whiten).all()
        assert found.committed.marks == half.committed.marks and (found.committed.secret == half.committed.secret).all()
        assert found.closed and len(found.other) == len(half.other)
        assert str(half.own[0]) not in repr(half) and "secret" not in repr(half)


async def test_a_half_of_other_columns_is_not_read() -> None:
    halves, _ = await committed()
    half = halves[Party.GRID]
    fewer = replace(half, committed=replace(half.committed, masked=half.committed.masked[:-1]))
    with pytest.raises(ValueError):
        parse(*read(pack(fewer)))


async def test_a_half_that_an_older_release_masked_is_refused_with_what_to_do() -> None:
    halves, _ = await committed()
    for half in halves.values():
        head, arrays = read(pack(half))
        assert head["format"] == FORMAT == 4
        with pytest.raises(ValueError, match=r"masked by an older release.*train it again"):
            parse({**head, "format": 3}, arrays)


@pytest.mark.parametrize("kind", ["opened", "dealt for"])
def test_what_else_is_of_that_release_is_read(kind: str) -> None:
    dealt = models()[0][Party.GRID]
    half: LinearModel = dealt
    if kind == "opened":
        half = PartyModel(dealt.job, dealt.party, dealt.fitted, np.ones(len(dealt.own)), {}, {})
    head, arrays = read(pack(half))
    found = parse({**head, "format": 3}, arrays)
    assert type(found) is type(half) and pack(found) == pack(half)


async def test_a_half_with_a_key_of_another_degree_or_of_an_opened_model_is_not_read() -> None:
    halves, _ = await committed()
    half = halves[Party.BANK]
    short = replace(
        half.committed, secret=half.committed.secret[: DEGREE // 2], masked=half.committed.masked[..., : DEGREE // 2]
    )
    head, arrays = read(pack(half))
    for wrong in (read(pack(replace(half, committed=short))), ({**head, "closed": False}, arrays)):
        with pytest.raises(ValueError):
            parse(*wrong)


def read(packed: Packed) -> tuple[Any, bytes]:
    return json.loads(packed.text), packed.arrays


async def asked(
    halves: Halves, held: list[int], kept: list[int], count: int, bits: int = BITS, trio: Trio | None = None
) -> Reals:
    """u of the rows that are kept, of the first `count` ones, of which the grid holds some."""
    trio = trio or Trio()

    async def side(party: Party) -> Reals | None:
        session, table, at = trio.session[party], rows(party, COUNT).part(0, count), np.arange(count)
        if party is Party.GRID:
            at = np.array(held, np.int64)
            table = table.take(at)
        correlations = DealtCorrelations(party, Prg.fresh_seed(), NoDealer())
        scores = await Scores.begin(session, correlations, halves[party], count, Telling(Kind.SCORES, bits))
        request = await scores.ask(table, at, count)
        assert request.taken == 0
        return await request.open(np.array(kept, np.int64))

    grid, bank = await asyncio.wait_for(asyncio.gather(*map(side, Party)), patience(60))
    assert grid is None and bank is not None
    return bank


@pytest.mark.parametrize("bits", [5, 16])
@pytest.mark.parametrize(
    ("held", "kept"), [([0], [0]), (list(range(40)), list(range(40))), ([3, 7, 8, 39], [3, 7, 8, 39]), ([3, 7, 8, 39], [7, 39])]
)
async def test_rows_that_are_asked_for_take_one_message_each_way(held: list[int], kept: list[int], bits: int) -> None:
    halves, u = await committed()
    trio, count = Trio(), max(held) + 1
    found = await asked(halves, held, kept, count, bits, trio)
    assert np.abs(found - u[kept]).max() < 1.6 * 2.0**-bits + 0.005
    sent = {p: [label.kind for label, _ in trio.peer[p].log] for p in Party}
    assert sent == {
        Party.BANK: [Kind.MODEL_MARKS, Kind.LATTICE_ROWS],
        Party.GRID: [Kind.MODEL_MARKS, Kind.LATTICE_ROWS, Kind.SCORES],
    }
    for party in Party:
        (block,) = [words for label, words in trio.peer[party].log if label.kind is Kind.LATTICE_ROWS]
        assert block.shape == (WORDS, DEGREE) and distance(long_words(stacked(block))) < COINS


async def test_a_row_asked_for_again_and_again_tells_no_finer_bits() -> None:
    """As of rows that are scored at once."""
    halves, u = await committed()
    every = list(range(40))
    found = np.mean([await asked(halves, every, every, 40, 2) for _ in range(64)], axis=0)
    off = (found - u[:40]) * 2.0**2
    assert 0.2 < float(off.std()) < 0.4 and float(np.abs(off).max()) < 0.8


async def test_of_a_row_that_may_not_be_scored_nothing_is_in_what_the_grid_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under secrets and errors of zeros its message is the sum over the rows that are kept."""
    monkeypatch.setattr("common.mpc.lattice.sampled.Sampler.ternary", lambda _, *shape: np.zeros(shape, np.int64))
    monkeypatch.setattr("common.mpc.lattice.sampled.Sampler.errors", lambda _, *shape: np.zeros(shape, np.int64))
    halves, _ = await committed()
    blocks = []
    for held, kept in (([0, 1, 2], [0, 2]), ([0, 2], [0, 2])):
        trio = Trio()
        await asked(halves, held, kept, 3, trio=trio)
        blocks += [words for label, words in trio.peer[Party.GRID].log if label.kind is Kind.LATTICE_ROWS]
    assert np.array_equal(*blocks)
