"""From a plan's section `[model]` and the number of rows to the steps of a training, within the fixed-point budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from common.errors import PeerProtocolError, PlanError, PolicyError, RangeError
from common.learn.linear import path
from common.learn.linear.deal import Masks, TrainingDemand, Work
from common.learn.linear.hessian import MOST_ROWS
from common.learn.linear.joint import check_beside
from common.learn.linear.path import LONGER, LONGER_BITS, MOVED_SHIFT, Step, matrix_width
from common.learn.linear.schedule import count_parts, count_steps, nesterov, sgd
from common.mpc.abreast import MOST_ROW_LANES
from common.mpc.arrived import Rest
from common.mpc.dealer import Dealt, Prgs
from common.mpc.fixedpoint import WEIGHT_LIMIT, X_LIMIT, LinkScales
from common.mpc.lattice.ring96 import WORDS
from common.party import Party
from common.plan.linear import HALF_ROWS, UNAIDED_STEP, Model
from common.plan.predeal import PredealPlan
from common.plan.request import Request
from common.plan.section import Floors
from common.plan.train import TrainPlan

MAX_STEPS = 100_000
_REST, _STABLE, _RESTLESS = 4.0, 16.0 / 3.0, 64.0
_USUAL = 1.0 / 16.0  # of the most
STEP = 4.0  # of nesterov; whitened columns freed of the sides' correlation curve by at most 1/4


def deal_training(prg: Prgs, demand: TrainingDemand, plan: Request, memory: int, workers: int = 1) -> Iterator[Dealt]:
    """All that the training of `plan` consumes. Raises PlanError for a plan that trains no linear model.

    memory, workers: as `Masks` has them.
    """
    if not isinstance(plan, TrainPlan | PredealPlan) or not isinstance(plan.model, Model):
        raise PlanError("this job trains no linear model")
    yield from Masks(prg, make_work(plan.model, demand), memory, workers).deal()


def make_work(model: Model, demand: TrainingDemand) -> Work:
    """All that dealing a training of this size depends on. Raises PolicyError as `joint.check_beside` does."""
    columns = {Party.GRID: demand.grid_columns, Party.BANK: demand.bank_columns}
    steps, link = make_steps(model, demand.rows, sum(columns.values())), model.make_link()
    check_first(steps, demand.first)
    quadratic, half = is_quadratic(model, demand.rows), model.dealer == "half"
    if model.joint and not (half or quadratic):
        check_beside(demand.grid_columns, demand.bank_columns)
    if demand.lanes and demand.lanes != lanes_of(model, steps, demand.lanes):
        raise PeerProtocolError("the parties ask for runs of rows that this training has not", got=demand.lanes)
    how = model.revealed_bits, model.closed, model.joint, demand.first, half, quadratic, not (half or quadratic), demand.lanes
    return Work(steps, link, demand.rows, columns, *how)


def lanes_of(model: Model, steps: Sequence[Step], most: int) -> int:
    """Into how many runs of rows these steps can be cut, at most so many; 0: they stay together.

    A run has whole spans, so that no mask depends on how many there are, and at least a full one of the largest step: fewer
    rows are swept sooner than they are cut. Batches have few, and come one after another.
    """
    apart = model.dealer == "whole" and model.weights == "shared" and model.optimiser == "nesterov"
    if not apart or is_quadratic(model, max((step.high for step in steps), default=0)):
        return 0
    found = min(most, MOST_ROW_LANES, max(step.rows for step in steps) // path.SPAN_ROWS)
    return found if found > 1 else 0


def check_first(steps: Sequence[Step], first: int) -> None:
    """Raises PeerProtocolError for a step with which no training can go on: that there is not, or that is corrected."""
    if not 0 <= first < len(steps) or steps[first].corrected:
        raise PeerProtocolError("the parties ask for a training from a step that it has not", got=first)


def is_quadratic(model: Model, rows: int) -> bool:
    """Whether a training over so many rows descends on a shared Hessian, rows being needed once: see `hessian`."""
    return model.link == "taylor" and model.joint and model.dealer == "whole" and rows <= MOST_ROWS


def make_steps(model: Model, rows: int, columns: int, data_rows: int | None = None) -> list[Step]:
    """All steps over `rows` training rows of so many columns of both parties, zeros that fill a stock among either.

    data_rows: how many of the rows come first that are not zeros, if nesterov; all by default.

    Raises PlanError when their numbers do not fit the fixed-point budget.
    """
    full = model.full_steps if model.joint and not is_quadratic(model, rows) else 0
    found = make_course(model, rows, columns, full)
    return found if data_rows is None else [replace(step, data_rows=_data(step, rows, data_rows)) for step in found]


def _data(step: Step, rows: int, data_rows: int) -> int:
    """Over how many a step averages: its own, or its part of all where it is to match what was measured of that part."""
    if step.measures or step.corrected:
        return data_rows * (step.whole or step.rows) // rows
    return min(data_rows, step.high) - step.low


def make_course(model: Model, rows: int, columns: int, full: int) -> list[Step]:
    """As `make_steps`; full: of `nesterov`."""
    _check_steps(model, rows, count_parts(rows, columns) if full else 1)
    if model.optimiser == "nesterov":
        found = nesterov(rows, model.iterations, step_size(model), full, columns, longer=_longer(model))
    else:
        found = sgd(rows, model.batch, model.epochs, model.step or 1.0)
    try:
        LinkScales.choose(found[0].size, max(step.rows for step in found))
    except RangeError as error:
        raise PlanError(error.message, expected=error.expected, got=error.got, remedy=error.remedy) from None
    return found


def _longer(model: Model) -> bool:
    """Whether corrected steps are a quarter longer: where that is stable, and the link's period leaves bits for it.

    With their momentum a step is stable below 1.43 / L on all rows, whose L is 1/4, and next to stable on a part of
    `schedule.COLUMN_ROWS` a column, which curves a sixth more. Of weights so moved a dealer knows fewer bits.
    """
    return LONGER * step_size(model) <= _STABLE and model.make_link().bits <= 64 - MOVED_SHIFT - LONGER_BITS


def check_course(model: Model, rows: int, columns: int, floors: Floors) -> None:
    """Raises PolicyError for a course of training that can be told to be too short only now that rows and columns are known.

    The weights after few steps, or after a small last batch, are sums over few rows: equations in the labels of these.
    """
    least, steps = max(floors.min_batch, 20 * columns), len(make_steps(model, rows, columns))
    if model.optimiser == "sgd" and model.batch < min(rows, least):
        raise PolicyError(
            f"a batch of {model.batch} is too small for {columns} columns",
            expected=f"at least {least}, or all {rows} rows",
            got=model.batch,
            remedy="Use larger batches, or optimiser = 'nesterov'.",
        )
    if steps < floors.min_iterations:
        raise PolicyError(
            "too few steps of training",
            expected=f"at least {floors.min_iterations}",
            got=steps,
            remedy="Use more epochs, or smaller batches.",
        )


def cell_bytes(model: Model, steps: Sequence[Step]) -> int:
    """Of the widest masked matrix of these steps: rows that residuals multiply are sent whole where nobody deals masks."""
    return matrix_width(steps, model.make_link()) if model.dealer == "whole" else 4 * WORDS


def rest_limit(model: Model, steps: Sequence[Step], columns: int) -> Rest:
    """Largest combinations of the last step's movement and gradient with which a training of so many columns has arrived.

    Ten steps or more of a length at which descent is stable leave at most 0.13, and 1.3 where a line all but separates the
    labels (measured over worlds of few and many rows, rare defaults, correlated sides, heavy tails); fewer leave more, as does
    noise of a batch's labels, of at most 1/2 a row and column. A longer step need not come to rest.
    """
    last = steps[-1]
    rest = _REST * max(1.0, 10.0 / len(steps)) ** 2 * (1.0 if last.size <= _STABLE else _RESTLESS)
    noise = 0.0 if model.optimiser == "nesterov" else 2.0 * last.size * math.sqrt(columns / last.rows)
    return Rest(_USUAL * rest + noise, rest + noise, dealt=not model.undealt)


def step_size(model: Model) -> float:
    """Of each step of a training by this model."""
    usual = 1.0 if model.optimiser == "sgd" else UNAIDED_STEP if model.undealt else STEP
    return model.step or usual


def _check_steps(model: Model, rows: int, parts: int) -> None:
    """Refuses, before they are made, too many steps and steps that could leave the ring. parts: of rows, for early steps."""
    if model.dealer != "whole" and rows > HALF_ROWS:
        raise PlanError(
            "the errors of so many rows' masks would stand as high as what hides them",
            expected=f"at most {HALF_ROWS} training rows with dealer = {model.dealer!r}",
            got=rows,
            remedy="Hold out more rows, or train with dealer = 'whole'.",
        )
    full = model.optimiser == "nesterov"
    batch = rows // parts if full else min(model.batch, rows)
    size = step_size(model)
    count = max(1, rows // batch) * model.epochs
    if full:
        count = model.iterations if parts == 1 else count_steps(model.iterations, model.full_steps)
    if count > MAX_STEPS:
        raise PlanError(
            "too many steps", expected=f"at most {MAX_STEPS}", got=count, remedy="Use larger batches or fewer epochs."
        )
    reach = size * (min(X_LIMIT, math.sqrt(parts if full else rows / batch)) + (full and parts > 1))
    if reach > 0.75 * WEIGHT_LIMIT:
        raise PlanError(
            f"a step of {size} over {batch} of {rows} rows could move a weight past what the ring holds",
            expected=f"at most {0.75 * WEIGHT_LIMIT:.0f}",
            got=f"{reach:.0f}",
            remedy="Use larger batches or a smaller step.",
        )
