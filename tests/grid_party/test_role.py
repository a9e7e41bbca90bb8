"""What the grid does alone: how often a row may be scored, and by a model of how few columns it may not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.errors import LocalProtocolError, PolicyError
from common.learn.learner import Size
from common.party import Party
from common.plan.train import TrainPlan
from common.rows.table import FeatureTable
from common.stages.job import Beginning
from grid_party.role import GridRole
from tests.common.stages.companies import Companies
from tests.common.stages.tables import table

ROWS, OTHERS = table(["A", "B"]), table(["C"])

JOB: Any = SimpleNamespace(id="job-9", scores_per_row=None)  # as much of a job as is asked of one before it trains


CLOSED, OPEN = (
    TrainPlan.model_validate({"grid": {"dataset": "m"}, "bank": {"dataset": "l"}, "model": {"reveal": reveal}})
    for reveal in ("none", "owners")
)


def half(columns: int, repeats: bool = True) -> Any:
    """As much of a model as names it and tells its source columns."""
    sources = frozenset(map(str, range(columns)))
    return SimpleNamespace(job="job-1", fitted=SimpleNamespace(sources=sources), repeats=repeats)


def beginning(held: FeatureTable, columns: int, champion: Any = None) -> Beginning:
    """A training on row T, with these rows held out."""
    rows = table(["T", *(str(name) for name in held.ids)])
    return Beginning(rows, Size(1, columns, 3), half(columns), champion)


@pytest.fixture
def role(tmp_path: Path) -> GridRole:
    own = {Party.GRID: {"scores_per_row": 3, "min_columns": 2}}
    return GridRole(Companies(tmp_path, own=own).opened_home(Party.GRID))


@pytest.mark.parametrize(("columns", "models"), [(1, 1), (3, 1), (4, 2), (6, 3), (40, 3)])
def test_a_row_is_scored_by_half_as_many_models_as_columns_and_never_by_more_than_the_policy_says(
    role: GridRole, columns: int, models: int
) -> None:
    for k in range(models):
        role.budget(half(columns), "scoring").charge(ROWS, f"job-{k}")
    with pytest.raises(PolicyError, match=f"have been scored by {models} models already"):
        role.budget(half(columns), "scoring").charge(ROWS, "another")
    role.budget(half(columns), "scoring").charge(OTHERS, "another")


async def test_a_grant_may_say_fewer_models_and_never_more(role: GridRole) -> None:
    for granted, models in ((1, 1), (9, 3)):
        rows = table([f"G{granted}"])
        for k in range(models):
            role.budget(half(40), "scoring", granted).charge(rows, f"job-{k}")
        with pytest.raises(PolicyError, match=f"have been scored by {models} models already"):
            role.budget(half(40), "scoring", granted).charge(rows, "another")
    job: Any = SimpleNamespace(id="job-9", scores_per_row=1)
    with pytest.raises(PolicyError, match="by 1 models already"):
        await role.check_training(job, CLOSED, beginning(table(["G1"]), 40))
    await role.check_training(job, CLOSED, beginning(OTHERS, 40))


async def test_a_training_is_refused_where_its_own_scores_would_be_and_nothing_is_charged(role: GridRole) -> None:
    for k in range(2):
        role.budget(half(4), "scoring").charge(ROWS, f"job-{k}")
    with pytest.raises(PolicyError, match="have been scored by 2 models already"):
        await role.check_training(JOB, CLOSED, beginning(ROWS, 4))
    await role.check_training(JOB, CLOSED, beginning(OTHERS, 4))
    assert not role.home.ledger.knows(JOB.id)


async def test_a_challenge_leaves_room_for_the_champions_score_after_the_models(role: GridRole) -> None:
    role.budget(half(4), "scoring").charge(ROWS, "job-0")
    await role.check_training(JOB, CLOSED, beginning(ROWS, 4))
    with pytest.raises(PolicyError, match="have been scored by 1 models already"):
        await role.check_training(JOB, CLOSED, beginning(ROWS, 4, half(4)))
    role.budget(half(4), "scoring").charge(ROWS, "job-1")
    with pytest.raises(PolicyError, match="have been scored by 2 models already"):
        # the champion's own score is no new one, the model's is
        await role.check_training(JOB, CLOSED, beginning(ROWS, 4, half(4)))
    role.budget(half(6), "scoring").charge(OTHERS, "job-1")
    await role.check_training(JOB, CLOSED, beginning(OTHERS, 4, half(4)))


async def test_a_model_of_fewer_columns_than_the_policys_floor_is_not_trained(role: GridRole) -> None:
    with pytest.raises(PolicyError, match="1 columns of the grid are too few"):
        await role.check_training(JOB, CLOSED, beginning(ROWS, 1))
    await role.check_training(JOB, CLOSED, beginning(ROWS, 2))


def test_the_grid_has_no_labels_to_tell_of_and_compares_nothing(role: GridRole) -> None:
    nothing: Any = None
    with pytest.raises(LocalProtocolError, match="no labels"):
        role.charge_labels(ROWS, "job-1", "counts", 1.0)
    assert role.compare(nothing, "job-2", "job-1") is None


async def test_rows_that_train_are_charged_where_weights_are_opened(role: GridRole) -> None:
    noted = list[tuple[str, int]]()
    job: Any = SimpleNamespace(**vars(JOB), charged=lambda *what: noted.append(what))
    await role.check_training(job, OPEN, beginning(ROWS, 4))
    assert not role.home.ledger.knows(job.id) and not noted
    await role.before_training(job, OPEN, beginning(ROWS, 4))
    assert noted == [("scores_per_row", 1)]
    with pytest.raises(PolicyError, match="1 of 1 rows have been scored by 1 models already"):
        role.budget(half(2), "scoring").charge(table(["T"]), "another")
    role.budget(half(2), "scoring").charge(ROWS, "another")  # those held out are not, before they are scored
    other: Any = SimpleNamespace(id="job-10", scores_per_row=None)
    await role.check_training(other, CLOSED, beginning(OTHERS, 2))
    await role.before_training(other, CLOSED, beginning(OTHERS, 2))
    with pytest.raises(PolicyError, match="1 of 1 rows have been scored by 1 models already"):
        await role.check_training(other, OPEN, beginning(OTHERS, 2))
    assert not role.home.ledger.knows(other.id)


def test_every_scoring_by_a_model_that_the_other_side_could_vary_is_charged(role: GridRole) -> None:
    trees = half(6, repeats=False)
    role.budget(trees, "job-1").charge(ROWS, "job-1")  # its held-out rows, in its own training
    for scoring in ("score-1", "score-2"):
        role.budget(trees, scoring).charge(ROWS, "job-1")
        role.budget(trees, scoring).charge(ROWS, "job-1")  # the same scoring, asked for twice on its way
    with pytest.raises(PolicyError, match="have been scored by 3 models already"):
        role.budget(trees, "score-3").charge(ROWS, "job-1")
    assert role.home.ledger.knows("job-1") and role.home.ledger.knows("job-1/score-2")


def test_a_job_that_has_scored_by_such_a_model_is_known_and_not_run_again_as_a_new_one(role: GridRole) -> None:
    """Under its name once more it would be free; also one that was charged first in a later attempt."""
    trees = half(6, repeats=False)
    role.budget(trees, "score-1").charge(ROWS, "job-1")
    role.budget(trees, "job-2#1").charge(ROWS, "job-2")
    assert all(role.home.knows(job) for job in ("job-1", "job-2", "score-1"))
    assert not any(role.home.knows(job) for job in ("job-3", "score-2", "score", "1"))


async def test_a_champion_of_that_kind_costs_once_more_to_challenge(role: GridRole) -> None:
    trees = half(6, repeats=False)
    for scoring in ("job-1", "score-1"):
        role.budget(trees, scoring).charge(ROWS, "job-1")
    with pytest.raises(PolicyError, match="have been scored by 2 models already"):
        await role.check_training(JOB, CLOSED, beginning(ROWS, 6, trees))
