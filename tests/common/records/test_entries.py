"""Recipes as a configuration lists them: lists unfolded, errors that name the entry, and no look at the answer."""

from __future__ import annotations

from typing import Any

import pytest

from common.config import StrictModel, validate
from common.errors import ConfigError
from common.records.entries import Entries, check, flatten, make


class Config(StrictModel):
    recipes: Entries


def load(*entries: dict[str, Any]) -> Config:
    return validate(Config, {"recipes": list(entries)}, "grid.toml")


def test_lists_make_a_recipe_for_each_combination_in_order() -> None:
    config = load({"kind": "mean", "field": ["a", "b"], "window": [3, 6]}, {"kind": "last", "field": "a", "lag": [0, 1]})
    assert [r.column for r in flatten(config.recipes)] == [
        "a_mean_3", "a_mean_6", "b_mean_3", "b_mean_6", "a_last", "a_last_lag1"
    ]  # fmt: skip
    assert Config.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "mean", "field": "a", "windw": 3, "window": 3}, r"recipes\.1\.0\.mean\.windw', did you mean 'window'"),
        ({"kind": "mean", "field": "a", "window": [3, 0]}, r"recipes\.1\.1\.mean\.window"),
        ({"kind": "mean", "field": [], "window": 3}, r"recipes\.1: .*field is an empty list"),
        ({"kind": "mean", "field": ["a", "b"], "window": 3, "name": "c"}, "cannot have a `name`"),
        ({"kind": "last", "field": "x"}, "two recipes make a column 'x_last'"),
        ({"kind": "mean", "field": "a", "window": 3, "name": "x_last"}, "two recipes make a column 'x_last'"),
        ({"kind": "avg", "field": "a"}, r"recipes\.1\.0\.kind: 'avg'.*'mean'"),
    ],
)
def test_an_error_names_the_entry(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load({"kind": "last", "field": "x"}, entry)


def checked(*entries: dict[str, Any], ahead: int = 0, label: bool = True, **options: Any) -> None:
    given = {"numeric": ("consumption", "days"), "categorical": ("industry",), **options}
    check(make(*entries), label=label, ahead=ahead, source="bank.toml", **given)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "last", "field": "consumtion"}, "recipe 'consumtion_last' .*Did you mean 'consumption'"),
        ({"kind": "last", "field": "zzz"}, "The fields are 'consumption', 'days', 'industry', 'label'"),
        ({"kind": "mean", "field": "industry", "window": 3}, "needs numbers, and 'industry' is categorical"),
        ({"kind": "ratio", "numerator": "days", "denominator": "industry"}, "needs numbers"),
    ],
)
def test_what_a_recipe_needs_must_be_there(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"bank\.toml: .*{said}"):
        checked(entry)


def test_no_field_takes_the_labels_name() -> None:
    with pytest.raises(ConfigError, match="no field may have the name 'label'"):
        checked(numeric=("label",))


def test_there_is_no_past_label_without_a_label() -> None:
    with pytest.raises(ConfigError, match="which is no field"):
        checked({"kind": "last", "field": "label", "lag": 1}, label=False)


OF_LABEL = [
    {"kind": "last", "field": "label"},
    {"kind": "share", "field": "label", "window": 3},
    {"kind": "static", "field": "label"},
    {"kind": "ratio", "numerator": "label", "denominator": "days", "window": 3},
    {"kind": "ratio", "numerator": "days", "denominator": "label", "window": 3, "denominator_lag": 3},
]


@pytest.mark.parametrize("entry", OF_LABEL)
def test_a_past_label_may_be_a_feature_and_the_answer_may_not(entry: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"of the label's own month.*lag = 1"):
        checked(entry)
    checked({**entry, "lag": 1})
    checked(entry, ahead=1)


def test_what_is_known_with_the_label_is_held_to_the_same() -> None:
    checked({"kind": "last", "field": "days"})
    with pytest.raises(ConfigError, match="looks at 'days'"):
        checked({"kind": "last", "field": "days"}, outcomes=("days",))
    checked({"kind": "last", "field": "days", "lag": 1}, outcomes=("days",))
