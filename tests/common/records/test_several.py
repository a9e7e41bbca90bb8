"""Several meters or loans of one id and month, by a rule for each field; feed-in by a declared choice; styles of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.config import validate
from common.errors import DataError
from common.records.clean import Cleaned, clean
from common.records.config import RecordsConfig
from common.records.source import read

HEAD = "id,month,kwh,late,area\n"
NAN = np.nan


def run(folder: Path, rows: str, fields: dict[str, Any], **more: Any) -> Cleaned:
    path = folder / "m.csv"
    path.write_text(HEAD + rows, encoding="utf-8")
    raw = {"party": "grid", "source": {"path": str(path)}, "keys": {"id": "id", "month": "month"}, "fields": fields}
    settings = validate(RecordsConfig, raw | more, "records.toml")
    return clean(settings, read(settings))


@pytest.mark.parametrize(
    ("rule", "values", "one"),
    [
        ("sum", "100 250", 350), ("sum", "100 100", 200), ("sum", "100 ?", NAN), ("sum", "? ?", NAN),
        ("max", "100 250", 250), ("max", "? 7", 7), ("min", "100 250", 100), ("last", "100 250", 250), ("last", "100 ?", 100),
    ],
)  # fmt: skip
def test_rows_of_one_month_become_one_by_the_fields_rule(rule: str, values: str, one: float, tmp_path: Path) -> None:
    first, second = (value.replace("?", "") for value in values.split())
    rows = f"b,2024-01,1,0,x\na,2024-01,{first},0,x\na,2024-01,{second},0,x\n"
    out = run(tmp_path, rows, {"consumption": {"column": "kwh", "several": rule}})
    np.testing.assert_array_equal(out.panel.numeric["consumption"][:, 0], [one, 1])
    found = {f.rule: (f.action, f.rows) for f in out.findings}
    assert found["several"] == ("merge", 1)


def test_rows_that_were_exported_twice_are_said_where_they_are_summed(tmp_path: Path) -> None:
    twice = "a,2024-01,100,0,x\na,2024-01,250,0,x\n"
    fields = {"consumption": {"column": "kwh", "several": "sum"}, "late": {"kind": "flag", "several": "any"}}
    out = run(tmp_path, twice + "b,2024-01,1,0,x\n" + twice, fields)
    found = {f.rule: (f.action, f.rows) for f in out.findings}
    assert found["several"] == ("merge", 3) and found["alike"] == ("sum", 2)
    assert out.panel.numeric["consumption"][:, 0].tolist() == [700, 1]
    assert any("alike (sum) in" in text for text in out.warnings)
    once = run(tmp_path, "a,2024-01,100,0,x\na,2024-01,100,1,x\nb,2024-01,1,0,x\n", fields)
    assert "alike" not in {f.rule for f in once.findings}  # one of them was late: two meters


@pytest.mark.parametrize(("flags", "one"), [("0 0", 0), ("0 1", 1), ("1 ?", 1), ("0 ?", NAN)])
def test_any_of_them_is_known_to_be_none_only_if_all_are_known(flags: str, one: float, tmp_path: Path) -> None:
    first, second = (value.replace("?", "") for value in flags.split())
    rows = f"a,2024-01,1,{first},x\na,2024-01,1,{second},x\nb,2024-01,1,1,x\n"
    out = run(tmp_path, rows, {"late": {"kind": "flag", "several": "any"}})
    np.testing.assert_array_equal(out.panel.numeric["late"][:, 0], [one, 1])


def test_a_field_without_a_rule_must_agree(tmp_path: Path) -> None:
    fields = {"consumption": {"column": "kwh", "several": "sum"}, "area": {"kind": "categorical"}}
    rows = "a,2024-01,100,0,x\na,2024-01,250,0,y\n"
    with pytest.raises(DataError, match="differ in area"):
        run(tmp_path, rows, fields)
    fields["area"]["several"] = "last"
    out = run(tmp_path, rows, fields)
    assert out.panel.numeric["consumption"].tolist() == [[350.0]] and out.panel.categorical["area"].levels[0] in "xy"


@pytest.mark.parametrize(("choice", "kwh"), [("net", -30.0), ("gross", 0.0), ("null", NAN), (None, NAN)])
def test_feed_in_is_a_declared_choice_and_in_the_report(choice: str | None, kwh: float, tmp_path: Path) -> None:
    field = {"column": "kwh", **({"negative": choice} if choice else {})}
    out = run(tmp_path, "a,2024-01,-30,0,x\nb,2024-01,12,0,x\n", {"consumption": field})
    np.testing.assert_array_equal(out.panel.numeric["consumption"][:, 0], [kwh, 12])
    assert ("negative", choice) in {(f.rule, f.action) for f in out.findings} or choice is None


def test_numbers_are_read_by_their_style_and_it_is_said(tmp_path: Path) -> None:
    rows = 'a,2024-01,"1,234.50",0,x\nb,2024-01,7,0,x\n'
    out = run(tmp_path, rows, {"consumption": "kwh"})
    assert out.panel.numeric["consumption"].tolist() == [[1234.5], [7.0]]
    assert ("format", "commas between thousands", 2) in {(f.rule, f.action, f.rows) for f in out.findings}
    doubt = rows.replace("1,234.50", "1,234")
    with pytest.raises(DataError, match=r"line 2, column 'kwh': '1,234': numbers, but .*fields\.consumption\.thousands"):
        run(tmp_path, doubt, {"consumption": "kwh"})
    declared = run(tmp_path, doubt, {"consumption": {"column": "kwh", "decimal": ",", "thousands": "."}})
    assert declared.panel.numeric["consumption"].tolist() == [[1.234], [7.0]]


def test_a_field_of_which_nothing_is_left_ends_and_an_empty_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"field 'consumption' \(column 'kwh'\): nothing of it is left"):
        run(tmp_path, "a,2024-01,lots,0,x\n", {"consumption": "kwh", "late": {"kind": "flag"}})
    out = run(tmp_path, "a,2024-01,,0,x\n", {"consumption": "kwh", "late": {"kind": "flag"}})
    assert out.warnings[0] == "field 'consumption': its column is empty"


def test_a_remedy_never_loses_all_rows(tmp_path: Path) -> None:
    for column, rows, form in (("id", "NULL,2024-01,1,0,x\n", "drop"), ("month", "a,45292,1,0,x\n", "drop")):
        with pytest.raises(DataError, match=f"column '{column}'") as caught:
            run(tmp_path, rows, {"consumption": "kwh"})
        assert form not in caught.value.remedy
        with pytest.raises(DataError) as caught:
            run(tmp_path, rows + "b,2024-01,1,0,x\n", {"consumption": "kwh"})
        assert form in caught.value.remedy
    with pytest.raises(DataError, match=r"month_format: a pattern"):
        run(tmp_path, "a,45292,1,0,x\n", {"consumption": "kwh"})
    out = run(tmp_path, "a,45292,1,0,x\n", {"consumption": "kwh"}, keys={"id": "id", "month": "month", "month_format": "excel"})
    assert out.panel.first == 2024 * 12
