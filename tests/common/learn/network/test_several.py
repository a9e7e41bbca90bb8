"""A network of several banks: its weights are those of the same training of the pooled rows in float64."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from bank_party.settings import BankPolicy
from common.errors import DataError, PeerProtocolError, PlanError, PolicyError
from common.features.fit import FittedPreparation
from common.features.options import Preparation
from common.learn.design import prepare_rows
from common.learn.diary import Progress
from common.learn.learner import Size
from common.learn.learners import line_of
from common.learn.network.banks import NetworkOfSeveral
from common.learn.network.cost import several, several_dealt
from common.learn.network.half import NetworkModel, pack, parse
from common.learn.network.layout import NetworkLayout
from common.learn.network.learner import NetworkLearner
from common.learn.network.scales import WEIGHT
from common.learn.network.several import NetworkLine, train_several
from common.learn.network.train import Found
from common.learn.network.weights import Weights
from common.learn.several import Part
from common.mpc.fixedpoint import X_SCALE, Reals, Words, decode, encode
from common.mpc.several.hub import Hub, LineCorrelations, training_sum
from common.party import Party
from common.plan.network import Network
from common.rows.dataset import ColumnConfig
from tests.banks import Banks, End, several_plan
from tests.common.learn.network.problems import Problem
from tests.common.learn.network.twin import of_several
from tests.common.stages.tables import table
from tests.reference import sigmoid

GRID, COMMON = 3, 2
SECTION = Network(hidden=3, epochs=4, batch=150)


@dataclass(frozen=True)
class World:
    """Rows of several banks, one after the other: the grid's columns, the banks' with a last one of ones; labels."""

    rows: tuple[int, ...]
    grid: Reals
    bank: Reals
    label: Reals

    @classmethod
    def made(cls, rows: tuple[int, ...], seed: int = 0) -> World:
        rng, total = np.random.default_rng(seed), sum(rows)
        grid, bank = (np.round(rng.standard_normal((total, k)) * 2.0**X_SCALE) / 2.0**X_SCALE for k in (GRID, COMMON))
        levels = np.linspace(-1.0, 1.0, len(rows))[np.repeat(np.arange(len(rows)), rows)]
        u = 1.5 * grid[:, 0] * bank[:, 0] + grid[:, 1] - bank[:, 1] - 0.5 + levels
        label = (rng.random(total) < sigmoid(u)).astype(float)
        return cls(rows, grid, np.column_stack([bank, np.ones(total)]), label)

    @property
    def layout(self) -> NetworkLayout:
        return NetworkLayout.over(GRID, COMMON, self.rows)

    def at(self, bank: int) -> slice:
        low = sum(self.rows[:bank])
        return slice(low, low + self.rows[bank])

    def line(self, end: End) -> NetworkLine:
        part, party = self.at(end.number), end.session.party
        own = self.grid[part] if party is Party.GRID else self.bank[part]
        words = np.asfortranarray(encode(own, X_SCALE).view(np.int64).astype(np.int32))
        return NetworkLine(end.number, end.session, end.correlations, words, self.label[part] if party is Party.BANK else None)

    def start(self, bank: int) -> Reals:
        """What a bank brings to where the output's intercepts begin."""
        found, rate = np.zeros(len(self.rows)), float(self.label[self.at(bank)].mean())
        found[bank] = np.log(rate / (1 - rate))
        return found


async def trained(
    world: World, section: Network = SECTION, banks: Banks | None = None, notes: list[Any] | None = None
) -> list[Weights]:
    """The grid's shares of all weights, then each bank's."""
    return [found.weights for found in await ended(world, section, banks, notes)]


async def ended(
    world: World, section: Network = SECTION, banks: Banks | None = None, notes: list[Any] | None = None
) -> list[Found]:
    """The same with the steps that were taken."""
    kept = notes or [None] * (len(world.rows) + 1)

    async def grid(hub: Hub, lines: list[End]) -> Found:
        every, nothing = [world.line(line) for line in lines], np.zeros(len(world.rows))
        return await train_several(hub, every, world.layout, section, nothing, None, kept[0])

    async def bank(hub: Hub, end: End) -> Found:
        mine = [world.line(end)]
        return await train_several(hub, mine, world.layout, section, world.start(end.number), None, kept[1 + end.number])

    return await (banks or Banks(len(world.rows))).run(grid, bank, several_plan(len(world.rows), model=section))


def opened(found: list[Weights]) -> Reals:
    """What nobody ever sees: all weights."""
    return decode(found[0].joined(Party.GRID) + found[1].joined(Party.BANK), WEIGHT)


@pytest.mark.parametrize("activation", ["sine", "relu"])
@pytest.mark.parametrize("rows", [(400, 300), (300, 500, 200), (150, 160, 170, 180, 40)])
async def test_weights_are_those_of_the_pooled_training(rows: tuple[int, ...], activation: Any) -> None:
    world, section = World.made(rows), SECTION.model_copy(update={"activation": activation})
    found = opened(await trained(world, section))
    twin = of_several(section, world.grid, world.bank, world.label, world.rows)
    assert np.abs(found - twin).max() < 0.02
    begun = of_several(section.model_copy(update={"epochs": 0}), world.grid, world.bank, world.label, world.rows)
    assert np.abs(begun - twin).max() > 0.2  # it went somewhere


async def test_all_banks_hold_the_same_share_and_the_grid_the_other() -> None:
    found = [one.joined(Party.BANK) for one in (await trained(World.made((250, 250, 250))))[1:]]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
    assert (found[0] >> np.uint64(40)).any()  # not the weights themselves


@pytest.mark.parametrize("activation", ["sine", "relu"])
@pytest.mark.parametrize("rows", [(400, 300), (150, 260, 170)])
async def test_a_bank_sends_hears_and_is_dealt_the_bytes_of_the_formula(rows: tuple[int, ...], activation: Any) -> None:
    section, banks = SECTION.model_copy(update={"activation": activation}), Banks(len(rows))
    world = World.made(rows)
    await trained(world, section, banks)
    for k, own in enumerate(rows):
        expected = several(world.layout, section, own, speaks=k == 0)
        sent, heard = (sum(values.nbytes for _, values in banks.peer[k][party].log) for party in (Party.BANK, Party.GRID))
        seeds = ("seed", "nonces")
        dealt = [values for label, values in banks.at_dealer[k][Party.BANK].log if label.kind.value not in seeds]
        assert (sent, heard) == (expected.peer_sent, expected.peer_received)
        assert sum(values.nbytes for values in dealt) == expected.dealt
        rounds = NetworkLearner().rounds(section, Size(sum(rows), 1, 1)) + NetworkOfSeveral().more_rounds(section, world.layout)
        assert k or banks.session[0][Party.BANK].traffic.rounds == rounds + 1  # rows are shared before
    assert banks.dealt_to_grid() == several_dealt(world.layout, section, rows)


def test_each_row_of_each_bank_is_in_one_step_of_an_epoch_and_no_step_in_more_than_it_averages_over() -> None:
    layout = NetworkLayout.over(GRID, COMMON, (700, 431, 9))
    every = [layout.steps(SECTION, rows) for rows in (700, 431, 9)]
    for steps, rows in zip(every, (700, 431, 9), strict=True):
        epoch = steps[:7]
        assert [(step.low, step.high) for step in steps[7:14]] == [(step.low, step.high) for step in epoch]
        assert epoch[0].low == 0 and epoch[-1].high == rows
        assert all(step.high == then.low for step, then in itertools.pairwise(epoch))
        assert {step.over for step in steps} == {1140 // 7 + 3} and min(step.rows for step in steps) > 0
    assert all(sum(step.rows for step in steps) <= steps[0].averaged for steps in zip(*every, strict=True))
    with pytest.raises(PolicyError, match="6 training rows of a bank are fewer than the 7 steps of an epoch") as told:
        NetworkLayout.over(GRID, COMMON, (700, 431, 6)).steps(SECTION, 6)
    assert "6" not in told.value._public  # type: ignore[operator]


class Notes:
    """What one end keeps of a training; a new one goes on from it."""

    def __init__(self, begin: Progress | None = None) -> None:
        self.begin, self.kept = begin, list[Progress]()

    async def enter(self, progress: Progress) -> None:
        self.kept.append(progress)


@pytest.mark.parametrize("done", [1, 7, 20])
async def test_a_training_goes_on_from_what_all_ends_have_kept(monkeypatch: pytest.MonkeyPatch, done: int) -> None:
    monkeypatch.setattr("common.learn.network.course.KEEP_CELLS", 1)  # a point after each step
    world, first = World.made((300, 200, 250)), [Notes() for _ in range(4)]
    whole = await trained(world, notes=first)
    assert [[progress.done for progress in one.kept] for one in first] == [list(range(1, 21))] * 4
    again = Banks(3, seed=1)
    found = await trained(world, SECTION, again, [Notes(one.kept[done - 1]) for one in first])
    assert np.abs(opened(found) - opened(whole)).max() < 0.005
    assert np.array_equal(found[1].joined(Party.BANK), found[3].joined(Party.BANK))
    sent = [label.kind.value for label, _ in again.peer[0][Party.BANK].log]
    assert sent.count("masked_weights") == 2 * (20 - done)  # of the output, with all banks; of the line's block
    dealt = [label.kind.value for label, _ in again.at_dealer[0][Party.GRID].log]
    assert dealt.count("dealt_sum") == 20 - done


def test_a_line_scores_by_its_own_intercept() -> None:
    world = World.made((120, 90))
    weights = replace(world.layout.first(SECTION, Party.GRID), intercept=np.array([5, 7], np.uint64))
    assert world.layout.line(weights, 1).intercept.tolist() == [7]


def test_a_step_shows_a_coalition_more_numbers_than_a_batch_has_rows() -> None:
    learner, rows = NetworkOfSeveral(), (60_000, 40_000)
    layout = learner.layout(20, 5, rows)
    batches, whole = Network(hidden=4), Network(hidden=4, batch=0, epochs=60)
    fewest, numbers = learner.path(batches, layout, 40_000)
    assert (fewest, numbers) == (40_000 // 97, 10 * 97 * (26 * 4 + 4 + 2))
    assert learner.path(whole, layout, 40_000) == (40_000, 60 * (26 * 4 + 4 + 2))
    with pytest.raises(PolicyError, match="more than 106700 rows"):
        BankPolicy().check_path(fewest, numbers, strict=learner.strict)
    assert BankPolicy().check_path(40_000, 60 * 110, strict=learner.strict) == ""


@pytest.mark.parametrize("large", [40.0, 15.0])
def test_a_column_whose_part_of_a_mean_could_leave_the_ring_is_refused_at_its_bank(large: float) -> None:
    layout = NetworkLayout.over(GRID, COMMON, (200, 200))
    rows = table([f"F{k}" for k in range(200)], b0=np.tile([1.0, -1.0], 100), b1=np.tile([large, -large], 100))
    columns, options = {name: ColumnConfig(kind="numeric") for name in rows.order}, Preparation(min_binary=0)
    found = prepare_rows(rows, columns, options, 200, 0.0, Party.BANK, leverage=1.0)[0]
    spread = tuple(column.model_copy(update={"spread": 1.0 / large}) for column in found.fitted.fitted)
    wide = replace(found, fitted=FittedPreparation(fitted=spread))
    part = Part(0, "a", None, None, 200)  # type: ignore[arg-type]
    begin = partial(NetworkOfSeveral().at_bank, part, layout, SECTION, wide, np.tile([0.0, 1.0], 100), None)
    if large < 20.0:
        assert begin().warnings == []
        return
    with pytest.raises(DataError, match="is too large in a batch of 100 rows"):
        begin()


async def test_a_bank_that_holds_other_weights_is_found_out_by_the_others() -> None:
    world = World.made((120, 90, 100))

    async def grid(hub: Hub, lines: list[End]) -> Found:
        found = await train_several(hub, [world.line(line) for line in lines], world.layout, SECTION, np.zeros(3))
        await hub.compare()
        return found

    async def bank(hub: Hub, end: End) -> Found:
        section = SECTION.model_copy(update={"seed": 9}) if end.number == 2 else SECTION
        found = await train_several(hub, [world.line(end)], world.layout, section, world.start(end.number))
        await hub.compare()
        return found

    with pytest.raises(PeerProtocolError, match="the training did not arrive"):
        await Banks(3).run(grid, bank, several_plan(3, model=SECTION))


@pytest.mark.parametrize("wrong", [0, 1])
async def test_a_bank_whose_pull_is_spoilt_ends_the_training_at_all(monkeypatch: pytest.MonkeyPatch, wrong: int) -> None:
    original = LineCorrelations.sum_mask

    def spoilt(self: LineCorrelations, number: int, count: int) -> Words:
        mask = original(self, number, count)
        return mask + np.uint64(wrong << 60) if number == training_sum(2) else mask

    monkeypatch.setattr(LineCorrelations, "sum_mask", spoilt)
    if not wrong:
        await trained(World.made((150, 120)))
        return
    with pytest.raises(PeerProtocolError, match="the training did not arrive"):
        await trained(World.made((150, 120)))


def test_the_grids_half_is_stored_with_its_banks_and_gives_each_its_line() -> None:
    layout, problem = NetworkLayout.over(3, 2, (100, 80, 90)), Problem.made(30)
    weights = replace(layout.first(SECTION, Party.GRID), intercept=np.array([5, 7, 9], np.uint64))
    fitted, banks = problem.prepared[Party.GRID].fitted, ("a", "b", "c")
    whole = NetworkModel("job-1", Party.GRID, fitted, weights, "sine", {}, {}, banks)
    packed = pack(whole)
    head = json.loads(packed.text)
    again = parse(head, packed.arrays)
    assert again.banks == banks and np.array_equal(again.weights.intercept, weights.intercept)
    line = again.line("b")
    assert line.banks == () and line.weights.intercept.tolist() == [7] and np.array_equal(line.weights.own, weights.own)
    assert line_of(again, "c").weights.intercept.tolist() == [9]  # type: ignore[attr-defined]
    assert line_of(line, "c") is line  # a model of one bank is as it is
    with pytest.raises(PlanError, match="was not trained with d"):
        again.line("d")
    for wrong in (["a", "b"], []):
        with pytest.raises(ValueError, match="shape"):
            parse(head | {"banks": wrong}, packed.arrays)
    assert "banks" not in json.loads(pack(line).text)
