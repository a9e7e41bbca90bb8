"""A plan that trains a model on both parties' rows."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from common.config import StrictModel
from common.disclosure import Opened
from common.features.options import Preparation
from common.mpc.fixedpoint import WEIGHT_SCALE
from common.mpc.link import Fourier, Link, Taylor, fourier_coefficients
from common.plan.request import Plan


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
    reveal: Literal["none", "owners"] = Field(
        default="none",
        description="none: nobody ever holds the model, rows are scored on shares; owners: each side is told its own weights.",
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
        if self.weights == "owned" and self.reveal == "none":
            raise ValueError("owned weights are their owner's at every step: they go with reveal = 'owners'")
        return self

    def make_link(self) -> Link:
        if self.link == "taylor":
            return Taylor(self.period or 128)
        return Fourier(self.period or 32, self.terms)

    @property
    def revealed_bits(self) -> int | None:
        """The grid of the final weights; every bit of shared weights that stay closed, None for owned weights."""
        if self.weights == "owned":
            return None
        return self.weight_bits if self.reveal == "owners" else WEIGHT_SCALE

    @property
    def closed(self) -> bool:
        """Whether no weight is opened to anybody."""
        return self.reveal == "none"


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
            check_full_batch(self.model)
        return self

    @model_validator(mode="after")
    def _time_needs_periods(self) -> TrainPlan:
        if self.split.by == "time" and "period" not in self.keys:
            raise ValueError('split.by = "time" needs keys = ["id", "period"]')
        return self

    @property
    def needs(self) -> frozenset[Opened]:
        opened = {"owned": {Opened.GRADIENTS}, "shared": {Opened.GRID_WEIGHTS, Opened.BANK_WEIGHTS}}
        weights = set() if self.model.closed else opened[self.model.weights]
        counts = {Opened.BIN_COUNTS} if self.preparation.coding == "woe" else set()
        return super().needs | weights | counts | {Opened.SPLIT, Opened.TEST_SCORES, Opened.METRICS}


def check_full_batch(model: Model) -> None:
    """Raises ValueError for a training that cannot be dealt ahead."""
    if model.optimiser != "nesterov":
        raise ValueError("only optimiser = 'nesterov' can be dealt ahead: rows to spare would fill whole batches of sgd")
