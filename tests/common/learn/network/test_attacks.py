"""Those who read, by a network: what gives a label or a value away where weights are opened gives nothing here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bank_party.settings import BankPolicy
from common.errors import PolicyError
from common.learn.learner import Size
from common.learn.network.learner import NetworkLearner
from common.learn.network.scales import WEIGHT
from common.learn.network.weights import Weights
from common.mpc.fixedpoint import Reals, decode
from common.party import Party
from common.plan.network import Network
from common.plan.train import TrainPlan
from common.stats.measures import auc
from tests.common.learn.network.problems import Problem, opened, trained
from tests.common.learn.network.test_learner import SECTION, companies
from tests.peers import Trio

SPIKES, ROWS = 40, 800
LONG = Network(hidden=2, epochs=100, batch=0, step=1.0, decay=1e-4)


def spiked(party: Party) -> Problem:
    """Columns of one side that are zero but for a row each, the first rows one after another."""
    problem = Problem.made(ROWS, seed=7)
    spikes = np.zeros((ROWS, SPIKES))
    spikes[np.arange(SPIKES), np.arange(SPIKES)] = 2.0
    if party is Party.GRID:
        return Problem(np.column_stack([problem.grid, spikes]), problem.bank, problem.label)
    return Problem(problem.grid, np.column_stack([problem.bank[:, :-1], spikes, np.ones(ROWS)]), problem.label)


def effect(block: Reals, output: Reals) -> Reals:
    """What a spike's weights add to its row's log-odds, to first order."""
    return block @ output


@pytest.mark.parametrize("party", list(Party))
async def test_a_spike_tells_its_row_by_the_weights_and_by_no_share_of_them(party: Party) -> None:
    """R1 and R6. The grid looks for labels; the bank, that knows them, for what the grid's columns say of the row."""
    problem = spiked(party)
    shares = await trained(Trio(seed=3), problem, LONG)
    whole, mine = opened(shares), shares[party]
    at = slice(3, 3 + SPIKES) if party is Party.GRID else slice(2, 2 + SPIKES)
    exact = effect((whole.grid if party is Party.GRID else whole.bank)[at], whole.output)
    label = problem.label[:SPIKES]
    assert auc(label, exact) > 0.9  # else the attack would be none
    assert abs(auc(label, effect(_signed(mine)[0][at], _signed(mine)[1])) - 0.5) < 0.3


def _signed(share: Weights) -> tuple[Reals, Reals]:
    """A party's share of its own block and of the output, as if it were the weights."""
    return decode(share.own, WEIGHT), decode(share.output, WEIGHT)


EXTREME: list[tuple[dict[str, Any], str]] = [
    ({"model": {"step": 16.0, "decay": 0.0}}, r"step = 16.0 \(at most 10.0\)"),
    ({"model": {"decay": 0.0}}, "decay = 0.0"),
    ({"preparation": {"clip": 1e6}}, "clip"),
    ({"preparation": {"min_binary": 0}}, "min_binary"),
]


@pytest.mark.parametrize(("fields", "why"), EXTREME)
def test_a_training_whose_weights_would_be_sums_over_rows_is_refused(fields: dict[str, Any], why: str) -> None:
    """R2: the floors stand for a network too, though nobody has its weights."""
    sides = {"grid": {"dataset": "a"}, "bank": {"dataset": "b"}}
    plan = TrainPlan.model_validate({**sides, **fields, "model": {"kind": "network", **fields.get("model", {})}})
    with pytest.raises(PolicyError, match=f"this party's policy does not allow: .*{why}"):
        BankPolicy().check(plan)


def test_a_training_of_few_steps_is_refused_when_its_rows_are_known() -> None:
    """R2: one step would leave in the weights what the first residuals of all rows sum to."""
    short = Network(epochs=1, batch=0)
    with pytest.raises(PolicyError, match="too few steps of training"):
        NetworkLearner().check(short, Size(5000, 10, 5), BankPolicy())


@pytest.mark.parametrize("coding", ["bins", "linear", "auto"])
async def test_scores_that_would_tell_one_column_are_refused_however_it_is_coded(tmp_path: Path, coding: str) -> None:
    """R5. A network's units would tell a column's value from fewer scores than a line does."""
    at = companies(tmp_path)
    side = {"dataset": "rows", "columns": ["kwh"]}
    with pytest.raises(PolicyError, match="are too few, however they are coded"):
        await at.run("job-1", at.plan(model=SECTION, grid=side, preparation={"min_binary": 20, "coding": coding}))
