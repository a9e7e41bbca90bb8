"""Scores on shares: those of the weights the shares add up to, within a step; each message uniform; one mask, one use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from common.errors import LocalProtocolError, PeerProtocolError, PolicyError
from common.features.options import Preparation
from common.learn.learner import Telling
from common.learn.linear import deal_scores as dealing
from common.learn.linear.deal_scores import ScoreDemand, deal_scores
from common.learn.linear.design import Prepared, prepare
from common.learn.linear.half import ClosedModel
from common.learn.linear.score import Scorer, demand_of
from common.mpc import session
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import WEIGHT_SCALE, Reals, Words, decode, encode
from common.mpc.seeds import DEALT_BYTES
from common.mpc.session import OFFLOAD_WORDS, Kind, Session
from common.mpc.short import lengthen
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from tests.common.stages.tables import table
from tests.extent import extent
from tests.peers import Trio, coordinate, tagged_shares

COUNT, BITS = 300, 5
COLUMNS = {Party.GRID: ("a", "b", "c"), Party.BANK: ("d", "e")}


def rows(party: Party, count: int = COUNT) -> FeatureTable:
    rng = np.random.default_rng(party.index)
    return table([f"F{k}" for k in range(count)], **{name: rng.normal(size=count) for name in COLUMNS[party]})


def prepared(party: Party, count: int = COUNT) -> Prepared:
    columns = {name: ColumnConfig(kind="numeric") for name in COLUMNS[party]}
    return prepare(rows(party, count), columns, Preparation(min_binary=0), count, 1e-4, party, leverage=1.0)[0]


def models(count: int = COUNT, seed: int = 3, times: float = 1.0) -> tuple[dict[Party, ClosedModel], Reals]:
    """Both halves of a model whose shares are uniform, and u of the rows in plain floats. times: of its weights."""
    rng = np.random.default_rng(seed)
    ready = {party: prepared(party, count) for party in Party}
    weights = {party: times * rng.normal(size=len(p.columns)) for party, p in ready.items()}
    words = {party: encode(w, WEIGHT_SCALE) for party, w in weights.items()}
    kept = {party: rng.integers(0, 2**64, len(w), np.uint64) for party, w in words.items()}  # of a party's own block
    held = tagged_shares({p: words[p.other] - kept[p.other] for p in Party}, rng)
    halves = {p: ClosedModel("job-1", p, m.fitted, m.whiten, kept[p], held[p], {}, {}) for p, m in ready.items()}
    u = sum((ready[p].matrix(0, count) @ ready[p].whiten @ weights[p] for p in Party), np.zeros(count))
    return halves, u


async def score_shares(
    session: Session, correlations: DealtCorrelations, model: ClosedModel, table: FeatureTable, number: int, bits: int
) -> tuple[Words, int]:
    """The scores of one table, under a demand for as many rows."""
    scorer = Scorer(session, correlations, model, demand_of(model, table.rows, Telling(Kind.SCORES, bits, number)))
    await scorer.start()
    return await scorer.score(table)


async def score(
    trio: Trio, halves: dict[Party, ClosedModel], count: int = COUNT, bits: int = BITS, times: int = 1
) -> list[Reals]:
    """u as the shares give it, once for each of `times` scorings of a job."""

    async def side(session: Session, correlations: DealtCorrelations) -> list[Words]:
        party = session.party
        found = [
            await score_shares(session, correlations, halves[party], rows(party, count), number, bits)
            for number in range(times)
        ]
        assert [held for _, held in found] == [0] * times
        return [share for share, _ in found]

    result = await coordinate(trio, side)
    return [decode(a + b, bits) for a, b in zip(result[Party.GRID], result[Party.BANK], strict=True)]


@pytest.mark.parametrize("bits", [0, 5, 20])
async def test_shares_add_up_to_the_score_within_a_step(bits: int) -> None:
    halves, u = models()
    (found,) = await score(Trio(), halves, bits=bits)
    assert np.abs(found - u).max() < 1.5 * 2.0**-bits + 0.005  # columns and weights are encoded to 2^-10 and 2^-20
    assert abs(float((found - u).mean())) < 4 * 2.0**-bits / np.sqrt(COUNT) + 1e-3  # rounded up or down without bias


async def test_scores_are_right_up_to_the_end_of_what_a_word_holds() -> None:
    """46 bits of u at scale 30, to 2^16; by such weights the rounding of columns is a part in 1,000 of the largest."""
    largest = np.abs(models()[1]).max()
    halves, u = models(times=2.0**16 * 0.998 / largest)
    assert u.max() > 2.0**15 and u.min() < -(2.0**15) and np.abs(u).max() > 2.0**16 * 0.99
    (found,) = await score(Trio(), halves)
    assert np.abs(found - u).max() < 2.0**16 / 1000


async def test_blocks_of_rows_go_through_one_behind_the_other() -> None:
    count = MATRIX_BLOCK + 1000
    halves, u = models(count)
    trio = Trio(limit=2)
    (found,) = await score(trio, halves, count)
    assert np.abs(found - u).max() < 1.5 * 2.0**-BITS + 0.005
    kinds = [label.kind for label, _ in trio.peer[Party.GRID].log]
    assert kinds == [Kind.MASKED_WEIGHTS, Kind.MASKED_MATRIX, Kind.MASKED_MATRIX, Kind.MASKED_UPDATE, Kind.MASKED_UPDATE]


async def test_the_next_blocks_rows_are_hidden_in_a_thread_with_the_same_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dealing, "MATRIX_BLOCK", 64)
    halves, u = models()
    logs = []
    for most in (OFFLOAD_WORDS, 0):
        monkeypatch.setattr(session, "OFFLOAD_WORDS", most)
        trio = Trio(seed=2)
        (found,) = await score(trio, halves)
        assert np.abs(found - u).max() < 1.5 * 2.0**-BITS + 0.005
        logs.append([[(label, values.tobytes()) for label, values in trio.peer[party].log] for party in Party])
    assert logs[0] == logs[1]


async def test_a_party_sends_what_it_states() -> None:
    halves, _ = models()
    trio = Trio()
    await score(trio, halves)
    for party in Party:
        own, other = len(halves[party].own), len(halves[party].other)
        sent = trio.session[party].traffic.sent
        assert sent == {
            Kind.MASKED_WEIGHTS: 16 * (other + 1),
            Kind.MASKED_MATRIX: 6 * COUNT * own,
            Kind.MASKED_UPDATE: 8 * COUNT,
        }
        assert sum(values.nbytes for _, values in trio.to_party[party].log) == DEALT_BYTES + 16 + 32 + 8 * COUNT


async def test_a_jobs_scorings_are_numbered_and_none_may_come_again() -> None:
    halves, u = models()
    trio = Trio()
    one, two = await score(trio, halves, times=2)
    assert np.abs(one - u).max() < 0.06 and np.abs(two - u).max() < 0.06
    sent = [values.tobytes() for label, values in trio.peer[Party.GRID].log if label.kind is Kind.MASKED_MATRIX]
    assert len(sent) == 2 and sent[0] != sent[1]  # the same rows under two masks

    async def twice(session: Session, correlations: DealtCorrelations) -> None:
        for _ in range(2):
            await score_shares(session, correlations, halves[session.party], rows(session.party), 0, BITS)

    with pytest.raises(LocalProtocolError, match="ordered twice"):
        await coordinate(Trio(), twice)


async def test_a_row_scored_again_and_again_tells_no_finer_bits() -> None:
    """The mean of many scorings is off by the grid's dither, which is as wide as a step and the same each time."""
    halves, u = models(40)
    found = np.mean([await score(Trio(), halves, 40, 2, times=64) for _ in range(4)], axis=(0, 1))
    off = (found - u) * 2.0**2  # in steps
    assert 0.2 < float(off.std()) < 0.4  # of a uniform step: 0.29; of nothing but rounding: 0.03
    assert float(np.abs(off).max()) < 0.75


async def in_turn(trio: Trio, halves: dict[Party, ClosedModel], dealt: int, counts: Sequence[int]) -> list[Reals]:
    """u of the first rows of the table, scored so many at a time, within one demand for `dealt` rows."""

    async def side(session: Session, correlations: DealtCorrelations) -> list[Words]:
        party = session.party
        scorer = Scorer(session, correlations, halves[party], ScoreDemand(0, dealt, 3, 3, BITS))
        await scorer.start()
        return [(await scorer.score(rows(party, COUNT).part(0, count)))[0] for count in counts]

    result = await coordinate(trio, side)
    return [decode(a + b, BITS) for a, b in zip(result[Party.GRID], result[Party.BANK], strict=True)]


@pytest.mark.parametrize(("dealt", "counts"), [(300, [300]), (40, [1, 1, 2, 36]), (64, [7, 20, 1, 16]), (33, [15, 17, 1])])
async def test_a_demand_serves_tables_one_after_the_other_across_its_blocks(
    monkeypatch: pytest.MonkeyPatch, dealt: int, counts: list[int]
) -> None:
    monkeypatch.setattr("common.learn.linear.deal_scores.MATRIX_BLOCK", 16)
    halves, u = models()
    trio = Trio()
    for found, count in zip(await in_turn(trio, halves, dealt, counts), counts, strict=True):
        assert np.abs(found - u[:count]).max() < 1.5 * 2.0**-BITS + 0.005
    for party in Party:
        sent = trio.session[party].traffic.sent
        assert sent[Kind.MASKED_WEIGHTS] == 16 * (3 + 1)  # once
        assert (sent[Kind.MASKED_MATRIX], sent[Kind.MASKED_UPDATE]) == (6 * 3 * sum(counts), 8 * sum(counts))
        masked = [values for label, values in trio.peer[party].log if label.kind is Kind.MASKED_MATRIX]
        words = np.concatenate([lengthen(values, 6, (len(values) // 6,)) for values in masked])
        assert len(np.unique(words)) == len(words)  # the same first rows each time: a mask that served twice would show


async def test_rows_beyond_those_dealt_are_refused_at_both() -> None:
    halves, _ = models()
    with pytest.raises(PolicyError, match="2 rows are to be scored, and randomness is left for 1"):
        await in_turn(Trio(), halves, 3, [2, 2])


@pytest.mark.parametrize(
    "demand",
    [ScoreDemand(0, 0, 3, 3, 5), ScoreDemand(0, 9, 0, 3, 5), ScoreDemand(256, 9, 3, 3, 5), ScoreDemand(0, 9, 3, 3, 30)],
)
def test_the_dealer_refuses_sizes_that_are_none(demand: ScoreDemand) -> None:
    with pytest.raises(PeerProtocolError, match="no size"):
        next(deal_scores(Trio(seed=1).dealer._prg, demand))


async def test_every_message_looks_uniform_whatever_rows_and_weights_are() -> None:
    """Over many seeds, the top bits of each word of each kind: a chi-square that rows of zeros would fail if they were seen."""
    halves, _ = models(20)
    seen: dict[tuple[Party, Kind], list[np.ndarray[Any, Any]]] = {}
    for seed in range(extent(130, 400)):
        trio = Trio(seed=seed)
        await score(trio, halves, 20)
        for party in Party:
            for label, values in trio.peer[party].log:
                seen.setdefault((party, label.kind), []).append(values.ravel() >> (8 * values.itemsize - 4))
    assert {kind for _, kind in seen} == {Kind.MASKED_WEIGHTS, Kind.MASKED_MATRIX, Kind.MASKED_UPDATE}
    for values in seen.values():
        counts = np.bincount(np.concatenate(values).astype(np.int64), minlength=16)
        expected = counts.sum() / 16
        assert float(((counts - expected) ** 2 / expected).sum()) < 50  # 15 degrees of freedom: beyond by chance in 1e-5
