"""Training with several banks: the weights are those of the pooled descent, whatever the number of banks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.errors import PeerProtocolError, PlanError
from common.learn.diary import Progress
from common.learn.learner import Size
from common.learn.linear.banks import LinearOfSeveral
from common.learn.linear.cost import several, several_dealt
from common.learn.linear.deal_several import deal_several
from common.learn.linear.layout import Layout
from common.learn.linear.learner import Linear
from common.learn.linear.schedule import nesterov
from common.learn.linear.several import Ended, Line, train_several
from common.mpc.fixedpoint import WEIGHT_SCALE, X_SCALE, Reals, Words, decode, encode
from common.mpc.prg import Prg, mark
from common.mpc.several.dealer import Masks
from common.mpc.several.hub import Hub
from common.mpc.tags import made
from common.party import Party
from common.plan.linear import Model
from tests.banks import Banks, End, key, several_plan
from tests.common.mpc.problems import RIDGE_SCALE
from tests.reference import descend, joint_matrix, sigmoid

GRID, COMMON = 4, 3
RIDGE = 1e-3


class World:
    """Pooled rows of several banks, whitened: the grid's columns, the banks' common ones and an intercept for each."""

    def __init__(self, rows: tuple[int, ...], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.rows, total = rows, sum(rows)
        self.of = np.repeat(np.arange(len(rows)), rows)
        raw = rng.standard_normal((total, GRID + COMMON))
        raw[:, GRID] += 0.8 * raw[:, 0]
        levels = np.linspace(-1.0, 1.0, len(rows))[self.of]
        self.y = (rng.random(total) < sigmoid(raw @ rng.standard_normal(GRID + COMMON) / 2 + levels - 1.0)).astype(float)
        bank = raw[:, GRID:] - np.array([raw[self.of == k, GRID:].mean(axis=0) for k in range(len(rows))])[self.of]
        self.grid, self.grid_pull = self._whitened(raw[:, :GRID] - raw[:, :GRID].mean(axis=0))
        self.bank, self.bank_pull = self._whitened(bank)
        self.layout = Layout.over(GRID, COMMON, rows)

    def _whitened(self, x: Reals) -> tuple[Reals, Reals]:
        w = np.linalg.inv(np.linalg.cholesky(x.T @ x / len(x) + 4 * RIDGE * np.eye(x.shape[1]))).T
        return x @ w, RIDGE * w.T @ w

    @property
    def x(self) -> Reals:
        """(N, m)."""
        ones = np.zeros((len(self.y), len(self.rows)))
        ones[np.arange(len(self.y)), self.of] = np.sqrt(len(self.y) / np.array(self.rows))[self.of]
        return np.column_stack([self.grid, self.bank, ones])

    @property
    def ridge(self) -> Reals:
        found = np.zeros((self.layout.columns,) * 2)
        found[:GRID, :GRID], found[GRID : GRID + COMMON, GRID : GRID + COMMON] = self.grid_pull, self.bank_pull
        return found

    def line(self, end: End, step: float) -> Line:
        here, party = self.of == end.number, end.session.party
        if party is Party.GRID:
            own, pull = self.x[here][:, :GRID], self.grid_pull
        else:
            own, pull = self.x[here][:, self.layout.places(end.number)[GRID:]], np.pad(self.bank_pull, (0, 1))
        pull = pull if end.number == 0 else np.zeros_like(pull)
        words = np.asfortranarray(encode(own, X_SCALE).view(np.int64).astype(np.int32))
        label = self.y[here] if party is Party.BANK else None
        return Line(
            end.number, end.session, end.correlations, words, np.asfortranarray(encode(step * pull, RIDGE_SCALE)), label
        )


async def trained(
    world: World, optimiser_steps: int, period: int = 32, banks: Banks | None = None, link: str = "fourier"
) -> tuple[Reals, list[Words]]:
    how = {"iterations": optimiser_steps, "ridge": RIDGE, "period": period, "link": link}
    plan = several_plan(len(world.rows), model=how)
    layout, model = world.layout, plan.model
    start = np.zeros(layout.columns)

    async def grid(hub: Hub, lines: list[End]) -> Words:
        return (await train_several(hub, [world.line(line, 4.0) for line in lines], layout, model, start, 0.0)).weights

    async def bank(hub: Hub, end: End) -> Words:
        own = start.copy()
        own[GRID + COMMON + end.number] = 0.1 * (end.number + 1)
        return (await train_several(hub, [world.line(end, 4.0)], layout, model, own, 1.0)).weights

    found = await (banks or Banks(len(world.rows))).run(grid, bank, plan)
    return decode(found[0] + found[1], WEIGHT_SCALE), found


@pytest.mark.parametrize("rows", [(400, 300), (300, 500, 200), (150, 160, 170, 180, 190)])
async def test_weights_are_those_of_the_pooled_descent(rows: tuple[int, ...]) -> None:
    world = World(rows)
    weights, _ = await trained(world, 12)
    start = np.r_[np.zeros(GRID + COMMON), 0.1 * np.arange(1, len(rows) + 1)]
    joint = joint_matrix(world.grid, world.x[:, GRID:])
    twin = descend(world.x, world.y, world.ridge, nesterov(len(world.y), 12, 4.0), start=start, joint=joint)
    assert np.abs(weights - twin).max() < 0.02


@pytest.mark.parametrize(
    ("rows", "few"),
    [
        ((400, 300, 200), [225] * 3 + [900] + [225] * 6 + [900]),
        ((1200, 901, 600), [540] * 3 + [2701] + [540] * 6 + [2701]),
        ((1200, 901, 40), [535] * 3 + [2141] + [535] * 6 + [2141]),  # ten of the third's at first
        ((1200, 901, 2), [525] * 3 + [2103] + [525] * 6 + [2103]),  # of the third's two rows none in the first part
    ],
)
async def test_early_steps_run_over_the_same_part_of_each_banks_rows(
    monkeypatch: pytest.MonkeyPatch, rows: tuple[int, ...], few: list[int]
) -> None:
    monkeypatch.setattr("common.learn.linear.schedule.LEVEL_ROWS", 250)  # as it is from so many times 33 rows on
    monkeypatch.setattr("common.learn.linear.schedule.COLUMN_ROWS", 1)
    world = World(rows)
    weights, _ = await trained(world, 12)
    model = several_plan(len(rows), model={"iterations": 12}).model
    each = [world.layout.steps(model, own) for own in rows]
    course = nesterov(len(world.y), 12, 4.0, 2, longer=True)
    assert [step.rows for step in course] == few
    whole = [
        replace(
            step,
            low=sum(one.low for one in at),
            high=sum(one.high for one in at),
            measures=tuple(
                tuple(map(sum, zip(*parts, strict=True))) for parts in zip(*(one.measures for one in at), strict=True)
            ),
        )
        for step, *at in zip(course, *each, strict=True)
    ]
    assert all(abs(step.rows - nominal) <= len(rows) for step, nominal in zip(whole, few, strict=True))
    lows = [[low for step in steps for low, _ in step.measures] for steps in each]  # of parts, some of no rows
    parts = [np.searchsorted(of, np.arange(own), side="right") for own, of in zip(rows, lows, strict=True)]
    order = np.argsort(np.concatenate(parts), kind="stable")
    start = np.r_[np.zeros(GRID + COMMON), 0.1 * np.arange(1, len(rows) + 1)]
    joint = joint_matrix(world.grid, world.x[:, GRID:])
    link = Model(period=32).make_link()  # of two rows u swings beyond its reach, where sigma is another
    twin = descend(world.x[order], world.y[order], world.ridge, whole, link, start=start, joint=joint)
    assert np.abs(weights - twin).max() < 0.02


def test_steps_over_parts_that_could_leave_the_ring_are_refused_at_each_bank_however_few_rows_it_has() -> None:
    layout = Layout.over(20, 18, (3_140_000, 60_000))
    model = several_plan(2, model={"step": 9.7}).model
    for rows in (3_140_000, 60_000):
        assert layout.steps(model.model_copy(update={"step": 9.6}), rows)
        with pytest.raises(PlanError, match=r"a step of 9.7 over 200000 of 3200000 rows .*at most 48"):
            layout.steps(model, rows)


@pytest.mark.parametrize("first", [-1, 4, 7, 9, 11, 17])
def test_no_training_is_dealt_from_where_none_goes_on(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    monkeypatch.setattr("common.learn.linear.schedule.LEVEL_ROWS", 250)
    monkeypatch.setattr("common.learn.linear.schedule.COLUMN_ROWS", 1)
    plan, layout = several_plan(2), Layout.over(GRID, COMMON, (1200, 901))
    course = layout.course(plan.model)
    assert not 0 <= first < len(course) or course[first].corrected
    asked = [layout.demand(rows, first) for rows in (1200, 901)]
    with pytest.raises(PeerProtocolError, match="from a step that it has not"):
        next(deal_several(Masks((), {}), asked, plan, 1 << 30))


@pytest.mark.parametrize(("level", "link"), [(1 << 13, "fourier"), (100, "fourier"), (100, "taylor")])
@pytest.mark.parametrize("rows", [(400, 300), (150, 260, 170)])
async def test_a_bank_sends_hears_and_is_dealt_the_bytes_of_the_formula(
    monkeypatch: pytest.MonkeyPatch, rows: tuple[int, ...], level: int, link: str
) -> None:
    monkeypatch.setattr("common.learn.linear.schedule.LEVEL_ROWS", level)
    monkeypatch.setattr("common.learn.linear.schedule.COLUMN_ROWS", 1)
    world, banks = World(rows), Banks(len(rows))
    await trained(world, 12, banks=banks, link=link)
    model = several_plan(len(rows), model={"iterations": 12, "ridge": RIDGE, "period": 32, "link": link}).model
    for k, own in enumerate(rows):
        expected = several(world.layout, model, own, speaks=k == 0)
        sent, heard = (sum(values.nbytes for _, values in banks.peer[k][party].log) for party in (Party.BANK, Party.GRID))
        seeds = ("seed", "nonces")
        dealt = [values for label, values in banks.at_dealer[k][Party.BANK].log if label.kind.value not in seeds]
        assert (sent, heard) == (expected.peer_sent, expected.peer_received)
        assert sum(values.nbytes for values in dealt) == expected.dealt
        size = Size(world.layout.total, GRID, world.layout.bank)
        rounds = Linear().rounds(model, size) + LinearOfSeveral().more_rounds(model, world.layout)
        course = world.layout.steps(model, own)
        beside = sum(len(step.measures) or 1 for step in course)  # arrays that leave with others
        assert k or banks.session[0][Party.BANK].traffic.rounds == rounds + beside + 2  # rows and the ridge are shared before
    assert banks.dealt_to_grid() == several_dealt(world.layout, model, rows)


async def test_all_banks_hold_the_same_share_and_the_grid_the_other() -> None:
    _, found = await trained(World((250, 250, 250)), 10)
    assert np.array_equal(found[1], found[2]) and np.array_equal(found[1], found[3])
    assert (found[1] >> np.uint64(40)).any() and (found[0] >> np.uint64(40)).any()  # neither is the weights themselves


def check_tags(layout: Layout, ended: list[Ended]) -> None:
    """On each line both hold tags of the shares that they have of the other's block, by the other's factors and pads."""
    for line, bank in enumerate(ended[1:]):
        at_grid, at_bank = ended[0].lines[line], bank.lines[0]
        own = layout.grid + layout.bank_places(line)
        assert np.array_equal(at_grid.words, ended[0].weights[own]) and np.array_equal(
            at_bank.words, bank.weights[: layout.grid]
        )
        for held, other, verifier in ((at_grid, at_bank, Party.BANK), (at_bank, at_grid, Party.GRID)):
            factors = Prg(bytes(32), key(line, verifier)).factors(len(held.values))
            assert made(factors, held.values, other.pads) == held.tags
            assert held.marks[32:] == other.marks[:32] == mark(key(line, verifier))


class Notes:
    """What one end keeps of a training; a new one goes on from it."""

    def __init__(self, begin: Progress | None = None) -> None:
        self.begin, self.kept = begin, list[Progress]()

    async def enter(self, progress: Progress) -> None:
        self.kept.append(progress)


@pytest.mark.parametrize("done", [1, 7, 12])
async def test_a_training_goes_on_from_what_all_ends_have_kept(monkeypatch: pytest.MonkeyPatch, done: int) -> None:
    monkeypatch.setattr("common.learn.linear.course.KEEP_CELLS", 1)  # a point after each step
    world, plan = World((300, 200, 250)), several_plan(3, model={"iterations": 12, "ridge": RIDGE, "period": 32})
    layout, start = world.layout, np.zeros(world.layout.columns)

    async def train(banks: Banks, notes: list[Notes]) -> list[Ended]:
        async def grid(hub: Hub, lines: list[End]) -> Ended:
            every = [world.line(line, 4.0) for line in lines]
            return await train_several(hub, every, layout, plan.model, start, 0.0, None, notes[0])

        async def bank(hub: Hub, end: End) -> Ended:
            kept = notes[end.number + 1]
            return await train_several(hub, [world.line(end, 4.0)], layout, plan.model, start, 1.0, None, kept)

        return await banks.run(grid, bank, plan)

    first = [Notes() for _ in range(4)]
    ended = await train(Banks(3), first)
    whole = [end.weights for end in ended]
    assert [[progress.done for progress in one.kept] for one in first] == [list(range(1, 13))] * 4
    again = Banks(3, seed=1)
    second = [Notes(one.kept[done - 1]) for one in first]
    resumed = await train(again, second)
    found = [end.weights for end in resumed]
    check_tags(world.layout, resumed)
    if done == 12:  # nothing was left to do: the tags are those that were kept
        assert [end.lines for end in resumed] == [end.lines for end in ended]
    assert np.abs(decode(found[0] + found[1], WEIGHT_SCALE) - decode(whole[0] + whole[1], WEIGHT_SCALE)).max() < 0.005
    assert np.array_equal(found[1], found[2]) and np.array_equal(found[1], found[3])
    sent = [label.kind.value for label, _ in again.peer[0][Party.BANK].log]
    assert sent.count("masked_weights") == (0 if done == 12 else 1 + 12 - done)  # all at first, and for the ridge at each step
    dealt = [label.kind.value for label, _ in again.at_dealer[0][Party.GRID].log]
    assert dealt.count("dealt_sum") == (0 if done == 12 else 1 + 12 - done)  # the correlation, and each step that is left
