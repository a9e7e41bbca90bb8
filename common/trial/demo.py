"""What the demo is made of, on one machine or on several: a synthetic world, each party's features of it, and its plans.

A party's home holds what it would have: its dirty monthly records, configurations of `wattscore features`, the features
these give (`history.parquet` to train on, `new.parquet` of the newest month, to score, `later.parquet` of two quarters
after that, in which something has drifted) and its data-quality report.
"""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.config import to_toml
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan
from common.records.build import Features
from common.records.clean import Cleaned
from common.records.entries import make
from common.records.make import make_features
from common.rows.months import month_number, month_text
from common.trial.world import ID, LABEL, MONTH, Drift, make_world, world_config

MONTHS, LATER_MONTHS = 36, 6
NEWEST = "2025-12"  # the last of MONTHS, to decide on
DRIFT = (Drift("arrears_amount", "2026-04", factor=4.0), Drift("loan_amount", "2026-05", factor=0.14))
"""Set in between the quarters 2026-03 and 2026-06: greater arrears at the grid, dollars for yuan at the bank."""
HISTORY, NEW, LATER = "history", "new", "later"  # datasets of both parties
CHAMPION = "champion"
DAEMONS = "daemons"  # folder, beside the homes, of what the three processes keep: for this user alone
HELD_OUT = 6  # months: two quarters of samples
_PAST = "the end of the row's month, before the one whose repayment is foretold"
_PAID = {"as_of": _PAST, "sign": "+"}
_CARD: Mapping[str, Any] = {
    "purpose": "Shows WattScore. It decides about nobody.",
    "target": "An invented enterprise's repayment of the month after the row's is overdue.",
    "days_past_due": 1,
    "population": "Enterprises of a synthetic world with 15 months of records at the bank, each third month.",
    "exclusions": "None by hand; months that cleaning could not read.",
    "owner": "Nobody: made by `wattscore demo`",
    "limits": "Says nothing of real data.",
    "columns": {
        "past_overdue_last": {"meaning": "Overdue in the row's own month (1) or not (0)", **_PAID},
        "past_overdue_share_3": {"meaning": "Share of past months overdue", "window": "3 months", **_PAID},
        "past_overdue_share_12": {"meaning": "Share of past months overdue", "window": "12 months", **_PAID},
        "past_overdue_since_12": {"meaning": "Months since the last overdue one", "window": "12 months", **_PAID, "sign": "-"},
        "loan_amount_last": {"meaning": "Outstanding loans", "unit": "CNY", "as_of": "the end of the row's month"},
        "repayment_due_mean_6": {"meaning": "Mean repayment due", "unit": "CNY", "window": "6 months"},
    },
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "grid": {"policy": {"overrides": ["force"]}},
    "bank": {
        "policy": {"overrides": ["force"]},
        "decision": {"exposure": "loan_amount_last", "segments": ["region_static"]},
        "card": _CARD,
    },
}
"""Of each party's daemon, beside its datasets."""

_TEXTS = {  # field -> what an applicant is told of the columns made of it
    "consumption": "Electricity use",
    "arrears_record": "Electricity bills in arrears",
    "arrears_amount": "Amount of electricity arrears",
    "days_late": "Electricity paid late",
    "tax_record": "Tax filing",
    "tax_amount": "Tax paid",
    "loan_record": "New loans",
    "loan_amount": "Debt",
    "repayment_due": "Repayments due",
    "label": "Earlier overdue repayments",
}


@dataclass(frozen=True)
class Side:
    """The files a party made of its records by itself. datasets: of its daemon, by name."""

    party: Party
    cleaned: Cleaned
    history: Features
    new: Features
    later: Features
    datasets: Mapping[str, Mapping[str, Any]]


def lay_out(homes: Mapping[Party, Path], enterprises: int, seed: int, drift: Sequence[Drift] = DRIFT) -> None:
    """A synthetic world, each company's dirty monthly records, those of later months apart, into its own home."""
    with tempfile.TemporaryDirectory(prefix="wattscore-") as scratch:
        world = make_world(Path(scratch), enterprises=enterprises, months=MONTHS, later=LATER_MONTHS, drift=drift, seed=seed)
        files = {Party.GRID: (world.grid_monthly, world.grid_later), Party.BANK: (world.bank_monthly, world.bank_later)}
        for party, records in files.items():
            for file in records:
                shutil.move(file, homes[party] / file.name)


def build_side(party: Party, home: Path) -> Side:
    """A party's feature files and its quality report into its home, as `wattscore features` makes them."""
    config = world_config(party, home)
    history, cleaned, _ = make_features(config, home / f"{HISTORY}.parquet", home)
    new, _, _ = make_features(_newest_config(config), home / f"{NEW}.parquet")
    later, _, _ = make_features(_later_config(config, f"{party.value}_later.csv"), home / f"{LATER}.parquet")
    made = {HISTORY: history, NEW: new, LATER: later}
    datasets = {name: _dataset(home / f"{name}.parquet", features) for name, features in made.items()}
    return Side(party, cleaned, history, new, later, datasets)


def _newest_config(config: Path) -> Path:
    """For the samples of the newest month alone, whose label is not known yet."""
    samples = {"first": NEWEST, "last": NEWEST, "every": 1, "labelled": False}
    return _variant(config, NEW, "for the month to score", {"samples": samples})


def _later_config(config: Path, records: str) -> Path:
    """For the samples of the later quarters; what an outlier is was settled before them, or drift would be cleaned away."""
    first = month_text(month_number(NEWEST) + 1)
    samples: Mapping[str, Any] = {"first": first, "labelled": False}
    history = tomllib.loads(config.read_text(encoding="utf-8"))["source"]["path"]
    changes = {"samples": samples, "cleaning": {"outliers_until": NEWEST}, "source": {"path": [history, records]}}
    return _variant(config, LATER, "for later quarters", changes)


def _variant(config: Path, name: str, purpose: str, changes: Mapping[str, Mapping[str, Any]]) -> Path:
    """A copy of `config` with these keys of its sections changed, written beside it."""
    raw = tomllib.loads(config.read_text(encoding="utf-8"))
    raw |= {section: raw.get(section, {}) | values for section, values in changes.items()}
    path = config.with_name(f"{config.stem}-{name}.toml")
    path.write_text(f"# As {config.name}, {purpose}.\n{to_toml(raw)}", encoding="utf-8")
    return path


def _dataset(path: Path, made: Features) -> dict[str, Any]:
    """Every column declared, with the text that may be told of it."""
    keys = {"id": ID, "period": MONTH} | ({"label": LABEL} if made.label is not None else {})
    texts = {recipe.column: _TEXTS.get(recipe.fields[0]) for recipe in make(*made.made["recipes"])}
    columns = {n: c.model_copy(update={"reason": texts[n]}) for n, c in made.configs().items()}
    declared = {n: c.model_dump(mode="json", exclude_defaults=True) for n, c in columns.items()}
    return {"path": path, **keys, "columns": declared}


def training_plan() -> TrainPlan:
    """Trains on all months but the last, which are held out."""
    sides = {"grid": {"dataset": HISTORY}, "bank": {"dataset": HISTORY}}
    split = {"by": "time", "months": HELD_OUT}
    return TrainPlan.model_validate({"name": "demo", "keys": ("id", "period"), "split": split, **sides})


def promotion(model: str) -> PromotePlan:
    """Makes the model just trained the champion at both parties.

    force: a demo done again has a champion of the same data; they differ by rounding, which a paired test may find significant.
    """
    return PromotePlan(name="champion", model=model, force=True)


def scoring_plan() -> ScorePlan:
    """The champion scores the newest month, of which no row was trained on."""
    return _scoring("decisions", NEW)


def watching_plan() -> ScorePlan:
    """The champion scores the later quarters, each side comparing its own columns with those of the training."""
    return _scoring("later quarters", LATER)


def _scoring(name: str, dataset: str) -> ScorePlan:
    sides = {"grid": {"dataset": dataset}, "bank": {"dataset": dataset}}
    asked = {"name": name, "model": CHAMPION, "keys": ("id", "period")}
    return ScorePlan.model_validate(asked | sides)
