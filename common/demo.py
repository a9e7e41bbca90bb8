"""What the demo is made of, on one machine or on several: a synthetic world, each party's features of it, and its plans.

A party's home holds what it would have: its dirty monthly records, configurations of `wattscore features`, the features
these give (`history.parquet` to train on, `new.parquet` of the newest month, to score) and its data-quality report.
"""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.party import Party
from common.plan import ScorePlan, TrainPlan
from common.records.build import Features
from common.records.clean import Cleaned
from common.records.entries import make
from common.records.samples import month_text
from common.records_cli import make_features, world_config
from common.trial import to_toml
from common.world import ID, LABEL, MONTH, make_world

MONTHS = 36
HISTORY, NEW = "history", "new"  # datasets of both parties
HELD_OUT = 6  # months: two quarters of samples
REASONS = 2  # of the grid for each scored row, at most
POLICY: Mapping[str, Any] = {"reasons_per_row": REASONS}
DECISION: Mapping[str, Any] = {"exposure": "loan_amount_last", "segments": ["region_static"]}

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
    """What a party made of its records by itself. datasets: of its daemon, by name."""

    party: Party
    cleaned: Cleaned
    history: Features
    new: Features
    datasets: Mapping[str, Mapping[str, Any]]


def lay_out(homes: Mapping[Party, Path], enterprises: int, seed: int) -> None:
    """A synthetic world, each company's dirty monthly records into its own home."""
    with tempfile.TemporaryDirectory(prefix="wattscore-") as scratch:
        world = make_world(Path(scratch), enterprises=enterprises, months=MONTHS, seed=seed)
        for party, records in ((Party.GRID, world.grid_monthly), (Party.BANK, world.bank_monthly)):
            shutil.move(records, homes[party] / records.name)


def build_side(party: Party, home: Path) -> Side:
    """A party's two feature files and its quality report into its home, as `wattscore features` makes them."""
    config = world_config(party, home)
    history, cleaned, _ = make_features(config, home / f"{HISTORY}.parquet", home)
    newest = month_text(cleaned.panel.first + cleaned.panel.months - 1)
    new, _, _ = make_features(_newest_config(config, newest), home / f"{NEW}.parquet")
    datasets = {name: _dataset(home / f"{name}.parquet", made) for name, made in ((HISTORY, history), (NEW, new))}
    return Side(party, cleaned, history, new, datasets)


def _newest_config(config: Path, month: str) -> Path:
    """As `config`, for the samples of `month` alone, whose label is not known yet."""
    raw = tomllib.loads(config.read_text(encoding="utf-8"))
    raw["samples"] |= {"first": month, "last": month, "every": 1, "labelled": False}
    path = config.with_name(f"{config.stem}-{NEW}.toml")
    path.write_text(f"# As {config.name}, for the month to score.\n{to_toml(raw)}", encoding="utf-8")
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


def scoring_plan(model: str) -> ScorePlan:
    """Scores the newest month, of which no row was trained on."""
    sides = {"grid": {"dataset": NEW}, "bank": {"dataset": NEW}}
    asked = {"name": "decisions", "model": model, "keys": ("id", "period"), "grid_reasons": REASONS}
    return ScorePlan.model_validate(asked | sides)
