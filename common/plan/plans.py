"""What a client asks for: training, scoring, predealing or promoting. Frozen, strict, the same bytes for both parties.

Beside `jobs` and not in it, because stages, coordinator and client all read plans and stages may not see jobs.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from common.config import StrictModel, read_toml, validate
from common.disclosure import Opened
from common.errors import PlanError, RangeError
from common.features.options import Preparation
from common.learn.linear.descent import Step, nesterov, sgd
from common.mpc.correlations import TrainingDemand
from common.mpc.dealer import Work
from common.mpc.fixedpoint import WEIGHT_LIMIT, WEIGHT_SCALE, X_LIMIT, LinkScales
from common.mpc.link import Fourier, Link, Taylor, fourier_coefficients
from common.party import Party

MAX_STEPS = 100_000
Matching = Literal["ecdh", "rr22"]
_BASE = frozenset({Opened.MATCHED_IDS, Opened.COUNTS})
_PERIODS = frozenset({Opened.PERIOD_RANGE, Opened.MATCHED_ROWS})


class Side(StrictModel):
    """What one party brings."""

    dataset: str = Field(description="The name of a dataset in this party's configuration.")
    columns: tuple[str, ...] = Field(
        default=("*",), min_length=1, description="Its feature columns; * for all that the dataset declares."
    )


class Split(StrictModel):
    """Which matched rows are held out: drawn by the bank from a keyed hash of id and period."""

    by: Literal["row", "enterprise", "time"] = Field(
        default="row", description="Hold out single rows, whole enterprises, or the last months (keys with period)."
    )
    test: float = Field(default=0.3, gt=0.0, lt=1.0, description="Share of rows or enterprises held out to measure on.")
    months: int = Field(default=3, ge=1, le=1200, description="How many of the last months are held out by time.")
    seed: int = Field(default=42, ge=0, lt=2**63, description="The same seed holds out the same rows.")
    stratify: bool = Field(default=True, description="Hold out this share of each class; not by time.")


class Model(StrictModel):
    """How to train."""

    link: Literal["fourier", "taylor"] = Field(
        default="fourier", description="fourier: exact logistic loss; taylor: its second-order expansion."
    )
    period: int | None = Field(
        default=None, description="The link's period in units of u, a power of two. Default 32 (fourier), 128 (taylor)."
    )
    terms: int = Field(default=8, ge=2, le=32, description="Sine terms of the fourier link.")
    weights: Literal["shared", "owned"] = Field(
        default="shared",
        description="shared: secret until the end; owned: each side's own in clear at every step, as first published; weaker.",
    )
    optimiser: Literal["nesterov", "sgd"] = Field(
        default="nesterov", description="Full-batch accelerated descent, or mini-batches."
    )
    iterations: int = Field(default=15, ge=1, le=1000, description="Steps of nesterov.")
    epochs: int = Field(default=5, ge=1, le=1000, description="Passes of sgd.")
    batch: int = Field(default=1024, ge=1, description="Rows of an sgd step.")
    step: float | None = Field(
        default=None,
        gt=0.0,
        le=16.0,
        description="Step size. Default 2.5 (nesterov), 1 (sgd), on whitened columns; above 2.6 only where few are overdue.",
    )
    ridge: float = Field(
        default=1e-4, ge=0.0, le=10.0, description="L2 penalty on standardised coefficients: mean log-loss + ridge/2 |beta|^2."
    )
    weight_bits: int = Field(
        default=8, ge=4, le=WEIGHT_SCALE, description="Weights are opened rounded to multiples of 2^-weight_bits."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Model:
        if self.period is not None and (self.period < 8 or self.period > 4096 or self.period & (self.period - 1)):
            raise ValueError("period must be a power of two from 8 to 4096")
        if self.link == "fourier":
            _check_fourier(Fourier(self.period or 32, self.terms))
        if self.weights == "owned" and self.optimiser == "nesterov":
            raise ValueError("owned weights go with optimiser = 'sgd'")
        return self

    def make_link(self) -> Link:
        if self.link == "taylor":
            return Taylor(self.period or 128)
        return Fourier(self.period or 32, self.terms)

    def work(self, demand: TrainingDemand) -> Work:
        """What is dealt for a training of this size."""
        columns = {Party.GRID: demand.grid_columns, Party.BANK: demand.bank_columns}
        return Work(self.steps(demand.rows), self.make_link(), demand.rows, columns, self.revealed_bits)

    def steps(self, rows: int, data_rows: int | None = None) -> list[Step]:
        """All steps over `rows` training rows, of which the first `data_rows` (default: all) are not zeros, if nesterov.

        Raises PlanError when their numbers do not fit the fixed-point budget.
        """
        self._check_steps(rows)
        if self.optimiser == "nesterov":
            steps = nesterov(rows, self.iterations, self.step or 2.5)
        else:
            steps = sgd(rows, self.batch, self.epochs, self.step or 1.0)
        try:
            LinkScales.choose(steps[0].size, max(step.rows for step in steps))
        except RangeError as error:
            raise PlanError(error.message, expected=error.expected, got=error.got, remedy=error.remedy) from None
        return steps if data_rows is None else [replace(step, data_rows=data_rows) for step in steps]

    def _check_steps(self, rows: int) -> None:
        """Refuses, before they are made, too many steps and steps that could leave the ring."""
        full = self.optimiser == "nesterov"
        batch = rows if full else min(self.batch, rows)
        size = self.step or (2.5 if full else 1.0)
        count = self.iterations if full else max(1, rows // batch) * self.epochs
        if count > MAX_STEPS:
            raise PlanError(
                "too many steps", expected=f"at most {MAX_STEPS}", got=count, remedy="Use larger batches or fewer epochs."
            )
        reach = size * min(X_LIMIT, math.sqrt(rows / batch))
        if reach > 0.75 * WEIGHT_LIMIT:
            raise PlanError(
                f"a step of {size} over {batch} of {rows} rows could move a weight past what the ring holds",
                expected=f"at most {0.75 * WEIGHT_LIMIT:.0f}",
                got=f"{reach:.0f}",
                remedy="Use larger batches or a smaller step.",
            )

    @property
    def revealed_bits(self) -> int | None:
        return self.weight_bits if self.weights == "shared" else None


def _check_fourier(link: Fourier) -> None:
    u = np.linspace(-link.reach, link.reach, 2001)
    error = float(np.abs(link(u) - 0.5 * (1.0 + np.tanh(u / 2.0))).max())
    size = sum(abs(b) for b in fourier_coefficients(link.period, link.terms))
    if error > 0.05 or size > 20.0:
        raise ValueError(
            f"period {link.period} with {link.terms} terms gives a poor link"
            f" (error {error:.3f}, coefficients {size:.0f} in all): use 32 with 8, or 64 with 16"
        )


class Limits(StrictModel):
    """The smallest data this plan accepts. Each party's policy has floors of its own, below which it refuses a plan."""

    min_matched: int = Field(default=1000, ge=1, description="Matched enterprises.")
    min_rows: int = Field(default=1000, ge=1, description="Training rows.")
    rows_per_column: int = Field(default=20, ge=1, description="Training rows for each trained column of both sides together.")
    min_per_class: int = Field(default=100, ge=1, description="Training labels of each class.")
    min_test_per_class: int = Field(
        default=20, ge=2, description="Held-out labels of each class: metrics over few rows would tell of single ones."
    )


class Request(StrictModel):
    """What all kinds of plan share."""

    name: str = Field(default="", max_length=100, description="For people; appears in lists.")

    @property
    def allowed(self) -> frozenset[Opened]:
        """What the computation may open."""
        return frozenset({Opened.COUNTS})

    def canonical(self) -> str:
        """JSON with every field, keys sorted: what both parties are offered and hash."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self) -> bytes:
        return hashlib.sha256(self.canonical().encode()).digest()


class Plan(Request):
    """A plan on both parties' rows."""

    grid: Side
    bank: Side
    keys: tuple[Literal["id", "period"], ...] = Field(
        default=("id",), description='What a row is: ["id"], or ["id", "period"] for monthly rows.'
    )
    matching: Matching = Field(
        default="ecdh",
        description="How ids are matched. ecdh: Diffie-Hellman; rr22: faster, by spu, assumes more (PROTOCOL.md section 8).",
    )
    score_bits: int = Field(
        default=5,
        ge=0,
        le=20,
        description="The grid's part of a score is opened in steps of 2^-score_bits log-odds; 5: one point.",
    )
    disclosures: tuple[Opened, ...] | None = Field(
        default=None, description="All that may be opened (protos/PROTOCOL.md section 7). Default: exactly what the plan needs."
    )

    @model_validator(mode="after")
    def _opens_enough(self) -> Plan:
        if "id" not in self.keys or len(set(self.keys)) != len(self.keys):
            raise ValueError('keys must be ["id"] or ["id", "period"]')
        missing = sorted(o.value for o in self.needs - self.allowed)
        if missing:
            raise ValueError(f"disclosures lack what this plan needs: {', '.join(missing)}")
        return self

    @property
    def needs(self) -> frozenset[Opened]:
        """What the computation asked for cannot do without opening."""
        return _BASE | (_PERIODS if "period" in self.keys else frozenset())

    @property
    def allowed(self) -> frozenset[Opened]:
        return self.needs if self.disclosures is None else frozenset(self.disclosures)

    def side(self, party: Party) -> Side:
        return self.grid if party is Party.GRID else self.bank


class TrainPlan(Plan):
    """Align, prepare, train, reveal, evaluate."""

    kind: Literal["train"] = "train"
    split: Split = Split()
    preparation: Preparation = Preparation()
    model: Model = Model()
    limits: Limits = Limits()
    challenge: bool = Field(
        default=False,
        description="Measure the champion on the same held-out rows; these are then scored by one more model.",
    )
    dealt: Literal["online", "ahead"] = Field(
        default="online",
        description="When training is dealt its randomness: while it runs, or before, by `wattscore predeal`.",
    )

    @model_validator(mode="after")
    def _can_be_dealt(self) -> TrainPlan:
        if self.dealt == "ahead":
            _check_full_batch(self.model)
        return self

    @model_validator(mode="after")
    def _time_needs_periods(self) -> TrainPlan:
        if self.split.by == "time" and "period" not in self.keys:
            raise ValueError('split.by = "time" needs keys = ["id", "period"]')
        return self

    @property
    def needs(self) -> frozenset[Opened]:
        weights = {Opened.GRADIENTS} if self.model.weights == "owned" else {Opened.GRID_WEIGHTS, Opened.BANK_WEIGHTS}
        counts = {Opened.BIN_COUNTS} if self.preparation.coding == "woe" else set()
        return super().needs | weights | counts | {Opened.SPLIT, Opened.TEST_SCORES, Opened.METRICS}


class ScorePlan(Plan):
    """Align, prepare as the model did, score; the scores go to the bank."""

    kind: Literal["score"] = "score"
    model: str = Field(description="The training job whose model scores, or champion: the one both parties promoted.")
    min_matched: int = Field(default=1, ge=1, description="Matched enterprises.")
    grid_reasons: int = Field(default=0, ge=0, le=2, description="Most reasons of the grid's columns told for each row.")
    drift: bool = Field(default=True, description="Each side reports its largest stability index and its number of alarms.")

    @property
    def needs(self) -> frozenset[Opened]:
        asked = {Opened.GRID_REASONS: self.grid_reasons, Opened.DRIFT: self.drift}
        return super().needs | {Opened.SCORES} | {opened for opened, wanted in asked.items() if wanted}


class PredealPlan(Request):
    """Deal ahead what one training of this size consumes; both parties store it and use it once."""

    kind: Literal["predeal"] = "predeal"
    model: Model = Field(default=Model(), description="How to train, as in the training plan.")
    rows: int = Field(ge=1, le=2**31, description="Training rows, at least as many as there will be.")
    grid_columns: int = Field(ge=1, le=100_000, description="The grid's trained columns, at least as many as there will be.")
    bank_columns: int = Field(ge=1, le=100_000, description="The bank's likewise, its intercept included.")

    @model_validator(mode="after")
    def _can_be_dealt(self) -> PredealPlan:
        _check_full_batch(self.model)
        return self

    @property
    def demand(self) -> TrainingDemand:
        return TrainingDemand(self.rows, self.grid_columns, self.bank_columns)


class PromotePlan(Request):
    """Make a model the champion at both parties, or the one before it again."""

    kind: Literal["promote"] = "promote"
    action: Literal["promote", "rollback"] = Field(default="promote", description="Promote `model`, or undo the last time.")
    model: str | None = Field(default=None, description="The training job whose model becomes the champion.")
    force: bool = Field(default=False, description="Also a model that is significantly worse than the champion.")
    anew: bool = Field(
        default=False, description="Where the parties' histories differ, as after a restored back-up, begin a new one."
    )

    @model_validator(mode="after")
    def _one_model(self) -> PromotePlan:
        if (self.action == "promote") != (self.model is not None):
            raise ValueError("promote needs a model, and rollback takes none")
        if self.anew and self.model is None:
            raise ValueError("anew begins with a promotion")
        return self

    @property
    def allowed(self) -> frozenset[Opened]:
        compared = {Opened.METRICS} if self.action == "promote" else set()  # with the champion, at the bank
        return frozenset({Opened.COUNTS} | compared)


def _check_full_batch(model: Model) -> None:
    if model.optimiser != "nesterov":
        raise ValueError("only optimiser = 'nesterov' can be dealt ahead: rows to spare would fill whole batches of sgd")


AnyPlan = Annotated[TrainPlan | ScorePlan | PredealPlan | PromotePlan, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[AnyPlan] = TypeAdapter(AnyPlan)
_KINDS: dict[str, type[TrainPlan] | type[ScorePlan] | type[PredealPlan] | type[PromotePlan]] = {
    "train": TrainPlan,
    "score": ScorePlan,
    "predeal": PredealPlan,
    "promote": PromotePlan,
}


def make_plan(raw: dict[str, Any], source: str) -> AnyPlan:
    """A plan from parsed TOML or JSON; `kind` defaults to train. Raises PlanError naming each wrong key."""
    kind = raw.get("kind", "train")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise PlanError(f"{source}: kind {kind!r} is not known", remedy=f"Use one of: {', '.join(_KINDS)}.")
    return validate(_KINDS[kind], raw, source, PlanError)


def load_plan(path: Path) -> AnyPlan:
    return make_plan(read_toml(path), str(path))


def parse_plan(text: str, source: str = "plan") -> AnyPlan:
    """A plan from its canonical JSON, as it crosses the network."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError:
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            raise PlanError(f"{source}: not valid JSON") from None
        return make_plan(raw if isinstance(raw, dict) else {}, source)
