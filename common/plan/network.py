"""The section of a plan that trains a network of one hidden layer."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from common.disclosure import Opened
from common.mpc.link import Fourier
from common.plan.section import Floors, Section

MOMENTUM_UNIT = 32
STEPS = 0.3, 1.0
"""The default step: over batches, and over all rows."""


class Network(Section):
    """How to train a network: one hidden layer over both sides' columns, then one output; its weights stay shared."""

    kind: Literal["network"] = Field(default="network", description="A network of one hidden layer.")
    hidden: int = Field(default=8, ge=1, le=128, description="Hidden units.")
    activation: Literal["sine", "relu"] = Field(
        default="sine", description="What a hidden unit makes of its sum a: sin(2 pi a / 8), or max(a, 0) for more bytes."
    )
    epochs: int = Field(default=10, ge=1, le=1000, description="Passes over the training rows.")
    batch: int | None = Field(
        default=None,
        ge=0,
        le=1 << 20,
        description="Rows of a step. Default 1,024, and 512 or 256 where there are fewer than some 14,000 or 3,500 to train on."
        " 0: all, which with epochs = 60 does as well in a third of the messages and more bytes.",
    )
    step: float | None = Field(
        default=None,
        gt=0.0,
        le=16.0,
        description="Step size for half of the epochs. Default 0.3; where batch is 0, 1.",
    )
    momentum: float = Field(default=29 / MOMENTUM_UNIT, ge=0.0, lt=1.0, description="Of each step; a multiple of 1/32.")
    decay: float = Field(default=3e-3, ge=0.0, le=1.0, description="L2 penalty on all weights: mean log-loss + decay/2 |w|^2.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="The same seed begins with the same weights.")

    early_stop: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Stop after so many epochs without gain on an eighth of the training rows, which is held back, and keep the"
        " best epoch's weights. Tells all one bit an epoch. Default: all epochs, over all training rows.",
    )

    closed: ClassVar[bool] = True
    calibrated: ClassVar[bool] = False
    pieces: ClassVar[float] = 0.5

    @model_validator(mode="after")
    def _consistent(self) -> Network:
        if self.momentum * MOMENTUM_UNIT % 1:
            raise ValueError(f"momentum must be a multiple of 1/{MOMENTUM_UNIT}, as 0.90625 is")
        if self.size * self.decay >= 2.0**-8:
            raise ValueError(f"step {self.size} times decay {self.decay} must be below 1/256: use a smaller decay")
        return self

    @property
    def opens(self) -> frozenset[Opened]:
        return frozenset({Opened.TRAINING_CHECK, *(() if self.early_stop is None else (Opened.EARLY_STOP,))})

    @property
    def size(self) -> float:
        """The step size."""
        return self.step or STEPS[self.batch == 0]

    @property
    def link(self) -> Fourier:
        """The link behind the output: all waves, of period 32."""
        return Fourier(32, 12, odd=False, dithered=True)

    @property
    def reach(self) -> float:
        return self.link.reach

    @property
    def scoring(self) -> Network:
        return Network(hidden=self.hidden, activation=self.activation)

    def refused(self, floors: Floors) -> list[str]:
        wrong = []
        if self.size > floors.largest_step:
            wrong.append(f"step = {self.size} (at most {floors.largest_step})")
        if self.decay < floors.smallest_ridge:
            wrong.append(f"decay = {self.decay} (at least {floors.smallest_ridge})")
        return wrong

    def check_ahead(self) -> None:
        if self.batch != 0:
            raise ValueError("only batch = 0 can be dealt ahead: rows to spare would fill whole batches")
        if self.early_stop is not None:
            raise ValueError("early_stop cannot be dealt ahead: nobody knows beforehand how many epochs there are")
