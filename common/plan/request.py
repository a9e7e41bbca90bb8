"""What all plans share: what may be opened, and whose rows it is about. Frozen, strict, the same bytes for both parties."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from common.config import StrictModel
from common.disclosure import Opened
from common.errors import IdentityError
from common.party import Identity, Party

DEALT_ROWS = 100_000_000  # of a job, for which a coordinator deals unless its operator says otherwise
Matching = Literal["neutral", "ecdh"]
_BASE = frozenset({Opened.MATCHED_IDS, Opened.COUNTS})
_PERIODS = frozenset({Opened.PERIOD_RANGE, Opened.MATCHED_ROWS})
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def check_month(text: str, *words: str) -> str:
    """The same. Raises ValueError for one that is neither YYYY-MM nor one of `words`."""
    if text not in words and not _MONTH.fullmatch(text):
        raise ValueError(f"{text!r} is not a month as YYYY-MM" + "".join(f", nor {word}" for word in words))
    return text


class Side(StrictModel):
    """One party's side of a plan: the dataset it brings."""

    dataset: str = Field(description="The name of a dataset in this party's configuration.")
    columns: tuple[str, ...] = Field(
        default=("*",), min_length=1, description="Its feature columns; * for all that the dataset declares."
    )


class Request(StrictModel):
    """The part that all kinds of plan share."""

    name: str = Field(default="", max_length=100, description="For people; appears in lists.")

    @property
    def allowed(self) -> frozenset[Opened]:
        """The disclosures that the computation may make."""
        return frozenset({Opened.COUNTS})

    @property
    def bank_named(self) -> Identity | None:
        """The bank that the plan names, where it names one."""
        return None

    @property
    def undealt(self) -> bool:
        """Whether nobody deals the job anything: its parties have no line to a dealer."""
        return False

    def canonical(self) -> str:
        """JSON with every field, keys sorted: what both parties are offered and hash."""
        return json.dumps(self._fields(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def _fields(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def digest(self) -> bytes:
        return hashlib.sha256(self.canonical().encode()).digest()


class OneBank(Request):
    """A plan with one bank, of those that the coordinator knows."""

    with_bank: str | None = Field(
        default=None, description="Which bank, by identity, where the coordinator knows several; default: the first one."
    )

    @field_validator("with_bank")
    @classmethod
    def _is_identity(cls, who: str | None) -> str | None:
        try:
            return None if who is None else str(Identity.parse(who))
        except IdentityError as error:
            raise ValueError(str(error)) from None

    @property
    def bank_named(self) -> Identity | None:
        """The bank that the plan names, where it names one."""
        return None if self.with_bank is None else Identity.parse(self.with_bank)

    def _fields(self) -> dict[str, Any]:
        """Without a bank's name where it has none: the same as before there could be one."""
        return self.model_dump(mode="json", exclude={"with_bank"} if self.with_bank is None else None)


class Plan(OneBank):
    """A plan on both parties' rows."""

    grid: Side
    bank: Side
    purpose: str = Field(
        default="",
        max_length=200,
        description="What the result is for, as grants of the datasets say it.",
    )
    keys: tuple[Literal["id", "period"], ...] = Field(
        default=("id",), description='What a row is: ["id"], or ["id", "period"] for monthly rows.'
    )
    matching: Matching = Field(
        default="neutral",
        description="How ids are matched. neutral: by the coordinator, which sees keyed hashes; ecdh: between the two, slower.",
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

    def _fields(self) -> dict[str, Any]:
        """Without a purpose where it has none: the same as before there could be one."""
        fields = super()._fields()
        if not self.purpose:
            del fields["purpose"]
        return fields

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
        """The disclosures that the computation asked for cannot do without."""
        return _BASE | (_PERIODS if "period" in self.keys else frozenset())

    @property
    def allowed(self) -> frozenset[Opened]:
        return self.needs if self.disclosures is None else frozenset(self.disclosures)

    @property
    def aided(self) -> bool:
        """Whether the coordinator matches ids."""
        return self.matching == "neutral"

    def side(self, party: Party) -> Side:
        return self.grid if party is Party.GRID else self.bank
