"""The section of a plan that trains the linear model."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from common.disclosure import Opened
from common.mpc.fixedpoint import WEIGHT_SCALE
from common.mpc.link import MOST_TERMS, PERIOD, Fourier, Link, Taylor
from common.plan.section import Floors, Section

_PROPOSED = {True: "period 64 and no terms", False: "64 with 16"}
HALF_PERIOD, HALF_STEP, HALF_RIDGE = 128, 6.0, 0.1  # the most for which masks that owners undo have room
UNAIDED_STEP = 2.5  # without a dealer gradients are not freed of the sides' correlation: stable below 8/3
UNAIDED_STEPS = {"taylor": 64, "fourier": 20}
HALF_ROWS = 1 << 22  # of training, the most whose masks' errors floods hide; protos/PROTOCOL.md section 20


class Model(Section):
    """How to train the linear model."""

    kind: Literal["linear"] = Field(default="linear", description="linear: the linear model.")
    link: Literal["fourier", "taylor"] = Field(
        default="fourier", description="fourier: exact logistic loss; taylor: its second-order expansion."
    )
    period: int | None = Field(
        default=None, description="The link's period in units of u, a power of two. Default 256/7 (fourier), 128 (taylor)."
    )
    terms: int | None = Field(
        default=None,
        ge=2,
        le=MOST_TERMS,
        description="Odd sine terms of the fourier link; with dealer = 'half' sine terms, odd or not."
        " Default 5 (half: 8), more for a longer period.",
    )
    weights: Literal["shared", "owned"] = Field(
        default="shared",
        description="shared: secret until the end; owned: each side's own in clear at every step, as first published; weaker.",
    )
    optimiser: Literal["nesterov", "sgd"] = Field(
        default="nesterov", description="Full-batch accelerated descent, or mini-batches."
    )
    iterations: int = Field(
        default=12,
        ge=1,
        le=1000,
        description="Steps of nesterov. Default 12; with dealer = 'none' 20, or 64 cheap ones of taylor.",
    )
    full_steps: int = Field(
        default=2,
        ge=0,
        le=1000,
        description="From 16,384 rows on, iterations run over parts of them, with so many steps over all, of"
        " which those before the last correct what follows. Where columns are too many for a third of the rows, half of"
        " iterations run over half. 0: each over all. Not used with taylor and a whole dealer, of one bank: its steps need no"
        " rows.",
    )
    epochs: int = Field(default=5, ge=1, le=1000, description="Passes of sgd.")
    batch: int = Field(default=4096, ge=1, description="Rows of an sgd step.")
    step: float | None = Field(
        default=None,
        gt=0.0,
        le=16.0,
        description="Step size. Default 4 (nesterov; 2.5 with dealer = 'none'), 1 (sgd), on whitened columns; nesterov is"
        " stable below 5.3 (2.6).",
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

    dealer: Literal["whole", "half", "none"] = Field(
        default="whole",
        description="half: each side masks its matrix by a key of its own, and the coordinator deals months, link and"
        " truncations alone; none: nobody deals, with matching = 'ecdh'. Either with shared weights and nesterov, half with"
        " reveal = 'owners'. See protos/PROTOCOL.md sections 20 and 21.",
    )

    @model_validator(mode="before")
    @classmethod
    def _unnamed(cls, raw: Any) -> Any:
        """A plan may say that its model is linear; it is written down as plans of before there were others."""
        if not isinstance(raw, dict):
            return raw
        if raw.get("dealer") == "none" and (usual := UNAIDED_STEPS.get(str(raw.get("link", "fourier")))):
            raw = {"iterations": usual, **raw}
        return {k: v for k, v in raw.items() if k != "kind"} if raw.get("kind") == "linear" else raw

    @model_validator(mode="after")
    def _consistent(self) -> Model:
        if self.period is not None and (self.period < 8 or self.period > 4096 or self.period & (self.period - 1)):
            raise ValueError("period must be a power of two from 8 to 4096")
        if self.link == "fourier":
            _check_fourier(self.fourier())
        if self.weights == "owned" and self.optimiser == "nesterov":
            raise ValueError("owned weights go with optimiser = 'sgd'")
        if self.weights == "owned" and self.reveal == "none":
            raise ValueError("owned weights are their owner's at every step: they go with reveal = 'owners'")
        if self.dealer != "whole" and (wrong := self._not_by_half() + self._not_by_none()):
            raise ValueError(f"dealer = {self.dealer!r} does not go with {', '.join(wrong)}")
        return self

    def _not_by_none(self) -> list[str]:
        """What besides is not there without a dealer."""
        if not self.undealt:
            return []
        wrong = []
        if self.link == "taylor" and self.period is not None:
            wrong.append(f"period = {self.period}: its link has none")
        if self.link == "taylor" and (self.step or 0.0) > UNAIDED_STEP:  # whose loss curves as much as it can
            wrong.append(f"step = {self.step}: at most {UNAIDED_STEP}")
        return wrong

    def _not_by_half(self) -> list[str]:
        """What of this section masks that owners undo do not serve, in words."""
        wrong = [f"optimiser = {self.optimiser!r}: it goes with nesterov"] if self.optimiser != "nesterov" else []
        if self.reveal != "owners" and self.half_dealt:
            wrong.append("reveal = 'none': rows are scored on shares by masks of a whole dealer, so it goes with 'owners'")
        if (period := self.make_link().period) > HALF_PERIOD:
            wrong.append(f"a period of {period}: at most {HALF_PERIOD}")
        if (self.step or 0.0) > HALF_STEP:
            wrong.append(f"step = {self.step}: at most {HALF_STEP}")
        if self.ridge > HALF_RIDGE:
            wrong.append(f"ridge = {self.ridge}: at most {HALF_RIDGE}")
        return wrong

    def make_link(self) -> Link:
        if self.link == "taylor":
            return Taylor(self.period or 128)
        return self.fourier()

    def fourier(self) -> Fourier:
        """Of all waves where both parties mask their matrices themselves, whose words are whole periods: section 20.

        As many of these as the period needs to be within 0.003: 8 up to 32, 16 for 64.
        """
        if self.dealer == "half":
            period = self.period or 32
            return Fourier(period, self.terms or min(MOST_TERMS, max(8, period // 4)), odd=False)
        return Fourier.of(self.period or PERIOD, self.terms)

    @property
    def revealed_bits(self) -> int | None:
        """The grid of the final weights; every bit of shared weights that stay closed, None for owned weights."""
        if self.weights == "owned":
            return None
        return self.weight_bits if self.reveal == "owners" else WEIGHT_SCALE

    @property
    def joint(self) -> bool:
        """Whether gradients are freed of the two sides' correlation."""
        return self.optimiser == "nesterov" and self.weights == "shared" and not self.undealt

    @property
    def closed(self) -> bool:
        """Whether no weight is opened to anybody."""
        return self.reveal == "none"

    @property
    def opens(self) -> frozenset[Opened]:
        if self.weights == "owned":
            return frozenset({Opened.GRADIENTS})
        return frozenset({Opened.TRAINING_CHECK, *(() if self.closed else (Opened.GRID_WEIGHTS, Opened.BANK_WEIGHTS))})

    @property
    def reach(self) -> float:
        return self.make_link().reach

    @property
    def half_dealt(self) -> bool:
        return self.dealer == "half"

    @property
    def undealt(self) -> bool:
        return self.dealer == "none"

    @property
    def calibrated(self) -> bool:
        """The expansion of `taylor` has an optimum of its own, whose slope is another."""
        return self.link == "fourier"

    @property
    def line_ridge(self) -> float:
        return self.ridge

    @property
    def scoring(self) -> Model:
        return Model()

    def refused(self, floors: Floors) -> list[str]:
        wrong = []
        if self.dealer == "half" and not floors.half_dealer:
            wrong.append("dealer = 'half' (half_dealer = false)")
        if self.undealt and not floors.no_dealer:
            wrong.append("dealer = 'none' (no_dealer = false)")
        if self.reveal == "owners" and not floors.own_weights:
            wrong.append("reveal = 'owners' (own_weights = false)")
        if self.weights == "owned" and not floors.owned_weights:
            wrong.append("weights = 'owned'")
        wrong += self._refused_course(floors)
        if self.weight_bits > floors.finest_weight_bits:
            wrong.append(f"weight_bits = {self.weight_bits} (at most {floors.finest_weight_bits})")
        return wrong

    def _refused_course(self, floors: Floors) -> list[str]:
        """What of a training's course decides how much its weights say of single rows."""
        full, wrong = self.optimiser == "nesterov", []
        if full and self.iterations < floors.min_iterations:
            wrong.append(f"iterations = {self.iterations} (at least {floors.min_iterations})")
        if not full and self.batch < floors.min_batch:
            wrong.append(f"batch = {self.batch} (at least {floors.min_batch}, and 20 for each column)")
        if self.step is not None and self.step > floors.largest_step:
            wrong.append(f"step = {self.step} (at most {floors.largest_step})")
        if self.ridge < floors.smallest_ridge:
            wrong.append(f"ridge = {self.ridge} (at least {floors.smallest_ridge})")
        return wrong

    def check_ahead(self) -> None:
        if self.optimiser != "nesterov":
            raise ValueError("only optimiser = 'nesterov' can be dealt ahead: rows to spare would fill whole batches of sgd")


def _check_fourier(link: Fourier) -> None:
    u = np.linspace(-link.reach, link.reach, 2001)
    error = float(np.abs(link(u) - 0.5 * (1.0 + np.tanh(u / 2.0))).max())
    size = sum(abs(b) for b in link.coefficients)
    if error > 0.05 or size > 20.0:
        raise ValueError(
            f"period {link.period} with {link.terms} terms gives a poor link"
            f" (error {error:.3f}, coefficients {size:.0f} in all): leave both out, or use {_PROPOSED[link.odd]}"
        )
