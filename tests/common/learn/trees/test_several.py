"""Boosted trees of several banks: the forest is that of the same rows pooled, tree by tree."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bank_party.settings import BankPolicy
from common.errors import PeerProtocolError, PlanError, PolicyError
from common.features.bins import BinnedColumn, Cells
from common.features.fit import FittedPreparation
from common.learn.diary import Forgetful, Progress
from common.learn.learner import Size
from common.learn.learners import line_of
from common.learn.trees import cost
from common.learn.trees.banks import TreesOfSeveral
from common.learn.trees.forest import U_SCALE, LineForest
from common.learn.trees.half import TreesHalf, pack, parse
from common.learn.trees.layout import TreesLayout, sum_words
from common.learn.trees.learner import TreeLearner, fitting_trees
from common.learn.trees.order import DECREASING, INCREASING
from common.learn.trees.several import TreesLine, grow_several
from common.learn.trees.tree import Tree, TreeGrower
from common.mpc.narrow import packed_size
from common.mpc.session import Kind
from common.mpc.several.hub import Hub
from common.party import Party
from common.plan.trees import Trees
from tests.banks import Banks, End, several_plan
from tests.common.learn.trees import twin
from tests.common.learn.trees.problems import Problem, make_problem

SECTION = Trees(kind="trees", trees=4, depth=3, candidates=16)


@dataclass(frozen=True)
class World:
    """Rows of several banks, one after the other."""

    rows: tuple[int, ...]
    problem: Problem
    directions: dict[Party, npt.NDArray[np.uint8]]

    @classmethod
    def made(cls, rows: tuple[int, ...], seed: int = 0) -> World:
        return cls.of(rows, make_problem(rows=sum(rows), seed=seed))

    @classmethod
    def of(cls, rows: tuple[int, ...], problem: Problem) -> World:
        return cls(rows, problem, {party: np.zeros(len(below), np.uint8) for party, below in problem.below.items()})

    @property
    def layout(self) -> TreesLayout:
        grid, bank = (len(self.problem.below[party]) for party in Party)
        return TreesLayout.over(grid, bank, self.rows)

    def at(self, bank: int) -> slice:
        low = sum(self.rows[:bank])
        return slice(low, low + self.rows[bank])

    def start(self, bank: int) -> int:
        return twin.start_of(self.problem.label[self.at(bank)])

    def line(self, end: End) -> TreesLine:
        part, party = self.at(end.number), end.session.party
        below = np.ascontiguousarray(self.problem.below[party][:, part])
        if party is Party.GRID:
            return TreesLine(end.session, end.correlations, self.rows[end.number], below, self.directions[party])
        label = self.problem.label[part] > 0
        seen = below, self.directions[party], label
        return TreesLine(end.session, end.correlations, self.rows[end.number], *seen, self.start(end.number))


async def grown(
    world: World, section: Trees = SECTION, banks: Banks | None = None, notes: list[Any] | None = None
) -> list[list[Tree]]:
    """The grid's trees, then each bank's."""
    kept = notes or [Forgetful() for _ in range(len(world.rows) + 1)]

    async def grid(hub: Hub, lines: list[End]) -> list[Tree]:
        return await grow_several(hub, [world.line(end) for end in lines], world.layout, section, kept[0])

    async def bank(hub: Hub, end: End) -> list[Tree]:
        return await grow_several(hub, [world.line(end)], world.layout, section, kept[1 + end.number])

    return await (banks or Banks(len(world.rows))).run(grid, bank, several_plan(len(world.rows), model=section))


def opened(grid: Tree, bank: Tree) -> twin.TwinTree:
    """A tree put together from two halves."""
    return twin.put_together(grid.splits, bank.splits, grid.leaves + bank.leaves)


def first(world: World) -> twin.Reals:
    return np.concatenate([np.full(own, world.start(k) / 2**U_SCALE) for k, own in enumerate(world.rows)])


@pytest.mark.parametrize("rows", [(1400, 600), (700, 900, 500), (300, 350, 40, 500, 410)])
async def test_each_level_splits_by_the_best_candidate_and_each_leaf_is_the_twins(rows: tuple[int, ...]) -> None:
    world = World.made(rows)
    grid, *banks = await grown(world)
    trees = [opened(mine, theirs) for mine, theirs in zip(grid, banks[0], strict=True)]
    twin.check(world.layout.hub(SECTION), world.problem.below, world.problem.label, first(world), trees, 0.97)
    assert {party for tree in trees for party, _ in tree.splits} == set(Party)


@pytest.mark.parametrize(("rows", "abreast"), [((700, 900, 500), 2), ((1400, 600), 3)])
async def test_trees_side_by_side_are_those_of_the_twin_and_as_many_rounds_fewer(rows: tuple[int, ...], abreast: int) -> None:
    world, section = World.made(rows), SECTION.model_copy(update={"trees": 5, "abreast": abreast})
    banks = Banks(len(rows))
    grid, *ends = await grown(world, section, banks)
    trees, forest = [opened(mine, theirs) for mine, theirs in zip(grid, ends[0], strict=True)], world.layout.hub(section)
    twin.check(forest, world.problem.below, world.problem.label, first(world), trees, 0.95)  # of later ones gains are small
    groups = forest.groups()
    sent = [label.kind for label, _ in banks.peer[0][Party.BANK].log]
    assert sent.count(Kind.MASKED_U) == len(groups) == -(-5 // abreast)
    assert sent.count(Kind.MASKED_ADDEND) == len(groups) * (section.depth + 1)
    for bank in ends:
        assert all(np.array_equal(a.leaves, b.leaves) and a.splits == b.splits for a, b in zip(bank, ends[0], strict=True))


async def test_all_banks_hold_the_same_splits_and_the_same_share_of_the_leaves() -> None:
    _, *banks = await grown(World.made((500, 400, 300)))
    for bank in banks:
        assert [tree.splits for tree in bank] == [tree.splits for tree in banks[0]]
        assert all(np.array_equal(a.leaves, b.leaves) for a, b in zip(bank, banks[0], strict=True))
    assert np.concatenate([tree.leaves for tree in banks[0]]).std() > 1e4  # not the leaves themselves


@pytest.mark.parametrize(
    ("rows", "monotone", "abreast"),
    [((400, 300), False, 1), ((210, 333, 170), True, 1), ((400, 300), True, 2), ((210, 333, 170), False, 3)],
)
async def test_a_bank_sends_hears_and_is_dealt_the_bytes_of_the_formula(
    rows: tuple[int, ...], monotone: bool, abreast: int
) -> None:
    section = SECTION.model_copy(update={"monotone": monotone, "abreast": abreast})
    banks, world = Banks(len(rows)), World.made(rows)
    grid, *halves = await grown(world, section, banks)
    layout = world.layout
    for k, own in enumerate(rows):
        line, hub = layout.line(section, own), layout.hub(section)
        sent = dict.fromkeys(Party, 0.0)
        for party, trees in zip(Party, (grid, halves[k]), strict=True):
            sent[party] = layout_bytes(party, line)
            for number, tree in enumerate(trees):
                levels = sum(split >= 0 for split in tree.splits)
                sent[party] += cost.by_rows(line, number, levels, 2 ** (section.depth - levels) - 1)
                if k == 0 or party is Party.GRID:  # the first bank speaks for all
                    sent[party] += cost.by_sums(party, hub, number)
        sums = section.trees * sum(8 * sum_words(hub, level) for level in range(section.depth + 1))
        logs = {party: sum(values.nbytes for _, values in banks.peer[k][party].log) for party in Party}
        assert logs == {Party.GRID: sent[Party.GRID], Party.BANK: sent[Party.BANK] + sums}
        expected = TreesOfSeveral().cost(section, layout, own, speaks=k == 0)  # of levels shared as candidates are
        assert expected.peer_sent == pytest.approx(logs[Party.BANK], rel=0.1)
        seeds = ("seed", "nonces")
        dealt = [values for label, values in banks.at_dealer[k][Party.BANK].log if label.kind.value not in seeds]
        assert sum(values.nbytes for values in dealt) == expected.dealt
        rounds = TreeLearner().rounds(section, Size(sum(rows), 1, 1)) + TreesOfSeveral().more_rounds(section, layout)
        more = 2 * -(-section.trees // abreast) + 2  # choices, which nobody waits for; thresholds are shared before
        assert k or rounds <= banks.session[k][Party.BANK].traffic.rounds <= rounds + more
    assert banks.dealt_to_grid() == TreesOfSeveral().dealt(section, layout, rows)


def layout_bytes(party: Party, line: LineForest) -> int:
    """Of the masked thresholds."""
    return line.count(party) * packed_size(line.rows)


class Notes:
    """What one end keeps of a training; a new one goes on from it."""

    def __init__(self, begin: Progress | None = None) -> None:
        self.begin, self.kept = begin, list[Progress]()

    async def enter(self, progress: Progress) -> None:
        self.kept.append(progress)


@pytest.mark.parametrize(("trees", "abreast", "points"), [(11, 1, [8, 11]), (19, 2, [16, 19])])
async def test_a_training_goes_on_from_what_all_ends_have_kept(trees: int, abreast: int, points: list[int]) -> None:
    section, kept = SECTION.model_copy(update={"trees": trees, "abreast": abreast}), [Notes() for _ in range(4)]
    world, done = World.made((500, 350, 400)), points[0]
    whole = await grown(world, section, notes=kept)
    assert [[progress.done for progress in one.kept] for one in kept] == [points] * 4
    again = Banks(3, seed=1)
    resumed = await grown(world, section, again, [Notes(one.kept[0]) for one in kept])
    for one, other in zip(whole, resumed, strict=True):
        assert [tree.splits for tree in one[:done]] == [tree.splits for tree in other[:done]]
        assert all(np.array_equal(a.leaves, b.leaves) for a, b in zip(one[:done], other[:done], strict=True))
    for a, b, c, d in zip(whole[0], whole[1], resumed[0], resumed[1], strict=True):
        assert np.abs(opened(a, b).leaves - opened(c, d).leaves).max() < 0.05
    dealt = [label.kind.value for label, _ in again.at_dealer[0][Party.GRID].log]
    assert dealt.count("dealt_sum") == -(-3 // abreast) * (SECTION.depth + 1)
    ended = await grown(world, section, Banks(3, seed=2), [Notes(one.kept[1]) for one in kept])
    assert [tree.splits for tree in ended[0]] == [tree.splits for tree in whole[0]]


async def test_beyond_so_many_rows_each_bank_brings_its_part_of_them() -> None:
    rows, section = (1800, 900, 300), Trees(kind="trees", trees=2, depth=2, sample=1000)
    layout = TreesLayout.over(8, 6, rows)
    assert [layout.taken(section, own) for own in rows] == [600, 300, 100]
    assert [layout.line(section, own).scaled for own in rows] == [1000] * 3 and layout.hub(section).rows == 1000


async def test_leaves_are_in_order_where_the_owner_declared_its_column_monotone() -> None:
    world, section = World.made((600, 500)), SECTION.model_copy(update={"monotone": True})
    world.directions[Party.GRID][:7], world.directions[Party.BANK][7:14] = INCREASING, DECREASING
    grid, bank, _ = await grown(world, section)
    seen = 0
    for mine, theirs in zip(grid, bank, strict=True):
        tree = opened(mine, theirs)
        for level, (party, k) in enumerate(tree.splits):
            direction, bit = world.directions[party][k], 1 << (section.depth - 1 - level)
            for left in (n for n in range(1 << section.depth) if not n & bit and direction):
                low, high = tree.leaves[left], tree.leaves[left | bit]
                assert low <= high + 2.0**-10 if direction == INCREASING else high <= low + 2.0**-10
                seen += 1
    assert seen


async def test_a_bank_that_goes_on_from_a_sum_otherwise_than_the_others_is_found_out_by_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, original, hurt = World.made((300, 200, 250)), TreeGrower._hidden_leaves, list[Any]()

    def spoilt(self: TreeGrower, state: Any) -> Any:
        return original(self, state) ^ np.uint32(self._rounds is hurt[0])

    monkeypatch.setattr(TreeGrower, "_hidden_leaves", spoilt)

    async def grid(hub: Hub, lines: list[End]) -> list[Tree]:
        found = await grow_several(hub, [world.line(end) for end in lines], world.layout, SECTION, Forgetful())
        await hub.compare()
        return found

    async def bank(hub: Hub, end: End) -> list[Tree]:
        if end.number == 2:
            hurt.append(hub.spoken)
        found = await grow_several(hub, [world.line(end)], world.layout, SECTION, Forgetful())
        await hub.compare()
        return found

    with pytest.raises(PeerProtocolError, match="have not heard the same of the grid, or do not go on from it alike"):
        await Banks(3).run(grid, bank, several_plan(3, model=SECTION))


async def test_a_bank_that_takes_a_level_for_the_grids_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hidden from one is its own branch: one that says nothing where all split is found out on its line."""
    world, original = World.made((300, 250)), TreeGrower.move

    async def elsewhere(self: TreeGrower, level: int, split: int, vectors: Any, state: Any) -> Any:
        lies = split >= 0 and self._party is Party.BANK and self._forest.rows == 250
        return await original(self, level, -1 if lies else split, vectors, state)

    monkeypatch.setattr(TreeGrower, "move", elsewhere)
    with pytest.raises(PeerProtocolError, match="both or neither took it for their own"):
        await grown(world)


def test_the_price_is_that_of_which_of_all_candidates_won() -> None:
    section, size = Trees(kind="trees", trees=10, depth=3), Size(2000, 100, 61)
    assert TreesOfSeveral().label_bits(section, size) == 10 * 3 * 5  # 32 candidates
    monotone = section.model_copy(update={"monotone": True})
    assert TreesOfSeveral().label_bits(monotone, size) == 150  # directions follow from who won
    assert "13 such trees" in fitting_trees(section.model_copy(update={"trees": 80}), size, 200.0, several=True)


def test_no_number_of_rows_is_enough_for_a_bank_that_does_not_trust_the_others() -> None:
    learner, layout = TreesOfSeveral(), TreesLayout.over(100, 60, (10**5, 10**6))
    path = learner.path(SECTION, layout, 10**6)
    assert path == (0, SECTION.trees * (2 * 16 * (1 + 1 + 2) + 2 + 4 + 8 + 16))
    for given in ({}, {"coalition_rows": 1e-6}):
        with pytest.raises(PolicyError, match="a node may have a single one of this bank's rows") as told:
            BankPolicy(**given).check_path(*path, strict=learner.strict)
        assert "coalition_rows = 0" in str(told.value)
    assert BankPolicy(coalition_rows=0.0).check_path(*path, strict=learner.strict) == ""


def test_a_bank_that_does_not_trust_the_others_takes_no_such_plan() -> None:
    plan = several_plan(2, model=SECTION)
    own, others = plan.identities[0], tuple(map(str, plan.identities))
    BankPolicy(with_banks=others, coalition_rows=0.0).check_banks(plan, own)
    for given in ({}, {"coalition_rows": 1e-6}):
        policy = BankPolicy(with_banks=others, **given)
        policy.check_banks(several_plan(2), own)
        with pytest.raises(PolicyError, match=r"boosted trees with other banks \(coalition_rows = 0"):
            policy.check_banks(plan, own)


def test_the_grids_half_is_stored_with_its_banks_and_gives_each_its_line() -> None:
    cells = Cells(source="x", edges=(0.5,))
    fitted = FittedPreparation(
        fitted=(BinnedColumn(name="x<0.5", cells=cells, values=(1.0, 0.0, 1.0), centre=0.5, spread=0.5),)
    )
    splits, leaves = np.array([[0, -1]], np.int32), np.arange(4, dtype=np.uint16)[None]
    whole = TreesHalf("job-1", Party.GRID, fitted, splits, leaves, 0, {}, {}, ("a", "b", "c"))
    packed = pack(whole)
    again = parse(json.loads(packed.text), packed.arrays)
    assert again.banks == ("a", "b", "c") and again.line("b").banks == ()
    assert np.array_equal(line_of(again, "c").leaves, leaves)  # type: ignore[attr-defined]
    with pytest.raises(PlanError, match="was not trained with d"):
        again.line("d")
    assert "banks" not in json.loads(pack(again.line("a")).text)
