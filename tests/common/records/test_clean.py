"""Every class of bad value, from file to what becomes of it and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import validate
from common.errors import DataError
from common.records.clean import Cleaned, clean
from common.records.config import RecordsConfig
from common.records.source import read

A, B = "91350100M000100Y43", "914403001922038216"
CLEAN = f"id,month,kwh,late,area\n{A},2024-01,10,0,x\n{A},2024-02,20,1,y\n{B},2024-01,30,0,x\n"


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """run(text, field={...}, cleaning={...}, keys={...}) cleans the text; `field` is that of consumption."""

    def cleaned(text: str, field: Any = None, cleaning: Any = None, keys: Any = None, area: Any = None) -> Cleaned:
        path = tmp_path / "meters.csv"
        path.write_text(text, encoding="utf-8")
        raw = {
            "party": "grid",
            "source": {"path": str(path)},
            "keys": {"id": "id", "month": "month"} | (keys or {}),
            "fields": {
                "consumption": {"column": "kwh"} | (field or {}),
                "days_late": "late",
                "area": {"kind": "categorical"} | (area or {}),
            },
            "cleaning": cleaning or {},
        }
        settings = validate(RecordsConfig, raw, "records.toml")
        return clean(settings, read(settings))

    return cleaned


def found(cleaned: Cleaned) -> dict[tuple[str, str, str], int]:
    return {(f.rule, f.field, f.action): f.rows for f in cleaned.findings}


def kwh(cleaned: Cleaned) -> list[list[float]]:
    return cleaned.panel.numeric["consumption"].tolist()  # type: ignore[no-any-return]


def test_clean_records_pass_untouched(run: Any) -> None:
    out = run(CLEAN)
    panel = out.panel
    assert found(out) == {} and out.warnings == () and (out.rows, out.records) == (3, 3)
    assert panel.ids.tolist() == [A, B] and panel.first == 2024 * 12
    assert panel.present.tolist() == [[True, True], [True, False]]
    np.testing.assert_array_equal(panel.numeric["consumption"], [[10, 20], [30, np.nan]])
    assert panel.categorical["area"].levels == ("x", "y")
    assert panel.categorical["area"].codes.tolist() == [[0, 1], [0, -1]]


BAD_VALUES = {
    "text": ("oops", {"malformed": "refuse"}, "malformed", "line 4, column 'kwh': 'oops': not a number"),
    "infinite": ("1e999", {"malformed": "refuse"}, "malformed", "'1e999': not a number"),
    "negative": ("-5", {"impossible": "refuse"}, "impossible", "'-5': impossible: outside 0 to inf"),
    "too large": ("9e9", {"max": 1e9, "impossible": "refuse"}, "impossible", "'9000000000': impossible: outside 0 to 1e"),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_bad_value_is_null_by_default_dropped_or_refused_as_declared(run: Any, name: str) -> None:
    value, strict, rule, message = BAD_VALUES[name]
    text = CLEAN.replace(",30,", f",{value},")
    limits = {"max": strict["max"]} if "max" in strict else {}
    out = run(text, limits)
    assert np.isnan(out.panel.numeric["consumption"][1, 0]) and found(out) == {(rule, "consumption", "null"): 1}
    (example,) = out.findings[0].examples
    assert (example.id, example.month) == ("9144****16", "2024-01") and example.place == "line 4"
    dropped = run(text, limits | {rule: "drop"})
    assert dropped.panel.ids.tolist() == [A] and found(dropped) == {(rule, "consumption", "drop"): 1}
    with pytest.raises(DataError) as caught:
        run(text, strict)
    assert message in str(caught.value) and "meters.csv" in str(caught.value) and "fields.consumption" in str(caught.value)
    assert value not in caught.value.public and B not in str(caught.value)


def test_days_late_over_a_year_and_clipping(run: Any) -> None:
    out = run(CLEAN.replace(",1,", ",400,"))
    assert found(out) == {("impossible", "days_late", "null"): 1}
    assert run(CLEAN.replace(",30,", ",-5,"), {"impossible": "clip"}).panel.numeric["consumption"][1, 0] == 0


def test_words_for_numbers_sentinels_and_units(run: Any) -> None:
    text = CLEAN.replace(",10,", ",十,").replace(",20,", ",-9999,").replace(",30,", ",无,")
    out = run(text, {"values": {"十": 10}, "missing": ["-9999", "无"], "factor": 1000.0})
    np.testing.assert_array_equal(out.panel.numeric["consumption"], [[10_000, np.nan], [np.nan, np.nan]])
    assert found(out)["empty", "consumption", "null"] == 2
    assert found(out)["unit", "consumption", "times 1000"] == 1


def test_unknown_categories(run: Any) -> None:
    assert run(CLEAN, area={"categories": ["x"]}).panel.categorical["area"].codes.tolist() == [[0, -1], [0, -1]]
    with pytest.raises(DataError, match="column 'area': 'y': not a declared category"):
        run(CLEAN, area={"categories": ["x"], "malformed": "refuse"})
    many = "id,month,kwh,late,area\n" + "".join(f"E{i},2024-01,1,0,place{i}\n" for i in range(1001))
    with pytest.raises(DataError, match="1001 categories, more than 1000"):
        run(many)


@pytest.mark.parametrize(
    ("old", "new", "keys", "message"),
    [
        (B, "", {}, "the id is empty"),
        (B, " ", {}, "the id is empty"),
        (B, B[:-1] + "5", {"id_check": "uscc"}, "line 4, column 'id': '914403001922038215': not a unified social credit code"),
        ("30,0", "30,0", {"first": "2024-02"}, r"out of keys.first to keys.last, 2024-02 to 2099-12 \(2 such rows\)"),
        (f"{B},2024-01", f"{B},2024-13", {}, "'2024-13': not a month"),
        (f"{B},2024-01", f"{B},", {}, "not a month"),
        (f"{B},2024-01", f"{B},0224-01", {}, "out of keys.first"),
    ],
)
def test_bad_keys_are_refused_or_their_rows_dropped(run: Any, old: str, new: str, keys: Any, message: str) -> None:
    text = CLEAN.replace(old, new)
    with pytest.raises(DataError, match=message):
        run(text, keys=keys)
    out = run(text, keys=keys | {"bad_id": "drop", "bad_month": "drop"})
    assert out.panel.ids.tolist() == [A] and sum(found(out).values()) == 3 - int(out.panel.present.sum())


def test_ids_are_one_however_written(run: Any) -> None:
    assert run(CLEAN.replace(f"{A},2024-02", f" {A.lower()} ,2024-02"), keys={"id_check": "uscc"}).panel.enterprises == 2


def test_equal_duplicates_become_one_record(run: Any) -> None:
    out = run(CLEAN + f"{A.lower()},202401,10.0,0,x\n")
    assert found(out) == {("duplicate", "", "drop"): 1} and kwh(out)[0] == [10, 20]


@pytest.mark.parametrize(("rule", "value"), [("first", 10.0), ("last", 11.0), ("null", None), ("drop", "gone")])
def test_differing_duplicates(run: Any, rule: str, value: Any) -> None:
    out = run(CLEAN + f"{A},2024-01,11,0,x\n", cleaning={"duplicates": rule})
    (finding,) = out.findings
    assert (finding.rule, finding.action, finding.rows) == ("conflict", rule, 2 if rule == "drop" else 1)
    assert finding.examples[0].value == "consumption"
    assert bool(out.panel.present[0, 0]) is (value != "gone")
    np.testing.assert_array_equal(out.panel.numeric["consumption"][0, 0], np.nan if value in (None, "gone") else value)
    assert out.panel.numeric["days_late"][0].tolist()[1] == 1


def test_differing_duplicates_are_refused_by_default_both_lines_named(run: Any) -> None:
    with pytest.raises(DataError, match=r"and differ in .* fields\..* = \{ \.\.\., several = 'sum' \}") as caught:
        run(CLEAN + f"{A},2024-01,11,0,y\n")
    for part in ("line 2", "line 5", A, "2024-01", "consumption, area", "cleaning.duplicates"):
        assert part in caught.value.message + caught.value.remedy
    assert A not in caught.value.public


def test_gaps(run: Any) -> None:
    text = CLEAN + f"{A},2024-05,1,0,x\n"
    out = run(text)
    assert found(out) == {("gap", "", "null"): 1} and out.warnings == ("no record of anybody in 2024-03, 2024-04",)
    assert out.findings[0].examples[0].value == "2024-02 ... 2024-05"
    assert run(text, cleaning={"gaps": "drop"}).panel.ids.tolist() == [B]
    assert found(run(text, cleaning={"gaps": "drop", "max_gap": 2})) == {}
    with pytest.raises(DataError, match=r"line 5: id '91350100M000100Y43' has no record within 2024-02 \.\.\. 2024-05"):
        run(text, cleaning={"gaps": "refuse", "max_gap": 1})


def test_nothing_left_and_months_too_far_apart_are_refused(run: Any) -> None:
    with pytest.raises(DataError, match="no record is left"):
        run(CLEAN, {"max": 1.0, "impossible": "drop"})
    rows = "".join(f"E{i},2024-01,1,0,x\n" for i in range(9000))
    with pytest.raises(DataError, match=r"months go from 2000-01 to 2099-12.*narrow keys\.first"):
        run("id,month,kwh,late,area\n" + rows + "F,2000-01,1,0,x\nG,2099-12,1,0,x\n")


def many(outlier: str, count: int = 200) -> str:
    rng = np.random.default_rng(3)
    rows = [f"E{i},2024-01,{v:.3f},0,x\n" for i, v in enumerate(np.exp(rng.normal(9, 0.8, count)))]
    return "id,month,kwh,late,area\n" + "".join(rows) + f"Z,2024-01,{outlier},0,x\nY,2024-01,0,0,x\n"


def test_outliers_beyond_a_robust_bound_are_clipped_and_small_ones_kept(run: Any) -> None:
    out = run(many("9e9"))
    low, high = out.bounds["consumption"]
    assert low == -np.inf and 3e5 < high < 3e6
    assert found(out) == {("outlier", "consumption", "clip"): 1}
    assert out.panel.numeric["consumption"][-1, 0] == pytest.approx(high)
    assert found(run(many("0.01"))) == {}
    both = run(many("0.01"), {"outliers": {"side": "both"}})
    assert found(both) == {("outlier", "consumption", "clip"): 1} and both.panel.numeric["consumption"][-2, 0] == 0


@pytest.mark.parametrize("rule", ["null", "drop", "refuse", "keep"])
@pytest.mark.parametrize("method", [{"method": "iqr", "spread": 4.0}, {"scale": "linear", "spread": 50.0}, {}])
def test_outliers_by_other_rules(run: Any, rule: str, method: Any) -> None:
    field = {"outliers": {"rule": rule, **method}}
    if rule == "refuse":
        with pytest.raises(DataError, match="line 202, column 'kwh': '9000000000': an outlier: outside"):
            run(many("9e9"), field)
        return
    out = run(many("9e9"), field)
    assert out.panel.enterprises == (201 if rule == "drop" else 202)
    assert found(out) == ({} if rule == "keep" else {("outlier", "consumption", rule): 1})


def test_outliers_bounds_come_from_months_up_to_a_given_one(run: Any) -> None:
    text, later = many("9e9"), "".join(f"E{i},2024-02,{10.0**i:.1f},0,x\n" for i in range(9))
    cleaning = {"outliers_until": "2024-01"}
    assert run(text + later, cleaning=cleaning).bounds == run(text, cleaning=cleaning).bounds != run(text + later).bounds


def test_a_rule_that_touches_many_records_is_a_warning(run: Any) -> None:
    assert run(CLEAN.replace(",30,", ",oops,")).warnings == ("consumption: malformed (null) in 33.3% of records",)


VALUE = st.one_of(st.integers(-50, 500).map(str), st.sampled_from(["", "n/a", "oops", "1e999", "0.5", "-0"]))
ROW = st.tuples(st.sampled_from(["a", "A ", "b", "c"]), st.integers(1, 6), VALUE, VALUE, st.sampled_from(["x", "y", ""]))


@given(st.lists(ROW, min_size=1, max_size=25), st.sampled_from(["first", "last", "null"]), st.randoms(use_true_random=False))
def test_any_dirt_gives_a_panel_that_holds_what_was_possible(tmp_path_factory: Any, rows: Any, rule: str, random: Any) -> None:
    path = tmp_path_factory.mktemp("dirt") / "meters.csv"
    lines = [f"{i},2024-{m:02d},{v},{w},{c}" for i, m, v, w, c in rows]
    path.write_text("id,month,kwh,late,area\n" + "\n".join(lines) + "\n")
    fields = {"consumption": "kwh", "days_late": "late", "area": {"kind": "categorical"}}
    raw = {"party": "grid", "source": {"path": str(path)}, "keys": {"id": "id", "month": "month"}, "fields": fields}
    settings = validate(RecordsConfig, raw | {"cleaning": {"duplicates": rule}}, "records.toml")
    try:
        panel = clean(settings, read(settings)).panel
    except DataError as error:  # nothing but malformed or impossible values in a column
        assert "nothing of it is left" in str(error)
        return
    first: dict[Any, str] = {}
    for i, m, v, *_ in rows if rule == "first" else reversed(rows):
        first.setdefault((i.strip().upper(), m), v)
    assert int(panel.present.sum()) == len(first)
    assert (
        (panel.numeric["days_late"] >= 0) & (panel.numeric["days_late"] <= 365) | np.isnan(panel.numeric["days_late"])
    ).all()
    assert np.isnan(panel.numeric["consumption"][~panel.present]).all()
    if rule == "null":
        return
    for (i, m), text in first.items():
        at = panel.ids.tolist().index(i), 2024 * 12 + m - 1 - panel.first
        try:
            expected = float(text) if 0 <= float(text) < np.inf else np.nan
        except ValueError:
            expected = np.nan
        np.testing.assert_array_equal(panel.numeric["consumption"][at], expected)


def test_categories_that_are_others_but_for_zeros_in_front_are_told(run: Any) -> None:
    out = run(CLEAN.replace(",x", ",012").replace(",y", ",12"))
    assert out.panel.categorical["area"].levels == ("012", "12")
    (said,) = out.warnings
    assert said.startswith("field 'area': 1 category is another but for zeros in front")
