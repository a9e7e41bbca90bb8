"""The bank's configuration: it dials the grid, it has labels, and it decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from bank_party.decision.config import DecisionConfig
from bank_party.monitor.config import BankMonitorConfig
from bank_party.monitor.overrides import OverridesConfig
from bank_party.online.config import OnlineConfig
from common.config import Address
from common.daemon.settings import PartySettings
from common.errors import PolicyError
from common.party import Identity
from common.plan.policy import Policy, not_allowed
from common.plan.several import SeveralPlan
from common.plan.trees import Trees
from common.process.settings import IdentityText, Remote
from common.rows.near import near
from common.stages.price import USUAL
from common.stages.sizes import TOO_FEW


class BankPolicy(Policy):
    """What the bank allows."""

    elsewhere: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("min_columns", "scores_per_row", "reason_threshold"), "it protects the grid's columns, and is the grid's"
    )

    min_per_class: int = Field(
        default=100, ge=1, description="Fewest training labels of each class; up to 25 more, as the rows' hash says."
    )
    min_test_per_class: int = Field(
        default=20, ge=2, description="Fewest held-out labels of each class, likewise: metrics over few tell of single ones."
    )
    with_banks: tuple[IdentityText, ...] = Field(
        default=(), description="Banks, by identity, with which this one trains a model of all of them; by default none."
    )
    min_banks: int = Field(
        default=2,
        ge=2,
        description="Fewest banks of such a model: of two, each learns the other's second moments, to 1/32, or shares of rows.",
    )
    coalition_rows: float | None = Field(
        default=None,
        ge=0.0,
        description="A step of a model of several banks is over more own rows than so many for each number (steps times"
        " weights) that the grid and another bank, if they pooled what they have, would see of them. 0: trusted not to,"
        " which boosted trees take. Default: 1 of networks and trees; of linear models none, but a warning below 1.",
    )
    label_bits: float = Field(
        default=USUAL,
        ge=0.0,
        description="Most bits of a row's label that all jobs together may tell others: what is told of n rows costs each 1/n.",
    )
    metric_bits: float = Field(
        default=0.5,
        ge=0.0,
        description="The same of metrics, over held-out rows: beyond it a training goes on and its metrics stay here.",
    )

    def check_banks(self, plan: SeveralPlan, own: Identity) -> None:
        wrong = [f"a bank {who} (with_banks)" for who in map(str, plan.identities) if who not in (*self.with_banks, str(own))]
        if own not in plan.identities:
            wrong.append(f"a plan of several banks without {own}")
        if len(plan.banks) < self.min_banks:
            wrong.append(f"{len(plan.banks)} banks (at least {self.min_banks}: min_banks)")
        if plan.differ_by_one and self.min_banks > 2:
            wrong.append(f"differ_by_one = true (min_banks = {self.min_banks})")
        if plan.min_live is not None and plan.min_live < self.min_banks:
            wrong.append(f"min_live = {plan.min_live} (at least {self.min_banks}: min_banks)")
        if isinstance(plan.model, Trees) and self.coalition_rows != 0:  # of these no number of rows is enough
            wrong.append("boosted trees with other banks (coalition_rows = 0 alone: grid and banks are trusted not to pool)")
        if wrong:
            raise not_allowed(wrong)

    def check_path(self, fewest: int, numbers: int, *, strict: bool) -> str:
        floor = self.coalition_rows if self.coalition_rows is not None else float(strict)
        least = f"a step is over {fewest} of this bank's rows" if fewest else "a node may have a single one of this bank's rows"
        message = (
            f"{least}: if the grid and another bank pooled what they have, they would see"
            f" {numbers} numbers of these rows by the path of the weights"
        )
        if floor and fewest <= floor * numbers:
            raise PolicyError(
                message,
                expected=f"more than {floor * numbers:.0f} rows (coalition_rows = {floor:g})"
                if fewest
                else "coalition_rows = 0",
                got=fewest,
                remedy=("Bring more rows, or train fewer columns in fewer steps. " if fewest else "")
                + "Where the grid and the other banks are trusted"
                " not to pool what they have: coalition_rows = 0.",
                public=TOO_FEW,
            )
        unsaid = self.coalition_rows is None and fewest <= numbers
        return f"{message}; coalition_rows = 1 refuses that, and 0 trusts them not to" if unsaid else ""


class BankSettings(PartySettings):
    """`bank.toml`."""

    listen: Address | None = Field(default=None, description="HOST:PORT to answer health checks on; nobody dials the bank.")
    peer: Remote = Field(description="The grid, which the bank dials.")
    policy: BankPolicy = Field(default=BankPolicy(), description="What the bank allows.")
    monitor: BankMonitorConfig = Field(
        default=BankMonitorConfig(), description="From where on a change of the data, or of known outcomes, is an alarm."
    )
    overrides: OverridesConfig | None = Field(
        default=None, description="Final decisions on scored rows, which `monitor` holds against the model's; absent: none."
    )
    online: OnlineConfig | None = Field(
        default=None, description="Scores for the bank's own programs over HTTPS; off by default."
    )
    decision: DecisionConfig = Field(
        default=DecisionConfig(), description="How a score becomes points, a grade and a decision."
    )

    @model_validator(mode="after")
    def _labels_are_of_datasets(self) -> Self:
        if unknown := [name for name in self.monitor.labels if name not in self.datasets]:
            close = near(unknown[:1], list(self.datasets))
            hint = f", did you mean {close[0]!r}?" if close else f"; there are: {', '.join(self.datasets) or 'none'}"
            raise ValueError(f"monitor.labels: no dataset {unknown[0]!r}{hint}")
        return self
