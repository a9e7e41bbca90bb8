"""The seam of learners: a second one, that lives in tests alone, goes through whole jobs; few modules know the first."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.errors import PeerLost, PeerProtocolError, PolicyError
from common.learn import dealings, learners
from common.learn.learner import Size
from common.learn.linear.learner import Linear
from common.mpc.session import Kind
from common.party import Party
from common.plan.linear import Model
from common.plan.section import Section
from tests.common.learn.means import ROW, Means, MeansLearner, MeansPlan
from tests.common.stages.breaking import Breaking, broken_off
from tests.common.stages.companies import Companies, frames
from tests.test_imports import MODULES, Module, is_of, sources

LINEAR = "common.learn.linear"


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for parties, a row for the dealer: all that is added outside the learner's own files."""
    monkeypatch.setattr(learners, "TABLE", {**learners.TABLE, Means: MeansLearner()})
    monkeypatch.setattr(dealings, "TABLE", (*dealings.TABLE, ROW))


def companies(folder: Path) -> Companies:
    found = Companies(folder)
    found.write(frames(seed=3, monthly=False))
    return found


def plan(at: Companies) -> MeansPlan:
    raw = at.plan().model_dump(exclude={"model", "kind"})
    return MeansPlan.model_validate(raw)


@pytest.mark.usefixtures("rows")
async def test_a_second_learner_trains_is_kept_and_scores_through_whole_jobs(tmp_path: Path) -> None:
    at = companies(tmp_path)
    trained = await at.run("job-1", plan(at))
    measured = trained[Party.BANK].evaluation
    assert measured is not None and measured.joint.auc > measured.bank_only.auc + 0.1
    assert trained[Party.BANK].counts["iterations"] == 1
    assert "grid_weights" in trained[Party.GRID].opened and "bank_weights" not in trained[Party.GRID].opened
    bank, grid = (at.models(party).load("job-1") for party in (Party.BANK, Party.GRID))
    assert bank.learner == grid.learner == "means"
    await at.run("job-2", at.plan(kind="score", model="job-1"))
    found = pd.read_csv(tmp_path / "bank" / "scores" / "job-2.csv")
    assert len(found) == 500 and found["u"].std() > 0.3


@pytest.mark.usefixtures("rows")
async def test_its_training_sends_what_it_states(tmp_path: Path) -> None:
    at = companies(tmp_path)
    outcomes = await at.run("job-1", plan(at))
    size = Size(outcomes[Party.GRID].counts["train_rows"], *(outcomes[p].counts["trained_columns"] for p in Party))
    kinds = (Kind.MASKED_MATRIX, Kind.MASKED_RESIDUAL, Kind.GRID_WEIGHT_SHARE)
    for party in Party:
        sent = at.trio.session[party].traffic.sent
        assert sum(sent.get(kind, 0) for kind in kinds) == MeansLearner().cost(party, Means(), size).peer_sent


@pytest.mark.usefixtures("rows")
async def test_one_that_says_no_state_begins_its_training_anew_and_goes_back_behind_nothing(tmp_path: Path) -> None:
    """Once a training is through scores may be told of its model; another one would tell of the same rows once more."""
    at = companies(tmp_path)
    at.new_trio = Breaking
    await at.run("job-0", plan(at))
    kinds = [label.kind for label, _ in at.trio.peer[Party.GRID].log]
    training, scoring = (kinds.index(kind) + 1 for kind in (Kind.MASKED_MATRIX, Kind.TEST_SCORES))
    assert await broken_off(at, plan(at), Party.GRID, training)
    Breaking.at = scoring - kinds.index(Kind.SHAPE)  # the order of rows is there already, so it sends fewer
    try:
        with pytest.raises(PeerLost):
            await at.run("job-1", plan(at), attempt=1)
    finally:
        Breaking.at = 0
    with pytest.raises(PolicyError, match="the job was interrupted after its training"):
        await at.run("job-1", plan(at), attempt=2)


@pytest.mark.usefixtures("rows")
async def test_one_that_was_interrupted_while_training_ends_well(tmp_path: Path) -> None:
    at = companies(tmp_path)
    at.new_trio = Breaking
    await at.run("job-0", plan(at))
    kinds = [label.kind for label, _ in at.trio.peer[Party.GRID].log]
    assert await broken_off(at, plan(at), Party.GRID, kinds.index(Kind.MASKED_MATRIX) + 1)
    trained = await at.run("job-1", plan(at), attempt=1)
    measured = trained[Party.BANK].evaluation
    assert measured is not None and measured.joint.auc > measured.bank_only.auc + 0.1


async def test_without_its_row_the_dealer_deals_nothing_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "TABLE", {**learners.TABLE, Means: MeansLearner()})
    at = companies(tmp_path)
    with pytest.raises(PeerProtocolError, match="what this job does not consume"):
        await at.run("job-1", plan(at))


def test_rows_of_the_tables_are_told_apart() -> None:
    for column in ("message", "demand"):
        assert len({getattr(row, column) for row in (*dealings.TABLE, ROW)}) == len(dealings.TABLE) + 1
    assert {learner.name for learner in learners.TABLE.values()} == {"linear", "trees", "network"}
    assert isinstance(learners.learner_of(Model()), Linear)


_ITS_OWN = {"PartyModel", "ClosedModel", "CommittedModel", "TrainingDemand", "ScoreDemand"}


def names(module: Module) -> set[str]:
    """Names, attributes and parts of texts in it that only the linear learner gives a meaning to."""
    own = {name for name in (*Model.model_fields, "make_link", "revealed_bits") if not hasattr(Section, name)}
    found = set()
    for node in ast.walk(module.code):
        if isinstance(node, ast.Attribute) and node.attr in own and ast.unparse(node.value).endswith("model"):
            found.add(f"model.{node.attr}")
        elif isinstance(node, ast.Name) and node.id in _ITS_OWN:
            found.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "nesterov" in node.value:
            found.add("nesterov")
    return found


def test_at_most_eight_modules_know_the_linear_learner() -> None:
    """Its folder apart; its section in plans and the tables of learners are among them.

    So are not the conversations of several banks, which train no other model: these are in rooms of their own.
    """
    modules = [m for m in sources("common", "bank_party", "grid_party", "wattscore") if not is_of(m.name, [LINEAR])]
    knowing: dict[str, Any] = {
        m.name: names(m) | {name for name in m.imports if is_of(name, [LINEAR, "common.plan.linear"])} for m in modules
    }
    several = ("common.stages.several", "common.daemon.several", "common.plan.several", "common.mpc.several")
    knowing = {name: why for name, why in knowing.items() if why and not is_of(name, several)}
    assert len(knowing) <= 8, knowing
    assert {"common.plan.linear", "common.learn.learners", "common.learn.dealings"} <= knowing.keys()
    assert LINEAR in MODULES and np.all([not is_of(name, ["common.stages", "common.home"]) for name in knowing]), knowing
