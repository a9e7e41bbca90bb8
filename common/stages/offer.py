"""What a party holds a plan against before it accepts a job."""

from __future__ import annotations

from common.errors import DataError, PlanError, PolicyError
from common.party import Party
from common.plan.policy import Policy
from common.plan.predeal import PredealPlan
from common.plan.request import Plan, Request
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.rows.dataset import check_declared
from common.rows.declare import DatasetConfig
from common.rows.extent import extent_of
from common.rows.featurefile import declared, there

_WIDE = 100  # columns, up to which reading costs little
_FAR = 2  # times more columns than rows can train, above which the rows, some of whose columns may be left out, are not read


def check_offer(
    plan: Plan, party: Party, datasets: dict[str, DatasetConfig], policy: Policy, *, direct: bool = False
) -> DatasetConfig:
    """Checks an offered job before it is accepted: the policy, and that the dataset and columns exist as declared."""
    policy.check(plan)
    side = plan.side(party)
    if side.dataset not in datasets:
        raise PlanError(
            f"the {party.value} has no dataset {side.dataset!r}",
            remedy="Ask its owner for the names of its datasets.",
            local=f"It has: {', '.join(sorted(datasets)) or 'none'}.",
        )
    dataset = datasets[side.dataset]
    if not there(dataset):
        message = f"the file of dataset {side.dataset!r} is missing"
        path = dataset.features or dataset.path
        raise DataError(f"{message}: {path}", public=message, remedy="Put it where the configuration says.")
    dataset = declared(dataset)
    if isinstance(plan, TrainPlan):
        select(dataset, side.columns, side.dataset)
    if isinstance(plan, ScorePlan) and plan.on_request and not direct:
        raise PlanError(
            "rows are asked for by the bank's own command, and this job came through the coordinator",
            remedy="Set on_request = 0, or run `bank-party score` with --requests.",
        )
    if "period" in plan.keys and dataset.period is None:
        raise PlanError(
            f"dataset {side.dataset!r} of the {party.value} has no period",
            remedy='Use keys = ["id"], or declare its period column.',
        )
    return dataset


def check_direct(plan: Request, policy: Policy) -> None:
    """Raises PolicyError, or PlanError, for a job that no coordinator offers and that needs one, or that is not allowed."""
    if not policy.direct:
        raise PolicyError(
            "this party's policy does not allow jobs without the coordinator (direct = false)",
            remedy="Submit it through the coordinator, or agree with this party on its policy.",
        )
    scores = isinstance(plan, ScorePlan) and (plan.dealt == "ahead" or plan.undealt) and plan.matching == "ecdh"
    if not scores and not (isinstance(plan, PredealPlan) and plan.undealt):
        raise PlanError(
            "only scoring with dealt = 'ahead', or dealer = 'none', and matching = 'ecdh' does without the coordinator,"
            " and a stock for a training with dealer = 'none'",
            remedy="Submit it through the coordinator.",
        )


def select(dataset: DatasetConfig, asked: tuple[str, ...], name: str) -> DatasetConfig:
    """`dataset` with the columns a plan names, or all for *; raises PlanError for a column it does not declare."""
    if asked == ("*",) or not dataset.columns:
        return dataset
    unknown = [c for c in asked if c not in dataset.columns]
    if unknown:
        raise PlanError(
            f"dataset {name!r} declares no column {', '.join(map(repr, unknown))}",
            remedy="Ask its owner what it declares.",
            local=f"It declares: {', '.join(dataset.columns)}.",
        )
    return dataset.model_copy(update={"columns": {c: dataset.columns[c] for c in asked}})


def check_width(plan: TrainPlan, dataset: DatasetConfig, party: Party, name: str) -> None:
    """Raises PolicyError, by the header alone, for far more columns than the rows can train; no row is read."""
    file = check_declared(dataset, name=name, party=party)
    extent = extent_of(file, dataset)
    columns, rows = extent.columns, round(extent.rows * (1 - plan.split.test))
    if columns > _WIDE and columns * plan.limits.rows_per_column > _FAR * rows:
        raise PolicyError(
            f"dataset {name!r} has too many columns: {columns} columns need {columns} times {plan.limits.rows_per_column}"
            f" training rows, and about {rows} of its rows train",
            expected=f"at most {rows // plan.limits.rows_per_column}",
            got=columns,
            remedy="Declare the columns that are meant, or name them in the plan.",
        )
