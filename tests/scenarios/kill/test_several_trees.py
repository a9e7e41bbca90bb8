"""Boosted trees of several banks outlive the kill of a bank, of the grid and of who deals, and go on from what all have."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from common.disk.data_folder import Name
from common.home.models import ModelStore
from common.home.outcome import EVALUATION, parse_evaluation
from common.learn.trees.half import TreesHalf
from common.plan.trees import Trees
from tests.extent import cases, extent
from tests.scenarios.end_to_end.several import World
from tests.scenarios.kill.masks import Sent, read_frames, seeds_of, twice
from tests.scenarios.kill.test_several import Street, cleared, masked, shot, trusting, until
from tests.scenarios.kill.town import charges

SECTION = Trees(kind="trees", trees=12, depth=2)
BACK = 8  # trees that are grown again after a kill, at most
WHEN = {"bank-3": "masked_u 10", "grid": "masked_u 30", "coordinator": "dealt_sum 38"}  # after the eighth tree
LIMITS = {"min_matched": 300}


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Street, World]]:
    with trusting(tmp_path_factory.mktemp("street")) as found:
        yield found


def trees(street: Street) -> int:
    """How many the second bank, which nobody kills, has begun."""
    return sum(one.kind == "masked_u" for one in read_frames(street.folder, "bank-2"))


@pytest.mark.parametrize("name", cases(["coordinator"], ["bank-3", "grid"], "whoever it is in a training of a line"))
def test_whoever_is_killed_while_trees_grow(street: tuple[Street, World], name: str) -> None:
    trial, world = street
    before = trees(trial)
    with trial.client() as client:
        job = shot(trial, client, world.plan(model=SECTION, limits=LIMITS), name, WHEN[name])
        if name != "coordinator":
            assert until(client, job, "waiting", 10.0).disturbed.kind == "PeerLost"
        trial.start(name)
        assert until(client, job, "succeeded").attempt == 1
    assert SECTION.trees <= trees(trial) - before <= SECTION.trees + BACK
    halves = [ModelStore(trial.data(bank) / Name.MODELS).load(job) for bank in ("grid", *world.names)]
    grid, *banks = [half for half in halves if isinstance(half, TreesHalf)]
    assert all(np.array_equal(bank.splits, banks[0].splits) and np.array_equal(bank.leaves, banks[0].leaves) for bank in banks)
    assert len(banks) == 3 and ((grid.splits < 0) != (banks[0].splits < 0)).all()
    places = (trial.data(bank) / Name.MODELS / job / EVALUATION for bank in world.names)
    found = [parse_evaluation(place.read_bytes()) for place in places]
    assert np.mean([one.joint.auc - one.bank_only.auc for one in found]) > 0.0
    cleared(trial, ("grid", *world.names))


def test_the_others_go_on_without_one_that_does_not_come_back(street: tuple[Street, World]) -> None:
    """All trees are grown anew by the thresholds of all, of the rows that are left, and what splits them is charged again."""
    trial, world = street
    before = trees(trial)
    plan = world.plan(model=SECTION, limits=LIMITS, min_live=2, leave_out_after=1.0)
    with trial.client() as client:
        job = shot(trial, client, plan, "bank-3", WHEN["bank-3"])
        done = until(client, job, "succeeded")
    assert [bank.left_out for bank in done.banks] == [False, False, True] and not done.banks[2].report.model_digest
    assert SECTION.trees + BACK <= trees(trial) - before <= 2 * SECTION.trees
    assert done.grid.report.counts.train_rows == sum(bank.report.counts.train_rows for bank in done.banks[:2])
    grid, *banks = [ModelStore(trial.data(name) / Name.MODELS).load(job) for name in ("grid", *world.names[:2])]
    assert isinstance(grid, TreesHalf) and grid.banks == tuple(bank.who for bank in done.banks[:2])
    assert len({half.leaves.tobytes() for half in banks if isinstance(half, TreesHalf)}) == 1
    for bank in world.names[:2]:
        with closing(sqlite3.connect(trial.data(bank) / Name.TOLD)) as book:
            told = book.execute("select bits, rows from told where job = ? and what = 'all splits'", (job,))
            first, second = told.fetchall()
        assert first == second  # as many bits of the same rows
    assert charges(trial.data("bank-3"), job)[job, "all splits"] == 1
    places = (trial.data(bank) / Name.MODELS / job / EVALUATION for bank in world.names[:2])
    found = [parse_evaluation(place.read_bytes()) for place in places]
    assert np.mean([one.joint.auc - one.bank_only.auc for one in found]) > 0.0
    trial.start("bank-3")
    cleared(trial, ("grid", *world.names))
    assert job not in trial.kept("bank-3", Name.MODELS) and job in trial.kept("bank-2", Name.MODELS)


def _filled(sent: Sent) -> Sent:
    """What is compared has 25 bits of its words of 32."""
    return replace(sent, values=sent.values << np.uint32(7)) if sent.kind == "masked_compared" else sent


def test_no_mask_has_served_twice(street: tuple[Street, World]) -> None:
    trial, world = street
    for name in ("grid", *world.names):
        sent = [_filled(one) for one in masked(trial, name)]
        assert len(sent) > extent(100, 250) and twice(sent) == []
        assert [mark for mark, lives in seeds_of(trial.folder / f"{name}.seeds").items() if len(lives) > 1] == []
