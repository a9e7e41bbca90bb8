"""Scoring on shares gives what the trees put together give; a half outlives its file, and a damaged one is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from common.features.bins import BinnedColumn, Cells
from common.features.fit import FittedPreparation
from common.learn import learners
from common.learn.learner import Telling
from common.learn.trees.deal import BLOCK_ROWS, TreeScoreDemand, deal_tree_scores
from common.learn.trees.half import TreesHalf, pack, parse
from common.learn.trees.score import open_scores
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import Reals
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.table import FeatureTable, Ids
from tests.peers import Trio, coordinate

TREES, DEPTH, CUTS = 7, 3, 4
COLUMNS = {Party.GRID: ("kwh", "peak"), Party.BANK: ("income",)}


def fitted(party: Party) -> FittedPreparation:
    edges = tuple(float(e) for e in np.linspace(-1.0, 1.0, CUTS))
    columns = []
    for source in COLUMNS[party]:
        cells = Cells(source=source, edges=edges)
        for k in range(CUTS):
            values = tuple(float(cell <= k or cell == CUTS + 1) for cell in range(CUTS + 2))
            columns.append(BinnedColumn(name=f"{source}<{edges[k]}", cells=cells, values=values, centre=0.5, spread=0.5))
    return FittedPreparation(fitted=tuple(columns))


def halves(seed: int = 0) -> tuple[dict[Party, TreesHalf], Reals]:
    """Both halves, and the leaves they share, (trees, leaves)."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-600, 600, (TREES, 1 << DEPTH))
    shares = {Party.GRID: rng.integers(0, 1 << 16, values.shape).astype(np.uint16)}
    shares[Party.BANK] = (values.astype(np.int16).view(np.uint16) - shares[Party.GRID]).astype(np.uint16)
    owner = rng.integers(0, 2, (TREES, DEPTH))
    owner[0], owner[1] = 0, 1  # one tree each is a side's alone
    found = {}
    for party in Party:
        splits = rng.integers(0, CUTS * len(COLUMNS[party]), (TREES, DEPTH))
        splits = np.where(owner == party.index, splits, -1).astype(np.int32)
        start = -2500 if party is Party.BANK else 0
        found[party] = TreesHalf("job-1", party, fitted(party), splits, shares[party], start, {}, {})
    return found, values / 2.0**11


def table(party: Party, rows: int) -> FeatureTable:
    rng = np.random.default_rng(5 + party.index)
    numeric = {name: rng.standard_normal(rows) for name in COLUMNS[party]}
    numeric[COLUMNS[party][0]][::9] = np.nan
    return FeatureTable(Ids.of([f"F{k}" for k in range(rows)]), None, numeric, {}, None, COLUMNS[party])


def plain(models: dict[Party, TreesHalf], leaves: Reals, rows: int) -> Reals:
    place = np.zeros((TREES, rows), np.int64)
    for party, model in models.items():
        place |= model.paths(table(party, rows)).astype(np.int64)
    return np.asarray(np.take_along_axis(leaves, place, 1).sum(0) - 2500 / 2**11)


async def score(trio: Trio, models: dict[Party, TreesHalf], rows: int, telling: Telling) -> Reals:
    async def side(session: Session, correlations: DealtCorrelations) -> Reals | None:
        return await open_scores(session, correlations, models[session.party], table(session.party, rows), telling)

    found = await coordinate(trio, side, more={TreeScoreDemand: deal_tree_scores})
    assert found[Party.GRID] is None and found[Party.BANK] is not None
    return found[Party.BANK]


@pytest.mark.parametrize("rows", [1, 300, BLOCK_ROWS + 5])
async def test_scores_are_the_trees_put_together_to_the_last_bit_of_a_leaf(rows: int) -> None:
    models, leaves = halves()
    found = await score(Trio(), models, rows, Telling(Kind.SCORES, 11))
    assert np.array_equal(found, plain(models, leaves, rows))


@pytest.mark.parametrize("bits", [0, 5])
async def test_scores_are_told_within_a_step_and_a_half_rounded_without_bias(bits: int) -> None:
    models, leaves = halves()
    found = await score(Trio(), models, 3000, Telling(Kind.SCORES, bits))
    errors = found - plain(models, leaves, 3000)
    assert np.abs(errors).max() <= 1.5 * 2.0**-bits and abs(errors.mean()) < 4 * 2.0**-bits / np.sqrt(3000)
    assert np.allclose(found * 2**bits, np.rint(found * 2**bits))


async def test_a_row_scored_again_and_again_tells_no_finer_bits() -> None:
    models, leaves = halves()
    found = [await score(Trio(), models, 40, Telling(Kind.SCORES, 5)) for _ in range(60)]
    errors = np.mean(found, axis=0) - plain(models, leaves, 40)
    assert errors.std() > 0.5 / np.sqrt(12) / 32  # the dither's own, which the mean does not take away


async def test_rows_to_spare_take_no_part() -> None:
    models, leaves = halves()
    found = await score(Trio(), models, 30, Telling(Kind.SCORES, 11, dealt=100))
    assert np.array_equal(found, plain(models, leaves, 30))


async def test_the_grid_receives_nothing_that_depends_on_the_banks_rows() -> None:
    """The number and size of messages are those of the trees alone; what is in them, test_privacy looks at."""
    models, _ = halves()
    trio = Trio()
    await score(trio, models, 300, Telling(Kind.SCORES, 5))
    sent = trio.session[Party.GRID].traffic.sent
    levels = (models[Party.BANK].splits >= 0).sum(1)
    assert sent[Kind.MASKED_LEAVES] == 2 * 300 * int((2**levels - 1).sum()) and sent[Kind.SCORES] == 2 * 300
    assert sent[Kind.MASKED_CHOICE] == TREES * DEPTH * 38


def test_a_half_survives_its_file() -> None:
    model = halves()[0][Party.BANK]
    packed = pack(model)
    found = learners.parse(json.loads(packed.text), packed.arrays)
    assert isinstance(found, TreesHalf) and found.start == -2500 and found.shape == model.shape
    assert np.array_equal(found.paths(table(Party.BANK, 50)), model.paths(table(Party.BANK, 50)))
    assert learners.pack(found) == packed
    assert found.columns[-1] == "(intercept)" and found.closed and found.coefficients is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"arrays_sha256": "0" * 64},
        {"columns": ["another"]},
        {"start": "0"},
        {"learner": "oak"},
    ],
)
def test_a_damaged_half_is_refused(change: dict[str, Any]) -> None:
    packed = pack(halves()[0][Party.BANK])
    with pytest.raises((ValueError, KeyError)):
        learners.parse({**json.loads(packed.text), **change}, packed.arrays)


def test_a_half_whose_splits_name_no_threshold_is_refused() -> None:
    model = halves()[0][Party.GRID]
    model.splits[0, 0] = 99
    packed = pack(model)
    with pytest.raises(ValueError, match="shape"):
        parse(json.loads(packed.text), packed.arrays)
