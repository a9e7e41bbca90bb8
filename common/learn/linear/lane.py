"""Runs of rows of a training, each swept by itself, in this process or another. PROTOCOL.md section 9.

The descent keeps weights, truncations, the ridge and the joint matrix; a run gets what u is made of at each step, goes through
its spans with the other party's same run, and gives back one pair of sums for each part of the step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

import numpy as np

from common.errors import LocalProtocolError
from common.learn.linear.descent import Descent
from common.learn.linear.path import Blocks, Step
from common.learn.linear.products import Dealt
from common.learn.linear.steps import make_steps
from common.learn.span import Span
from common.mpc.abreast import Runner, joined, run_of
from common.mpc.beside import side_by_side
from common.mpc.correlations.asked import Correlations
from common.mpc.fixedpoint import Words
from common.mpc.product import Matrices
from common.mpc.session import Session
from common.plan.linear import Model
from common.unheard import unheard

LEARNER = "linear"


def about(model: Model, shape: tuple[int, ...], other: int, data_rows: int | None, lanes: int) -> dict[str, Any]:
    """What a run is made of besides its arrays: all of it is public to both parties. shape: of own rows."""
    rows, own = shape
    sizes = {"rows": rows, "own": own, "other": other, "data_rows": data_rows, "lanes": lanes}
    return {"model": model.model_dump(mode="json"), **sizes}


def rows_of(told: Mapping[str, Any], run: int) -> list[tuple[int, int]]:
    """The rows that a run, from 1, goes through in any step, in pieces."""
    return joined((span.low, span.high) for step in _steps(told) for span in _spans(step, told["lanes"], run))


def _steps(told: Mapping[str, Any]) -> list[Step]:
    return make_steps(Model.model_validate(told["model"]), told["rows"], told["own"] + told["other"], told["data_rows"])


def _spans(step: Step, lanes: int, run: int) -> list[Span]:
    """Which of a step's spans are of this run."""
    spans = step.spans()
    return [span for place, span in enumerate(spans) if run_of(place, len(spans), lanes) + 1 == run]


class Run:
    """One run of rows, from 1, at one party."""

    def __init__(
        self, session: Session, correlations: Correlations, told: Mapping[str, Any], arrays: Mapping[str, Any], run: int
    ) -> None:
        """told: of `about`. arrays: `own` and `masked` as `Matrices` has them, and at the bank `label`: whole, or a `Part`."""
        model, own = Model.model_validate(told["model"]), arrays["own"]
        self._run, self._lanes, self._last = run, int(told["lanes"]), -1
        self._steps = _steps(told)
        none = np.zeros((0, 0), np.uint64)  # the ridge is the descent's
        self._products = Dealt(session, correlations, Matrices(own, none, arrays["masked"], none), model.make_link())
        self._descent = Descent(session, correlations, self._products, model.make_link(), arrays.get("label"))

    async def step(self, number: int, own: Words, other: Words) -> Sequence[tuple[Words, Words]]:
        """As `Runner.step`. Raises LocalProtocolError for a step that is not after the one before: masks would serve twice."""
        if not self._last < number < len(self._steps):
            raise LocalProtocolError("a run of rows is asked for a step out of order", got=number)
        self._last, step = number, self._steps[number]
        found = [Blocks.zero(*self._products.columns) for _ in range(step.addends)]
        if spans := _spans(step, self._lanes, self._run):
            async with aclosing(self._descent.through(step, spans, self._products.at(step, Blocks(own, other)))) as turns:
                (found,) = [one async for one in turns if one is not None]
        return [(one.own, one.other) for one in found]


class Runs:
    """All of them, as the descent asks them: see `descent.Abreast`."""

    def __init__(self, runners: Sequence[Runner]) -> None:
        self._runners = runners

    def begin(self, step: Step, at: Blocks) -> asyncio.Future[list[Blocks]]:
        return unheard(asyncio.ensure_future(self._step(step, at)))

    async def _step(self, step: Step, at: Blocks) -> list[Blocks]:
        total = [Blocks.zero(len(at.own), len(at.other)) for _ in range(step.addends)]
        for found in await side_by_side(runner.step(step.number, at.own, at.other) for runner in self._runners):
            for whole, (own, other) in zip(total, found, strict=True):
                whole += Blocks(own, other)
        return total

    async def enter(self, session: Session) -> None:
        """What went over the runs' channels, into the session's account."""
        for account in await side_by_side(runner.account() for runner in self._runners):
            account.enter(session)
