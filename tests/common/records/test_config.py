"""The configuration of records: known fields, short forms, and what is refused, by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.config import validate
from common.errors import ConfigError
from common.records.config import RecordsConfig, load_records
from common.records.fields import KNOWN

BASE: dict[str, Any] = {
    "party": "bank",
    "source": {"path": "a.csv"},
    "keys": {"id": "id", "month": "m"},
    "fields": {"tax_amount": "tax", "overdue": {}, "other": "x"},
}
WIDE: dict[str, Any] = {
    "party": "bank",
    "source": {"path": "a.csv", "months": ["2024-01", "2024-02"]},
    "keys": {"id": "id"},
    "fields": {"x": ["x1", "x2"]},
}


def config(base: dict[str, Any] = BASE, **changes: Any) -> RecordsConfig:
    return validate(RecordsConfig, base | changes, "records.toml")


def test_known_fields_have_defaults_of_their_own_and_keep_what_is_not_said() -> None:
    made = config()
    assert made.fields["tax_amount"].column == "tax" and made.fields["tax_amount"].bounds == (0, float("inf"))
    assert made.fields["tax_amount"].outliers.rule == "clip" and made.fields["other"].outliers.rule == "keep"
    assert made.label == "overdue" and made.fields["overdue"].malformed == "refuse"
    assert made.columns == ["id", "m", "tax", "overdue", "x"]
    half = config(fields={"tax_amount": {"outliers": {"spread": 4.0}}})
    assert (half.fields["tax_amount"].outliers.rule, half.fields["tax_amount"].outliers.spread) == ("clip", 4.0)
    assert config(fields={"region": {"kind": "numeric"}}).fields["region"].kind == "numeric"


@pytest.mark.parametrize("party", KNOWN)
def test_every_known_default_is_valid(party: str) -> None:
    made = config(party=party, fields={name: {} for name in KNOWN[party]})
    assert all(made.fields[name].column == name for name in KNOWN[party])


@pytest.mark.parametrize(
    ("base", "changes", "message"),
    [
        (BASE, {"party": "coordinator"}, "party"),
        (BASE, {"fields": {}}, "fields"),
        (BASE, {"fields": {"x": {"colum": "a"}}}, "did you mean 'column'"),
        (BASE, {"source": {"url_env": "U"}}, "it belongs in [source.sql]"),
        (BASE, {"source": {}}, "either path or"),
        (BASE, {"source": {"path": "a", "sql": {"url_env": "U", "table": "t"}}}, "either path or"),
        (BASE, {"source": {"sql": {"table": "t"}}}, "give url_env or url_file"),
        (BASE, {"source": {"sql": {"url_env": "U"}}}, "either table or query"),
        (
            BASE,
            {"source": {"sql": {"url": "postgresql://u:p@h/d", "table": "t"}}},
            "unknown key 'source.sql.url': a URL holds a password",
        ),
        (BASE, {"keys": {"id": "id"}}, "give keys.month"),
        (BASE, {"keys": {"id": "id", "month": "m", "first": "2024"}}, "keys.first"),
        (BASE, {"fields": {"x": "id"}}, "ids or months cannot be a field"),
        (BASE, {"fields": {"x": ["a", "b"]}}, "2 columns for 0 months"),
        (BASE, {"fields": {"label": "x"}}, "recipes mean the label"),
        (BASE, {"fields": {"overdue": {}, "late": {"kind": "flag", "role": "label"}}}, "one label only"),
        (BASE, {"party": "grid", "fields": {"y": {"kind": "flag", "role": "label"}}}, "the grid has no label"),
        (BASE, {"fields": {"y": {"role": "label"}}}, "a label is of kind flag"),
        (BASE, {"fields": {"x": {"unit": "万kWh", "factor": 10000.0}}}, "unit = 'kwh'"),
        (BASE, {"fields": {"overdue": {"label_month": "2024-01"}}}, "label_month is for a wide source"),
        (BASE, {"fields": {"x": {"label_month": "2024-01"}}}, "label_month is for a label"),
        (BASE, {"fields": {"x": {"min": 2.0, "max": 1.0}}}, "min is above max"),
        (BASE, {"fields": {"x": {"factor": 0.0}}}, "factor"),
        (BASE, {"fields": {"x": {"categories": ["a"]}}}, "categories are for categorical"),
        (BASE, {"fields": {"x": {"kind": "categorical", "min": 0.0}}}, "for numeric fields"),
        (BASE, {"fields": {"x": {"kind": "flag", "outliers": {"rule": "clip"}}}}, "outliers are for numeric"),
        (BASE, {"fields": {"x": {"malformed": "clip"}}}, "malformed"),
        (BASE, {"cleaning": {"gaps": "clip"}}, "cleaning.gaps"),
        (BASE, {"recipes": [{"kind": "mean", "field": "x"}]}, "recipes"),
        (WIDE, {"keys": {"id": "id", "month": "m"}}, "give keys.month, or source.months"),
        (WIDE, {"fields": {"x": ["x1"]}}, "1 columns for 2 months"),
        (WIDE, {"fields": {"overdue": "y"}}, "say of which month the label is"),
        (WIDE, {"source": {"path": "a", "months": ["2024-01", "2024-01"]}}, "a month twice"),
    ],
)
def test_what_does_not_fit_is_refused_by_key(base: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=r"^records\.toml: ") as caught:
        config(base, **changes)
    assert message in str(caught.value)


@pytest.mark.parametrize("path", ['"data/*.csv"', '["data/a.csv", "/abs/b.csv"]'])
def test_paths_are_relative_to_the_file(path: str, tmp_path: Path) -> None:
    file = tmp_path / "records.toml"
    head, keys = 'party = "grid"\n', 'keys = { id = "i", month = "m" }\n'
    file.write_text(f'{head}source = {{ path = {path} }}\n{keys}fields = {{ x = "x" }}\n')
    found = load_records(file).source.path
    assert found[0].startswith(f"{tmp_path}/data/") and found[1:] in ((), ("/abs/b.csv",))
    file.write_text(f'{head}source = {{ sql = {{ url_file = "u", table = "t" }} }}\n{keys}fields = {{ x = "x" }}\n')
    sql = load_records(file).source.sql
    assert sql is not None and sql.url_file == tmp_path / "u"
    file.write_text(f"{head}source = {{ path = {path} }}\n{keys}")
    with pytest.raises(ConfigError, match="missing key 'fields'"):
        load_records(file)
