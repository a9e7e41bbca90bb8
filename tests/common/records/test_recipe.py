"""Every kind of recipe, against a twin in plain loops, and against the future."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from common.config import StrictModel
from common.records.entries import make
from common.records.held import Codes
from common.records.panel import Panel
from common.records.recipe import Recipe
from tests.common.records.oracle import as_values, feature
from tests.common.records.panels import KINDS, panels, recipes_of
from tests.source import ROOT

UNION: tuple[type[StrictModel], ...] = get_args(get_args(Recipe)[0])
CATALOGUE = (ROOT / "common/records/RECIPES.md").read_text(encoding="utf-8")


def kind_of(model: type[StrictModel]) -> str:
    return str(get_args(model.model_fields["kind"].annotation)[0])


def test_every_kind_is_tested_with_every_option() -> None:
    assert {kind_of(model) for model in UNION} == KINDS.keys()
    for model in UNION:
        used = {key for entry in KINDS[kind_of(model)] for key in entry}
        if kind_of(model) not in ("count", "share", "since"):  # whose condition is one code
            assert model.model_fields.keys() - {"name", "kind", "min_months", "lag"} <= used, kind_of(model)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(panel=panels())
def test_a_recipe_agrees_with_plain_loops(kind: str, panel: Panel) -> None:
    for recipe in recipes_of(kind):
        found = as_values(recipe.evaluate(panel))
        for (enterprise, month), value in np.ndenumerate(found):
            expected = feature(recipe, panel, enterprise, month)
            if isinstance(expected, float):
                expected = pytest.approx(expected, rel=1e-9, abs=1e-9)
            assert value == expected, f"{recipe.column} of enterprise {enterprise}, month {month}"


def with_another_future(panel: Panel, after: int, rng: np.random.Generator) -> Panel:
    """The panel with everything after month `after` drawn anew."""
    later = np.zeros((panel.enterprises, panel.months), bool)
    later[:, after + 1 :] = True

    def redraw(values: Any) -> Any:
        drawn = rng.normal(0.0, 1e6, values.shape)
        return np.where(later, np.where(rng.random(values.shape) < 0.3, np.nan, drawn), values)

    codes = {
        n: np.where(later, rng.integers(-1, 3, c.codes.shape), c.codes).astype(np.int16) for n, c in panel.categorical.items()
    }
    return replace(
        panel,
        present=np.where(later, rng.random(later.shape) < 0.5, panel.present),
        numeric={name: redraw(values) for name, values in panel.numeric.items()},
        categorical={name: Codes(codes[name], given.levels) for name, given in panel.categorical.items()},
        label=redraw(panel.label),
    )


@pytest.mark.parametrize("kind", KINDS)
@given(panel=panels(), data=st.data())
@pytest.mark.untraced
def test_no_later_month_changes_a_feature(kind: str, panel: Panel, data: st.DataObject) -> None:
    month = data.draw(st.integers(0, panel.months - 1))
    other = with_another_future(panel, month, np.random.default_rng(data.draw(st.integers(0, 2**32))))
    for recipe in recipes_of(kind):
        upto = month + 1 + getattr(recipe, "lag", 0)  # a lag delays what the other future can show
        one, two = (as_values(recipe.evaluate(p))[:, :upto].tolist() for p in (panel, other))
        assert one == two, recipe.column  # to the last bit


@pytest.mark.parametrize("kind", KINDS)
def test_a_month_before_the_window_leaves_no_trace(kind: str) -> None:
    """Not even the rounding error that a difference of running totals would leave."""
    shape = (1, 16)
    values = np.linspace(0.1, 1.7, 16)[None]
    tag = {"tag": Codes(np.zeros(shape, np.int16), ("a",))}
    one = Panel(
        np.array(["A"], object), 0, np.ones(shape, bool), {"x": values, "y": values + 1}, tag, (values > 1).astype(float)
    )
    huge = {name: np.where(np.arange(16) == 0, 1e18, v) for name, v in one.numeric.items()}
    two = replace(one, numeric=huge)
    for recipe in recipes_of(kind):
        if kind == "growth" and recipe.months > 3:
            continue
        assert as_values(recipe.evaluate(one))[0, -1] == as_values(recipe.evaluate(two))[0, -1], recipe.column


def test_names_say_what_a_feature_is() -> None:
    names = [recipe.column for kind in KINDS for recipe in recipes_of(kind)]
    assert len(set(names)) == len(names)
    assert {"x_last", "tag_last_3_lag2", "x_mean_6", "x_trend_6_abs", "y_count_6_le_minus1", "x_share_3"} <= set(names)
    assert {"label_share_6_lag1", "x_over_y", "x_3_over_y_5_before1_lag1", "x_growth_12", "y_growth_2_of_3_lag1", "age"} <= set(
        names
    )
    (named,) = make({"kind": "mean", "field": "x", "window": 3, "name": "recent"})
    assert named.column == "recent"


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "mean", "field": "x"},
        {"kind": "mean", "field": "x", "window": 0},
        {"kind": "mean", "field": "x", "window": 3, "min_months": 4},
        {"kind": "trend", "field": "x", "window": 1},
        {"kind": "trend", "field": "x", "window": 3, "min_months": 1},
        {"kind": "last", "field": "x", "lag": -1},
        {"kind": "bucket", "field": "x", "edges": []},
        {"kind": "bucket", "field": "x", "edges": [1.0, 1.0]},
        {"kind": "bucket", "field": "x", "edges": [1.0], "labels": ["a"]},
        {"kind": "bucket", "field": "x", "edges": [1.0], "labels": ["a", "a"]},
        {"kind": "ratio", "numerator": "x", "denominator": "y", "cap": 0.0},
        {"kind": "share", "field": "x", "window": 3, "threshold": float("nan")},
        {"kind": "last", "field": "x", "name": "a b"},
        {"kind": "median", "field": "x", "window": 3},
    ],
)
def test_a_recipe_that_cannot_be_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(entry)


def test_the_catalogue_lists_every_kind_with_its_options() -> None:
    sections = {part.split("`")[1]: part for part in CATALOGUE.split("\n### ")[1:]}
    assert sections.keys() == KINDS.keys()
    for model in UNION:
        for option in model.model_fields.keys() - {"name", "kind", "lag", "min_months", "field", "when", "threshold"}:
            assert f"`{option}`" in sections[kind_of(model)], f"{kind_of(model)}: {option}"
        assert "Missing" in sections[kind_of(model)], kind_of(model)
        assert all(field.description for name, field in model.model_fields.items() if name != "kind"), model
