"""The linear model trained under masks that their owner undoes: beside a dealer's, its bytes, what the dealer knows."""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np
import pytest

from common.errors import PlanError
from common.learn.diary import Forgetful, Progress
from common.learn.linear import undealt
from common.learn.linear.cost import descent
from common.learn.linear.deal import KEPT_BYTES, Masks, TrainingDemand
from common.learn.linear.joint import Sample
from common.learn.linear.path import Blocks, Step
from common.learn.linear.steps import make_steps, make_work, step_size
from common.learn.linear.train import TrainingInputs, train
from common.learn.linear.undealt import COLUMNS_AT_ONCE, UNDEALT_SCALE, Undealt, share_undealt
from common.mpc.correlations.asked import Correlations, Demand
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.cost import Cost
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import RESIDUAL_SCALE, RIDGE_SCALE, U_SCALE, X_SCALE, Reals, Words, decode, encode
from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.ring96 import WORDS
from common.mpc.lattice.rows import HeldRows
from common.mpc.link import Fourier, Link, Taylor
from common.mpc.prg import Purpose
from common.mpc.seeds import DEALT_BYTES
from common.mpc.session import Kind, Session
from common.mpc.short import lengthen
from common.party import Party
from common.plan.linear import HALF_ROWS, Model
from common.plan.policy import Policy
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.stats.measures import evaluate
from tests.common.mpc.problems import Problem, few_overdue, halves, make_problem
from tests.common.mpc.test_cost import measured
from tests.peers import Trio

LOOKAHEAD, HALF = 28, {"dealer": "half", "reveal": "owners"}
DEALERS: tuple[Any, Any] = ("whole", "half")


def inputs_of(problem: Problem, party: Party, model: Model) -> TrainingInputs:
    step = step_size(model)
    own = np.asfortranarray(encode(problem.x[party], X_SCALE).astype(np.int64).astype(np.int32))
    ridge = np.asfortranarray(encode(step * problem.ridge[party], RIDGE_SCALE))
    label, gain = (problem.y, 1.0) if party is Party.BANK else (None, 0.0)
    return TrainingInputs(model, own, ridge, problem.columns[party.other], np.zeros(own.shape[1]), label, gain=gain)


class Ordered:
    """Correlations that the test's dealer deals unasked; it keeps what was asked for."""

    def __init__(self, correlations: DealtCorrelations) -> None:
        self._correlations, self.asked = correlations, list[Demand]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._correlations, name)

    async def order(self, demand: Demand) -> None:
        self.asked.append(demand)


class Broken(Exception):
    pass


class Kept(Forgetful):
    """Remembers where it was, and breaks off after a number of steps."""

    def __init__(self, begin: Progress | None = None, breaks: int = 1 << 30) -> None:
        self.begin, self._breaks = begin, breaks

    async def enter(self, progress: Progress) -> None:
        self.begin = progress
        if progress.done >= self._breaks:
            raise Broken


async def trained(
    problem: Problem,
    model: Model,
    diaries: dict[Party, Kept] | None = None,
    seed: int | None = None,
    trio: Trio | None = None,
) -> tuple[Reals, Trio]:
    """seed: of what is dealt; where the parties deal to themselves nothing makes it repeatable."""
    trio, diaries = trio or Trio(seed=seed), diaries or {party: Kept() for party in Party}
    begin = diaries[Party.GRID].begin
    first = 0 if begin is None else begin.done

    async def side(session: Session, correlations: DealtCorrelations) -> Reals:
        asked = cast(Correlations, Ordered(correlations))
        found = await train(session, asked, inputs_of(problem, session.party, model), None, diaries[session.party])
        assert isinstance(found, np.ndarray)
        return found

    async def deal(dealer: Dealer) -> None:
        demand = TrainingDemand(problem.rows, *(problem.columns[p] for p in Party), first)
        await dealer.deal(Masks(dealer.expanded, make_work(model, demand), KEPT_BYTES).deal())

    found = await trio.run(side, deal)
    return np.concatenate([found[p] for p in Party]), trio


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem(5000, 3, 4)


@pytest.mark.parametrize("link", [{"link": "fourier"}, {"link": "taylor"}, {"period": 64}], ids=str)
async def test_weights_are_those_of_a_dealer_and_bytes_those_of_the_formula(problem: Problem, link: dict[str, Any]) -> None:
    whole, _ = await trained(problem, Model(**link, reveal="owners", weight_bits=14))
    model = Model(**link, weight_bits=14, reveal="owners", dealer="half")
    half, trio = await trained(problem, model)
    assert np.abs(half - whole).max() < 2.0**-9
    work = make_work(model, TrainingDemand(problem.rows, *(problem.columns[p] for p in Party)))
    for party in Party:
        assert measured(trio, party) == descent(party, work) + Cost(dealt=DEALT_BYTES)
        kinds = set(trio.session[party].traffic.sent)
        assert not kinds & {Kind.MASKED_MATRIX, Kind.MASKED_WEIGHTS, Kind.MASKED_RESIDUAL}


async def test_with_three_per_cent_overdue_it_ranks_as_a_dealers_does() -> None:
    """Weights in their usual steps, on rows that were not trained on."""
    first, x, y = few_overdue()
    model = {"reveal": "owners", "step": 5.0, "iterations": 20}
    whole, by_half = [evaluate(y, x @ (await trained(first, Model(**model, dealer=d)))[0]) for d in DEALERS]
    assert abs(whole.auc - by_half.auc) <= 0.0005 and abs(whole.logloss - by_half.logloss) <= 0.0002
    assert by_half.auc > 0.65


async def products_of(problem: Problem, link: Link, steps: list[Step]) -> tuple[list[dict[Party, Any]], dict[Party, Any]]:
    """Of random shares: for each step u and the update of each party's columns, with what they should be; and C likewise."""
    rng = np.random.default_rng(0)
    points = [{p: encode(rng.standard_normal(problem.columns[p]), LOOKAHEAD) for p in Party} for _ in steps]
    shares = [{p: halves(point[p], rng) for p in Party} for point in points]
    residual = encode(rng.standard_normal(problem.rows) * 4 / problem.rows, RESIDUAL_SCALE)
    parts = halves(residual, rng)
    model = Model(**HALF)
    sample = Sample(problem.rows, *(problem.columns[p] for p in Party))

    async def side(session: Session, correlations: DealtCorrelations) -> Any:
        mine, party = inputs_of(problem, session.party, model), session.party
        products = await share_undealt(session, mine.own, mine.own_ridge, mine.other_columns, link)
        assert isinstance(products, Undealt) and products.update_scale == UNDEALT_SCALE
        found = []
        for step, share in zip(steps, shares, strict=True):
            sweep = await products.begin(step, Blocks(share[party][party], share[party.other][party]))
            u = sweep.turns(slice(step.high))
            for span in step.spans():
                await sweep.give(span, parts[party][span.slice])
                await sweep.take(span)
            found.append((u, (await sweep.pulled())[0]))
        return found, await products.across(sample), mine

    async def deal(dealer: Dealer) -> None:
        pass

    result = await Trio().run(side, deal)
    x = {p: result[p][2].own * 2.0**-X_SCALE for p in Party}
    ridge = {p: decode(result[p][2].own_ridge, RIDGE_SCALE) for p in Party}
    out = []
    for at, (step, point) in enumerate(zip(steps, points, strict=True)):
        (grid_u, grid), (bank_u, bank) = (result[p][0][at] for p in Party)
        z, r = {p: decode(point[p], LOOKAHEAD) for p in Party}, decode(residual, RESIDUAL_SCALE)[: step.high]
        turned = (grid_u + bank_u).view(np.int16) * (float(link.period) * 2.0**-16)
        u = turned, sum(x[p][: step.high] @ z[p] for p in Party)
        pulled = {
            p: (decode(own + other, UNDEALT_SCALE), x[p][: step.high].T @ r + ridge[p] @ z[p])
            for p, own, other in ((Party.GRID, grid.own, bank.other), (Party.BANK, bank.own, grid.other))
        }
        out.append({"u": u, **pulled})
    rest = int(sample.scale(problem.rows, problem.rows)) / 256  # of a mean, which the correlation is multiplied by later
    across = decode(result[Party.GRID][1] + result[Party.BANK][1], 60) * rest
    return out, {"is": across, "should": x[Party.GRID].T @ x[Party.BANK] / problem.rows}


@pytest.mark.parametrize("link", [Fourier(32, 8, odd=False), Taylor(), Fourier(16, 5)], ids=str)
@pytest.mark.parametrize("columns", [(3, 4), (COLUMNS_AT_ONCE + 3, COLUMNS_AT_ONCE + 3)], ids=str)
async def test_shares_of_products_are_right(link: Link, columns: tuple[int, int]) -> None:
    """Over all rows and over the first ones alone, and modulo the period."""
    problem = make_problem(4200, *columns)
    steps, across = await products_of(problem, link, [Step(0, 0, 4200, 4.0, 0), Step(1, 0, 1000, 4.0, 0)])
    for found in steps:
        (got, want), period = found["u"], int(link.period)
        off = (got - want + period / 2) % period - period / 2
        assert np.abs(off).max() < period * 2.0**-14
        for party in Party:
            got, want = found[party]
            assert np.abs(got - want).max() < 2.0**-10
    assert np.abs(across["is"] - across["should"]).max() < 2.0**-11


async def test_weights_are_sent_for_rows_and_for_the_ridge_in_no_more_bits_than_count(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What multiplies rows multiplies the errors that mask them, which floods are to hide."""
    seen: dict[int, list[Words]] = {}
    hidden = HeldRows.hidden

    def watched(self: HeldRows, vector: Words) -> Any:
        seen.setdefault(len(self._masked), []).append(vector)
        return hidden(self, vector)

    monkeypatch.setattr(HeldRows, "hidden", watched)
    await trained(problem, Model(**HALF))
    largest = {rows: np.abs(np.concatenate(found).view(np.int64)).max() for rows, found in seen.items()}
    assert 2**29 < largest.pop(problem.rows) <= 2**31
    assert all(2**35 < most <= 2**37 for most in largest.values()) and set(largest) == set(problem.columns.values())


def test_more_rows_than_floods_hide_are_refused() -> None:
    model = Model(**HALF)
    assert make_steps(model, HALF_ROWS, 40) and make_steps(Model(), HALF_ROWS + 1, 40)
    with pytest.raises(PlanError, match="errors of so many rows' masks"):
        make_steps(model, HALF_ROWS + 1, 40)


def test_scales_leave_a_word_of_u_the_whole_period() -> None:
    for link in (Fourier(16, 5), Fourier(32, 8, odd=False), Fourier(64, 16), Taylor()):
        lift = undealt.ROW_BITS + X_SCALE + undealt.vector_scale(link)
        assert 2.0 ** (64 - lift) == link.period and link.bits > U_SCALE
        assert undealt.RIDGE_BITS + undealt.ridge_scale(link) + undealt.vector_scale(link) == UNDEALT_SCALE


async def test_it_goes_on_where_it_broke_off_under_other_keys(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.learn.linear.course.KEEP_CELLS", 1)
    model = Model(weight_bits=14, **HALF)
    whole, first = await trained(problem, model)
    diaries = {party: Kept(breaks=5) for party in Party}
    with pytest.raises(Broken):
        await trained(problem, model, diaries)
    again, second = await trained(problem, model, {party: Kept(diaries[party].begin) for party in Party})
    assert np.abs(again - whole).max() < 2.0**-9
    sent = [[v for label, v in trio.peer[Party.GRID].log if label.kind is Kind.LATTICE_MATRIX] for trio in (first, second)]
    assert all(not (one == other).any() for one, other in zip(*sent, strict=True))


async def test_what_the_dealer_and_the_grid_know_unmasks_no_matrix_and_still_gives_u(problem: Problem) -> None:
    """X = E + U is over: no mask that the dealer expands fits. What section 20 says they see, the angle of u, they do."""
    model = Model(**HALF)
    _, trio = await trained(problem, model)
    prg, sent = trio.dealer.expanded, {p: [(label.kind, v) for label, v in trio.peer[p].log] for p in Party}
    x = inputs_of(problem, Party.BANK, model).own.astype(np.int64).view(np.uint64).T
    columns, rows = x.shape
    (once,) = (v for kind, v in sent[Party.BANK] if kind is Kind.LATTICE_MATRIX and v.shape == x.shape)
    (back,) = (v for kind, v in sent[Party.BANK] if kind is Kind.LATTICE_MATRIX and v.shape == (columns * WORDS, rows))
    long = back.reshape(columns, WORDS, rows).astype(np.uint64)
    matrices = [once, long[:, 1] | long[:, 2] << np.uint64(32), long[:, 0] | long[:, 1] << np.uint64(32)]

    _, whole = await trained(problem, Model(reveal="owners"))  # where the same attack opens the matrix
    short = next(v for label, v in whole.peer[Party.BANK].log if label.kind is Kind.MASKED_MATRIX)
    hidden = columns - 1, rows  # the last one is of ones, and not sent
    masked, mask = lengthen(short, 5, hidden), whole.dealer.expanded[Party.BANK].words(Purpose.MATRIX, 0, (columns - 1) * rows)
    assert not ((masked + mask.reshape(hidden) - x[:-1]) << np.uint64(24)).any()
    for masked in matrices:
        for purpose in Purpose:
            for party in Party:
                tried = masked + prg[party].words(purpose, 0, columns * rows).reshape(columns, rows)
                bits = (undealt.ROW_BITS, undealt.TURNED_BITS, undealt.TURNED_BITS + 32)
                near = [np.abs((tried - (x << np.uint64(b))).view(np.int64)) < 1 << 40 for b in bits]
                assert max(part.mean() for part in near) < 0.01

    sent_u = [next(v for kind, v in sent[p] if kind is Kind.MASKED_U).view(np.uint16) for p in Party]
    number = make_steps(model, rows, 1)[0].spans()[0].number
    first = sent_u[0] + sent_u[1]
    for party in Party:
        first += prg[party].short_words(Purpose.ANGLE, number, rows)
    assert np.abs(first.view(np.int16)).max() <= 4  # u is zero at the start: within 32 * 2^-14 of it


async def test_two_trainings_of_one_table_show_nothing_of_it(problem: Problem) -> None:
    found = [(await trained(problem, Model(**HALF)))[1] for _ in range(2)]
    for party in Party:
        one, two = ([v for label, v in t.peer[party].log if label.kind.value.startswith("lattice")] for t in found)
        words = [a - b for a, b in zip(one, two, strict=True) if a.dtype.itemsize > 1 and a.size >= DEGREE]
        for difference in words:
            ones = np.unpackbits(np.ascontiguousarray(difference).view(np.uint8)).mean()
            assert abs(ones - 0.5) < 6 / np.sqrt(8 * difference.nbytes) / 2


SIDES = {"grid": {"dataset": "a"}, "bank": {"dataset": "b"}}
BANKS = [{"who": f"wattscore://{name}/bank-party", "dataset": "b"} for name in ("one", "two")]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model": {"dealer": "half"}}, "reveal = 'none'"),
        ({"model": {**HALF, "optimiser": "sgd"}}, "optimiser = 'sgd'"),
        ({"model": {**HALF, "optimiser": "sgd", "weights": "owned"}}, "optimiser = 'sgd'"),
        ({"model": {**HALF, "step": 8.0}}, "step = 8.0: at most 6.0"),
        ({"model": {**HALF, "ridge": 1.0}}, "ridge = 1.0: at most 0.1"),
        ({"model": {**HALF, "link": "taylor", "period": 256}}, "a period of 256: at most 128"),
        ({"model": HALF, "preparation": {"coding": "woe"}}, "preparation.coding = 'woe'"),
        ({"model": HALF, "challenge": True}, "challenge = true"),
        ({"model": {"kind": "trees", "dealer": "half"}}, "model.trees.dealer"),
        ({"model": {"kind": "network", "dealer": "half"}}, "model.network.dealer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_goes_not_with_it_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        TrainPlan.model_validate({**SIDES, **fields})


def test_several_banks_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=re.escape("model.dealer: with several banks whole")):
        SeveralPlan.model_validate({"grid": SIDES["grid"], "banks": BANKS, "model": HALF})


def test_a_policy_must_allow_it() -> None:
    plan = TrainPlan.model_validate({**SIDES, "model": HALF})
    with pytest.raises(Exception, match=re.escape("dealer = 'half' (half_dealer = false)")):
        Policy(own_weights=True).check(plan)
    Policy(own_weights=True, half_dealer=True).check(plan)
    with pytest.raises(Exception, match="own_weights = false"):
        Policy(half_dealer=True).check(plan)


@pytest.mark.parametrize("breaks", [3, 10], ids=["among the first", "among the corrected"])
async def test_many_rows_are_trained_on_in_levels_as_with_a_dealer(
    problem: Problem, monkeypatch: pytest.MonkeyPatch, breaks: int
) -> None:
    """Steps over a quarter of the rows, and two passes over all, also where they go on after a break."""
    few = problem.rows // 4
    monkeypatch.setattr("common.learn.linear.schedule.LEVEL_ROWS", few)
    monkeypatch.setattr("common.learn.linear.schedule.COLUMN_ROWS", 1)
    monkeypatch.setattr("common.learn.linear.course.KEEP_CELLS", 1)
    model = Model(weight_bits=14, **HALF)
    steps = make_steps(model, problem.rows, sum(problem.columns.values()))
    assert [step.rows for step in steps] == [few] * 3 + [problem.rows] + [few] * 6 + [problem.rows]
    assert [low for low, _ in steps[3].measures] == [0, few, 2 * few, 3 * few]
    whole, _ = await trained(problem, Model(weight_bits=14, reveal="owners"))
    half, trio = await trained(problem, model)
    assert np.abs(half - whole).max() < 2.0**-8
    work = make_work(model, TrainingDemand(problem.rows, *(problem.columns[p] for p in Party)))
    for party in Party:
        assert measured(trio, party) == descent(party, work) + Cost(dealt=DEALT_BYTES)
    diaries = {party: Kept(breaks=breaks) for party in Party}
    with pytest.raises(Broken):
        await trained(problem, model, diaries)
    again, _ = await trained(problem, model, {party: Kept(diaries[party].begin) for party in Party})
    assert np.abs(again - whole).max() < 2.0**-8
