"""A plan that trains one model on the rows of one grid and several banks, each with customers of its own. Section 16."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from common.config import StrictModel
from common.disclosure import Opened
from common.errors import IdentityError, PlanError
from common.features.options import Preparation
from common.party import Identity
from common.plan.linear import Model
from common.plan.request import Matching, Request, Side, check_month
from common.plan.sections import DEFAULT, AnySection
from common.plan.train import Limits, Split, TrainPlan

MOST_BANKS = 8


class BankSide(Side):
    """One bank's side: which bank, and the dataset it brings. All banks bring columns of the same names."""

    who: str = Field(description="The bank's identity, wattscore://org/role.")

    @property
    def identity(self) -> Identity:
        return Identity.parse(self.who)


ALONE = "none"
_HUB = Side(dataset=ALONE)  # of banks alone: who adds up brings no rows
_OF_ALONE = frozenset({"kind", "ridge"})  # keys of [model] that their steps know


class Holdout(StrictModel):
    """Which enterprises are held out: by a keyed hash of the id, so one that several banks have is on the same side at each."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "by": "with several banks whole enterprises are held out",
        "stratify": "with several banks no label says what is held out",
    }

    test: float = Field(default=0.3, gt=0.0, lt=1.0, description="Share of enterprises held out to measure on, about.")
    seed: int = Field(default=42, ge=0, lt=2**63, description="Of what is drawn at a bank for its decision rules.")


class SeveralPlan(Request):
    """Align each pair, prepare by sums, train one model of all banks, score what is held out at each bank."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "challenge": "with several banks, promote compares with each bank's champion, on rows that both models held out",
        "dealt": "with several banks all is dealt while the job runs",
        "with_bank": "several banks stand in banks",
    }

    kind: Literal["train"] = "train"
    grid: Side | Literal["none"] = Field(
        description="The grid's side; \"none\": three banks or more train alone, and who has the grid's seat brings no rows."
    )
    banks: tuple[BankSide, ...] = Field(min_length=2, max_length=MOST_BANKS, description="The banks, 2 to 8, in an order.")
    purpose: str = Field(
        default="",
        max_length=200,
        description="What the result is for, as grants of the datasets say it.",
    )
    keys: tuple[Literal["id", "period"], ...] = Field(
        default=("id",), description='What a row is: ["id"], or ["id", "period"] for monthly rows.'
    )
    matching: Matching = Field(default="neutral", description="How the grid and each bank match ids.")
    score_bits: int = Field(default=5, ge=0, le=20, description="A score is opened in steps of 2^-score_bits log-odds.")
    disclosures: tuple[Opened, ...] | None = Field(
        default=None, description="All that may be opened (protos/PROTOCOL.md section 7). Default: exactly what the plan needs."
    )
    split: Holdout = Holdout()
    preparation: Preparation = Preparation()
    model: AnySection = DEFAULT
    limits: Limits = Limits()
    min_live: int | None = Field(
        default=None,
        ge=2,
        description="Go on without banks that are gone, with this many at least; default: wait for all of them.",
    )
    leave_out_after: float = Field(
        default=600.0, ge=0.0, le=90 * 86_400.0, description="Seconds to wait for such a bank before; with min_live alone."
    )
    until: str | None = Field(
        default=None,
        description="Rows up to this month alone, YYYY-MM, as a training then would have had. Default: all months.",
    )
    differ_by_one: bool = Field(
        default=False,
        description="Let sums with those of a training of one bank more or fewer on the same rows tell of that bank.",
    )

    @field_validator("until")
    @classmethod
    def _is_month(cls, month: str | None) -> str | None:
        return None if month is None else check_month(month)

    @model_validator(mode="after")
    def _consistent(self) -> SeveralPlan:
        for bank in self.banks:
            try:
                bank.identity  # noqa: B018
            except IdentityError as error:
                raise ValueError(f"banks: {error}") from None
        orgs = [bank.identity.org for bank in self.banks]
        if len(set(orgs)) < len(orgs):
            raise ValueError("banks: each must be of an organisation of its own")
        if self.alone:
            self._check_alone()
        if self.min_live is None and "leave_out_after" in self.model_fields_set:
            raise ValueError("leave_out_after: it takes min_live, which says with how many banks the job goes on")
        if self.min_live is not None and not self._fewest <= self.min_live <= len(self.banks):
            raise ValueError(f"min_live: {self._fewest} to {len(self.banks)}, of these {len(self.banks)} banks")
        if self.until is not None and "period" not in self.keys:
            raise ValueError('until is of monthly rows: set keys = ["id", "period"]')
        if self.preparation.coding not in ("linear", "auto"):
            raise ValueError("preparation.coding: with several banks linear, or auto, which adds pieces to the grid's columns")
        self._check_model()
        missing = sorted(o.value for o in self.needs - self.allowed)
        if missing:
            raise ValueError(f"disclosures lack what this plan needs: {', '.join(missing)}")
        return self

    def _fields(self) -> dict[str, Any]:
        """Without a purpose, banks to be left out and the like, where there are none: the same as before there could be any."""
        unsaid = {"min_live", "leave_out_after"} if self.min_live is None else set()
        unsaid |= {name for name in ("purpose", "until", "differ_by_one") if not getattr(self, name)}
        return self.model_dump(mode="json", exclude=unsaid)

    @property
    def _fewest(self) -> int:
        return 3 if self.alone else 2

    def without(self, left_out: Collection[Identity]) -> SeveralPlan:
        """The plan of the other banks, where some are left out. Raises PlanError where it does not allow that."""
        if not left_out:
            return self
        banks = tuple(bank for bank in self.banks if bank.identity not in left_out)
        if len(banks) + len(set(left_out)) != len(self.banks):
            raise PlanError("a bank to be left out is none of the plan's", got=", ".join(sorted(map(str, left_out))))
        if self.min_live is None or len(banks) < self.min_live:
            text = f"the plan does not go on with {len(banks)} of its {len(self.banks)} banks"
            raise PlanError(text, expected=f"min_live = {self.min_live}", remedy="Wait for the others, or submit another plan.")
        return SeveralPlan.model_validate(
            json.loads(self.canonical()) | {"banks": [json.loads(b.model_dump_json()) for b in banks]}
        )

    def _check_model(self) -> None:
        if not isinstance(self.model, Model):
            return
        if self.model.dealer != "whole":
            raise ValueError("model.dealer: with several banks whole")
        if self.model.optimiser != "nesterov" or not self.model.closed:
            raise ValueError("model: with several banks nobody holds the model (reveal = 'none'), and steps are over all rows")

    def _check_alone(self) -> None:
        if len(self.banks) < self._fewest:
            raise ValueError("banks: three or more without a grid, as of two each would learn the other's sums")
        if self.differ_by_one:
            raise ValueError("differ_by_one: not without a grid, where sums of the steps would tell of one bank's labels")
        if not isinstance(self.model, Model):
            raise ValueError("model.kind: without a grid the model is linear, as its steps are Newton's")
        default = Model()
        other = [name for name in Model.model_fields if name not in _OF_ALONE]
        if wrong := [name for name in other if getattr(self.model, name) != getattr(default, name)]:
            raise ValueError(f"model.{wrong[0]}: without a grid the model takes ridge alone, as its steps are Newton's")

    @property
    def linear(self) -> Model:
        """The section of a plan without a grid, which is of no other model."""
        assert isinstance(self.model, Model)  # noqa: S101  (validated)
        return self.model

    @property
    def alone(self) -> bool:
        """Whether the banks train without a grid: one that has its seat adds up what they mask, and brings no rows."""
        return self.grid == ALONE

    @property
    def aided(self) -> bool:
        """Whether the coordinator matches ids."""
        return self.matching == "neutral" and not self.alone

    @property
    def needs(self) -> frozenset[Opened]:
        if self.alone:
            pooled = {Opened.POOLED_MOMENTS, Opened.POOLED_STEPS, Opened.POOLED_METRICS}
            return frozenset({Opened.COUNTS, Opened.METRICS} | pooled)
        return self._line(0, None).needs | {Opened.POOLED_MOMENTS, Opened.POOLED_METRICS}

    @property
    def allowed(self) -> frozenset[Opened]:
        return self.needs if self.disclosures is None else frozenset(self.disclosures)

    @cached_property
    def identities(self) -> tuple[Identity, ...]:
        return tuple(bank.identity for bank in self.banks)

    def line(self, bank: int) -> TrainPlan:
        """What the grid and this one of the banks do of it, as a plan of theirs, with all that this one opens."""
        if self.alone:  # what is opened of it is the whole plan's; a line has less
            return self._line(bank, None)
        return self._line(bank, tuple(sorted(self.allowed, key=lambda opened: opened.value)))

    def _line(self, bank: int, disclosures: tuple[Opened, ...] | None) -> TrainPlan:
        side = self.banks[bank]
        return TrainPlan(
            name=self.name,
            purpose=self.purpose,
            grid=_HUB if isinstance(self.grid, str) else self.grid,
            bank=Side(dataset=side.dataset, columns=side.columns),
            keys=self.keys,
            matching=self.matching,
            score_bits=self.score_bits,
            disclosures=disclosures,
            split=Split(by="enterprise", test=self.split.test, seed=self.split.seed, stratify=False),
            preparation=self.preparation,
            model=self.model,
            limits=self.limits,
            until=self.until,
        )
