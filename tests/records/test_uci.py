"""examples/uci: from UCI's raw columns to a joint model by configuration alone."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from common.config import StrictModel, validate
from common.features.options import Preparation
from common.features.prepare import fit
from common.party import Party
from common.plan import Split
from common.records.build import Features, build
from common.records.entries import Entries, flatten
from common.records.panel import Codes, Panel
from common.records.samples import Samples, month_number
from common.stages.split import draw
from common.table import FeatureTable, Ids
from tests.end_to_end.test_uci import SOURCE
from tests.records.test_defaults import table

FOLDER = Path(__file__).parents[2] / "examples" / "uci"
RIDGE = 1e-4


class Recipes(StrictModel):
    recipes: Entries
    samples: Samples


def features(party: Party, raw: pd.DataFrame) -> Features:
    config = tomllib.loads((FOLDER / f"{party.value}.toml").read_text(encoding="utf-8"))
    made = validate(Recipes, {key: config[key] for key in ("recipes", "samples")}, f"{party.value}.toml")
    return build(panel(config, raw), flatten(made.recipes), made.samples)


def panel(config: dict[str, Any], raw: pd.DataFrame) -> Panel:
    """The fields of a wide configuration, uncleaned; a month more for a label that is of none of the months."""
    months = [month_number(month) for month in config["source"]["months"]]
    shape = len(raw), len(months) + 1
    numeric, categorical, label = {}, {}, None
    for name, given in config["fields"].items():
        field: dict[str, Any] = given if isinstance(given, dict) else {"column": given}
        values = np.full(shape, np.nan)
        if "label_month" in field:
            label = values
            label[:, month_number(field["label_month"]) - months[0]] = raw[field["column"]]
        elif field.get("kind") == "categorical":
            codes, levels = pd.factorize(raw[field["column"]].astype(str), sort=True)
            categorical[name] = Codes(np.repeat(codes.astype(np.int16)[:, None], shape[1], axis=1), tuple(levels))
        else:
            columns = field["column"] if isinstance(field["column"], list) else [field["column"]] * len(months)
            values[:, :-1] = raw[columns]
            numeric[name] = values
    present = np.ones(shape, bool)
    present[:, -1] = False
    ids = raw["ID"].map("E{:06d}".format).to_numpy(dtype=object)
    return Panel(ids, months[0], present, numeric, categorical, label)


def test_the_configurations_are_valid_and_each_side_keeps_to_its_own() -> None:
    owned = {}
    for party in Party:
        config = tomllib.loads((FOLDER / f"{party.value}.toml").read_text(encoding="utf-8"))
        assert config["party"] == party.value
        validate(Recipes, {key: config[key] for key in ("recipes", "samples")}, f"{party.value}.toml")
        columns = [f["column"] if isinstance(f, dict) else f for f in config["fields"].values()]
        owned[party] = set(np.hstack([np.atleast_1d(c) for c in columns]).tolist())
    assert all(column.startswith(("PAY_", "BILL_")) for column in owned[Party.GRID])
    assert owned[Party.BANK] == {"LIMIT_BAL", "AGE", "SEX", "EDUCATION", "MARRIAGE", "default.payment.next.month"}


@pytest.mark.skipif(
    not SOURCE.exists(), reason="UCI's default-of-credit-card-clients table is absent: set WATTSCORE_UCI to its path"
)
def test_raw_columns_and_recipes_reach_the_prepared_tables() -> None:
    raw = pd.read_csv(SOURCE).sort_values("ID")
    grid, bank = (features(party, raw) for party in Party)
    assert grid.ids.tolist() == bank.ids.tolist() and grid.periods.tolist() == bank.periods.tolist() and grid.count == 30_000
    assert bank.label is not None
    label = bank.label.astype(np.float64)
    # As in tests/end_to_end/test_uci.py: the split of these ids and labels, without months.
    test = draw(FeatureTable(Ids.of(bank.ids), None, {}, {}, label), Split())
    tables = {party: (table(f), f.configs()) for party, f in ((Party.GRID, grid), (Party.BANK, bank))}
    parts = [fit(rows, configs, Preparation(), ~test)[0].transform(rows) for rows, configs in tables.values()]
    x = np.column_stack(parts)
    model = LogisticRegression(C=1.0 / ((~test).sum() * RIDGE), tol=1e-3, max_iter=3000).fit(x[~test], label[~test])
    assert roc_auc_score(label[test], model.decision_function(x[test])) >= 0.775
