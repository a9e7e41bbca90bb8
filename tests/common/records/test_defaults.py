"""The default recipes: they use every field, never the answer, and find what the synthetic world hides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from common.features.fit import fit
from common.features.options import Preparation
from common.party import Party
from common.records import defaults
from common.records.build import Features, build
from common.records.defaults import default_recipes
from common.records.entries import make
from common.records.held import Codes
from common.records.panel import Panel
from common.records.samples import Samples
from common.rows.table import FeatureTable, Ids
from common.trial.world import ID, MONTH, make_world
from tests.common.records.oracle import as_values
from tests.common.records.panels import world


def read(path: Path, categories: Sequence[str], label: str | None = None) -> Panel:
    """A synthetic world's records, cleaned in the plainest way."""
    records = pd.read_csv(path, dtype=str, keep_default_na=False)
    records[ID] = records[ID].str.strip().str.upper()
    records = records.drop_duplicates([ID, MONTH])
    rows, ids = pd.factorize(records[ID], sort=True)
    months, names = pd.factorize(records[MONTH], sort=True)
    numeric, categorical = {}, {}
    for name in records.columns.drop([ID, MONTH]):
        values = np.full((len(ids), len(names)), np.nan)
        if name in categories:
            codes, levels = pd.factorize(records[name], sort=True)
            values[rows, months] = codes
            categorical[name] = Codes(np.where(np.isnan(values), -1, values).astype(np.int16), tuple(levels))
        else:
            numbers = pd.to_numeric(records[name], errors="coerce").astype(np.float64)
            values[rows, months] = numbers.where(numbers >= 0)
            numeric[name] = values
    present = np.zeros((len(ids), len(names)), bool)
    present[rows, months] = True
    known = numeric.pop(label) if label else None
    return Panel(np.asarray(ids, dtype=object), 2023 * 12, present, numeric, categorical, known)


def table(features: Features) -> FeatureTable:
    return FeatureTable(
        ids=Ids.of(features.ids.tolist()),
        periods=features.periods,
        numeric={n: v.astype(np.float64) for n, v in features.columns.items() if not isinstance(v, Codes)},
        categorical={n: as_values(v) for n, v in features.columns.items() if isinstance(v, Codes)},
        order=tuple(features.columns),
    )


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[Party, Panel]:
    made = make_world(tmp_path_factory.mktemp("world"), enterprises=1200)
    return {
        Party.GRID: read(made.grid_monthly, ["industry"]),
        Party.BANK: read(made.bank_monthly, ["region"], "overdue"),
    }


def test_each_default_entry_is_valid_and_alone_in_its_name() -> None:
    for entries in (defaults.GRID, (*defaults.BANK, *({**e, "lag": 1} for e in defaults.PAST_LABELS))):
        assert len(make(*entries)) >= len(entries) > 10


def test_defaults_take_what_the_records_have(records: dict[Party, Panel]) -> None:
    for party, panel in records.items():
        used = {field for recipe in default_recipes(party, panel, Samples()) for field in recipe.fields}
        assert used == {*panel.numeric, *panel.categorical, *(["label"] if party is Party.BANK else [])}


def test_an_unknown_field_is_not_left_out() -> None:
    panel = replace(world(), label=None)
    names = [r.column for r in default_recipes(Party.GRID, panel, Samples())]
    assert names == [f"{f}_{what}" for f in "xy" for what in ("last", "mean_3", "mean_12", "trend_6")] + ["tag_static"]


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_defaults_never_look_at_the_answer(records: dict[Party, Panel], ahead: int) -> None:
    samples = Samples(ahead=ahead, outcomes=("x",))
    panel = world()
    recipes = default_recipes(Party.BANK, panel, samples)
    assert build(panel, recipes, samples).count > 0  # build refuses a recipe that looks
    lags = {r.column: getattr(r, "lag", 0) for r in recipes if {"label", "x"} & set(r.fields)}
    assert len(lags) > 4 and set(lags.values()) == {max(0, 1 - ahead)}


def auc(train: np.ndarray, label: np.ndarray, *tables: tuple[Features, np.ndarray]) -> float:
    """Held-out AUC of a plain regression on these features' rows, prepared as a job prepares them."""
    parts = []
    for features, rows in tables:
        taken = table(features).take(rows)
        fitted, warnings = fit(taken, features.configs(), Preparation(), train)
        assert warnings == []  # no default feature is constant, rare or collinear in the world
        parts.append(fitted.transform(taken))
    x = np.column_stack(parts)
    model = LogisticRegression(C=1e3 / train.sum(), tol=1e-3, max_iter=2000).fit(x[train], label[train])
    return float(roc_auc_score(label[~train], model.decision_function(x[~train])))


def test_defaults_find_what_the_world_hides(records: dict[Party, Panel]) -> None:
    """Next month's overdue, out of time: latent health leads it, and shows in electricity first."""
    samples = Samples(ahead=1)
    grid, bank = (build(p, default_recipes(party, p, samples), samples) for party, p in records.items())
    keys = [pd.MultiIndex.from_arrays([f.ids, f.periods]) for f in (grid, bank)]
    both = keys[0].intersection(keys[1])
    rows = [key.get_indexer(both) for key in keys]
    assert bank.label is not None
    label, train = bank.label[rows[1]], both.get_level_values(1).to_numpy() < 2024 * 12 + 7
    alone = auc(train, label, (bank, rows[1]))
    joint = auc(train, label, (grid, rows[0]), (bank, rows[1]))
    assert alone > 0.65 and joint > 0.79, (alone, joint)
