"""examples/uci: from UCI's raw columns to a joint model by configuration alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from common.features import leaks
from common.features.fit import fit
from common.features.options import Preparation
from common.party import Party
from common.plan.train import Split
from common.records.config import load_records
from common.records.make import make_features
from common.rows.dataset import DatasetConfig, Loaded, read_table
from common.stages.split import draw
from tests.scenarios.end_to_end.test_uci import SOURCE
from tests.source import ROOT

FOLDER = ROOT / "examples" / "uci"
RIDGE = 1e-4


def load(party: Party, folder: Path) -> Loaded:
    """The side's features, made from its configuration and read as its daemon would."""
    shutil.copy(FOLDER / f"{party.value}.toml", folder)
    out = folder / f"{party.value}.parquet"
    make_features(folder / f"{party.value}.toml", out)
    label = "overdue" if party is Party.BANK else None
    config = DatasetConfig(path=out, id="enterprise_id", period="month", label=label)
    return read_table(config, name="uci", party=party, require_label=party is Party.BANK)


def test_the_configurations_are_valid_and_each_side_keeps_to_its_own() -> None:
    owned = {}
    for party in Party:
        config = load_records(FOLDER / f"{party.value}.toml")
        assert config.party == party.value and config.recipes
        owned[party] = {column for column in config.columns if column != config.keys.id}
    assert all(column.startswith(("PAY_", "BILL_")) for column in owned[Party.GRID])
    assert owned[Party.BANK] == {"LIMIT_BAL", "AGE", "SEX", "EDUCATION", "MARRIAGE", "default.payment.next.month"}


@pytest.mark.skipif(
    not SOURCE.exists(), reason="UCI's default-of-credit-card-clients table is absent: set WATTSCORE_UCI to its path"
)
def test_raw_columns_and_recipes_reach_the_prepared_tables(tmp_path: Path) -> None:
    (tmp_path / "uci.csv").symlink_to(SOURCE.resolve())
    sides = {party: load(party, tmp_path) for party in Party}
    grid, bank = (sides[party].table for party in Party)
    assert grid.ids.tolist() == bank.ids.tolist() and grid.rows == bank.rows == 30_000
    assert bank.label is not None
    assert leaks.find(bank, sides[Party.BANK].aside) == ()
    test = draw(bank, Split())
    parts = [fit(s.table, s.columns, Preparation(), ~test)[0].transform(s.table) for s in sides.values()]
    x = np.column_stack(parts)
    model = LogisticRegression(C=1.0 / ((~test).sum() * RIDGE), tol=1e-3, max_iter=3000).fit(x[~test], bank.label[~test])
    assert roc_auc_score(bank.label[test], model.decision_function(x[test])) >= 0.77


@pytest.mark.skipif(not SOURCE.exists(), reason="UCI's table is absent")
def test_none_of_ucis_raw_columns_is_taken_for_the_label_and_one_made_of_it_is(tmp_path: Path) -> None:
    config = DatasetConfig(path=SOURCE, id="ID", label="default.payment.next.month")
    table = read_table(config, name="uci", party=Party.BANK, require_label=True).table
    assert len(table.order) > 20 and leaks.find(table) == ()
    told = replace(table, numeric={**table.numeric, "LIMIT_BAL": 30 * table.outcomes})
    assert leaks.find(told) == ("column 'LIMIT_BAL' is the label: is it known before the outcome? If not, leave it out",)
