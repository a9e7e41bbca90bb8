"""How many rows and columns a training has: what both sides agree on before it starts, and hold the plan against."""

from __future__ import annotations

import numpy as np

from common.errors import PeerProtocolError, PolicyError
from common.learn.linear.steps import make_steps
from common.mpc.session import Kind, Session
from common.plan.policy import Policy
from common.plan.train import Limits, TrainPlan


async def agree_on_sizes(session: Session, rows: int, train_rows: int, columns: int, limits: Limits) -> int:
    """The other's number of trained columns, after both have checked that the sizes agree and are large enough."""
    mine = np.array([rows, train_rows, columns], np.uint64)
    theirs = await session.exchange(Kind.SHAPE, mine)
    if (mine[:2] != theirs[:2]).any():
        raise PeerProtocolError("the two sides count different rows", expected=mine[:2].tolist(), got=theirs[:2].tolist())
    total = columns + int(theirs[2])
    least = max(limits.min_rows, limits.rows_per_column * total)
    if train_rows < least:
        raise PolicyError(
            f"{train_rows} training rows are too few for {total} columns",
            expected=f"at least {least}",
            got=train_rows,
            remedy="Bring more rows or fewer columns, or lower the plan's limits openly, as both policies allow.",
        )
    return int(theirs[2])


def check_course(plan: TrainPlan, rows: int, columns: int, policy: Policy) -> None:
    """Raises PolicyError for a course of training that can be told to be too short only now that rows and columns are known.

    The weights after few steps, or after a small last batch, are sums over few rows: equations in the labels of these.
    """
    least, steps = max(policy.min_batch, 20 * columns), len(make_steps(plan.model, rows))
    if plan.model.optimiser == "sgd" and plan.model.batch < min(rows, least):
        raise PolicyError(
            f"a batch of {plan.model.batch} is too small for {columns} columns",
            expected=f"at least {least}, or all {rows} rows",
            got=plan.model.batch,
            remedy="Use larger batches, or optimiser = 'nesterov'.",
        )
    if steps < policy.min_iterations:
        raise PolicyError(
            "too few steps of training",
            expected=f"at least {policy.min_iterations}",
            got=steps,
            remedy="Use more epochs, or smaller batches.",
        )
