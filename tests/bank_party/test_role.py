"""What the bank does alone: no rules without scores, no scoring without rules, a worse model is refused without its numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bank_party.decision import bundle
from bank_party.judge import challenge
from bank_party.role import BankRole
from common.errors import DataError, JobNotFound, LocalProtocolError, PolicyError
from common.home.outcome import Challenge, Outcome, Steps
from common.learn.learner import Size
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.train import TrainPlan
from common.stages.course import Course
from common.stages.job import Beginning
from common.stages.sizes import TOO_FEW
from common.stats.metrics import Interval
from tests.bank_party.decision.worlds import held_out
from tests.common.stages.companies import Companies
from tests.common.stages.tables import table

ROWS = table(["A", "B"])
WORSE = Challenge("job-1", 0.70, 0.75, Interval(-0.05, -0.08, -0.02, 0.001), 500, Steps(0.01, 0.01))


@pytest.fixture
def role(tmp_path: Path) -> BankRole:
    companies = Companies(tmp_path, own={Party.BANK: {"label_bits": 1.5}})
    return BankRole(companies.opened_home(Party.BANK))


def half(job: str) -> Any:
    """As much of a model as names it."""
    return SimpleNamespace(job=job)


def test_the_bank_keeps_no_account_of_scores(role: BankRole) -> None:
    assert role.party is Party.BANK
    assert role.budget(half("job-1"), "job-2") is None


def test_what_is_told_of_labels_is_charged_and_refused_beyond_the_policy(role: BankRole) -> None:
    role.charge_labels(ROWS, "job-1", "counts", 2.0)
    with pytest.raises(PolicyError, match=r"at most 1\.5 of each"):
        role.charge_labels(ROWS, "job-1", "counts", 2.0)
    role.charge_labels(ROWS, "job-2", "flags", 1.0)


def beginning(rows: int, other: int) -> Beginning:
    nothing: Any = None
    return Beginning(table([f"F{k}" for k in range(rows + 100)]), Size(rows, other, 3), nothing, None)


def asking(name: str = "job-1") -> tuple[Any, list[tuple[str, int]]]:
    """As much of a job as a training asks, and what it notes of charges."""
    noted = list[tuple[str, int]]()
    charged = lambda *what: noted.append(what)  # noqa: E731
    return SimpleNamespace(id=name, outcome=Outcome({"own_columns": 7}), course=Course(), charged=charged), noted


@pytest.mark.parametrize(
    ("model", "bits"),
    [
        ({}, 0.0),
        ({"reveal": "owners"}, 4 * 19),
        ({"reveal": "owners", "weight_bits": 4}, 4 * 15),
        ({"reveal": "owners", "weights": "owned", "optimiser": "sgd", "batch": 1000, "epochs": 2}, 64 * 4 * 2),
    ],
    ids=["closed", "opened", "coarser", "owned"],
)
async def test_a_training_is_charged_for_what_its_plan_opens_to_the_grid(
    role: BankRole, model: dict[str, Any], bits: float
) -> None:
    plan = TrainPlan.model_validate({"grid": {"dataset": "m"}, "bank": {"dataset": "l"}, "model": model})
    job, noted = asking()
    await role.before_training(job, plan, beginning(1000, 4))
    charges = [(entry.what, entry.amount, entry.rows) for entry in role.home.told.standing(1.0).charges]
    opened = [("the grid's weights", bits, 1000)] if bits else []
    assert noted == [("label_bits", 1100)]
    assert charges == [*opened, ("warnings", 5.0, 1100)], "weights are of the rows that train, warnings of those held out too"


async def test_a_training_of_which_one_charge_is_refused_is_charged_for_nothing(role: BankRole) -> None:
    plan = TrainPlan.model_validate({"grid": {"dataset": "m"}, "bank": {"dataset": "l"}, "model": {"reveal": "owners"}})
    job, noted = asking()
    role.charge_labels(table(["F1050"]), "job-0", "counts", 1.5)  # of a row that is held out, of which warnings are told too
    for ask in (role.check_training, role.before_training):
        with pytest.raises(PolicyError, match=r"warnings would tell 5\.0 bits"):
            await ask(job, plan, beginning(1000, 4))
        assert not noted
        assert [entry.what for entry in role.home.told.standing(1.5).charges] == ["counts"]


async def test_a_training_is_looked_at_with_all_that_it_tells_and_charged_for_that_once(role: BankRole) -> None:
    """Also where each of two charges would fit, and both do not."""
    plan = TrainPlan.model_validate({"grid": {"dataset": "m"}, "bank": {"dataset": "l"}, "model": {"reveal": "owners"}})
    job, noted = asking()
    many, few = (replace(beginning(1000, 4), told=(("sums", bits),)) for bits in (1450.0, 1400.0))  # of 1,500
    with pytest.raises(PolicyError, match=r"the grid's weights would tell 76\.0 bits"):
        await role.check_training(job, plan, many)
    await role.check_training(job, plan, few)
    assert role.home.told.standing(1.5).charges == () and not noted
    await role.before_training(job, plan, few)
    charges = [(entry.what, entry.amount) for entry in role.home.told.standing(1.5).charges]
    assert charges == [("sums", 1400.0), ("the grid's weights", 76.0), ("warnings", 5.0)]


async def test_a_training_or_scoring_that_ends_without_scores_is_no_result(role: BankRole) -> None:
    nothing: Any = None
    with pytest.raises(LocalProtocolError, match="ended without scores"):
        await role.trained(nothing, nothing, nothing, None)
    with pytest.raises(LocalProtocolError, match="ended without scores"):
        await role.scored(nothing, half("job-1"), ROWS, None, None)


def test_a_model_without_readable_rules_is_refused_before_a_row_is_matched(role: BankRole) -> None:
    with pytest.raises(JobNotFound, match="job-1"):
        role.before_scoring(half("job-1"))
    held, _ = held_out(400)
    folder = role.home.models.folder("job-1")
    bundle.save(held, folder)
    role.before_scoring(half("job-1"))
    (folder / bundle.RULES).write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        role.before_scoring(half("job-1"))


def test_a_worse_model_needs_force_and_its_numbers_stay_at_the_bank(role: BankRole) -> None:
    challenge.save(WORSE, role.home.models.folder("job-2"))
    bundle.save(replace(held_out(600)[0], job="job-2"), role.home.models.folder("job-2"))
    with pytest.raises(PolicyError, match=r"AUC 0\.7000 against 0\.7500 on 500 held-out rows") as refused:
        role.compare(PromotePlan(model="job-2"), "job-2", "job-1")
    assert not any(digit in refused.value.public.replace("job-1", "").replace("job-2", "") for digit in "0123456789")
    assert role.compare(PromotePlan(model="job-2", force=True), "job-2", "job-1") == WORSE
    assert role.compare(PromotePlan(model="job-2"), "job-2", "job-0") is None  # nothing tells of this champion
    told = [(book.key, charge.user, charge.what, charge.rows) for book in role.home.standings() for charge in book.charges]
    assert told == [
        ("label_bits", "job-2", "whether worse than job-1", 300),
        ("metric_bits", "job-2", "beside job-1", 300),
    ], "each once, however often it is asked"


async def test_whether_there_are_labels_enough_is_charged_first_and_one_answer_for_both_kinds(role: BankRole) -> None:
    for train, held in ((10, 300), (300, 3)):  # labels of ones among 1,000 rows that train, and 1,000 that are held out
        job, noted = asking(f"job-{train}")
        label = np.repeat([1.0, 0.0, 1.0, 0.0], [train, 1000 - train, held, 1000 - held])
        with pytest.raises(PolicyError) as caught:
            role.check_labels(job, table([f"F{k}" for k in range(2000)], label=label), np.repeat([False, True], 1000))
        assert caught.value.public == TOO_FEW and noted == [("label_bits", 2000)]
    charges = role.home.told.standing(1.0).charges
    assert [(charge.amount, charge.rows) for charge in charges] == [(1.0, 2000)] * 2
