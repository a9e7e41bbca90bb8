"""Reading datasets: what is accepted, and that each bad input is refused, its line and value named locally only."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import validate
from common.errors import ConfigError, DataError
from common.party import Party
from common.rows.dataset import ColumnConfig, DatasetConfig, Loaded, fingerprint, infer_columns, read_table

NUMERIC = ColumnConfig(kind="numeric")
CATEGORY = ColumnConfig(kind="categorical")


@pytest.fixture
def csv(tmp_path: Path) -> Any:
    """csv(text, key=value...) loads the text as the bank's dataset `loans`."""

    def load(text: str | bytes, *, party: Party = Party.BANK, require_label: bool = False, **config: Any) -> Loaded:
        path = tmp_path / "loans.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        dataset = validate(DatasetConfig, {"path": path, "id": "id", **config}, "loans.toml")
        return read_table(dataset, name="loans", party=party, require_label=require_label)

    return load


def refusal(load: Any, *arguments: Any, secret: str | None = None, **config: Any) -> str:
    """The text of the DataError, checked to keep `secret` (a value of the file) out of the public text."""
    with pytest.raises(DataError) as caught:
        load(*arguments, **config)
    assert "loans" in caught.value.public
    if secret is not None:
        assert secret in str(caught.value) and secret not in caught.value.public
    return str(caught.value)


def test_reads_types_labels_and_order(csv: Any) -> None:
    text = "region,id,income,y,month\nnorth,a,1.5,1,2024-01\n,b,,0,202402\nsouth,c,-2e3,0,2024-03-31\n"
    loaded = csv(text, label="y", period="month", columns={"income": NUMERIC, "region": CATEGORY}, require_label=True)
    table = loaded.table
    assert table.order == ("region", "income") and loaded.warnings == ()
    assert table.ids.tolist() == ["A", "B", "C"]
    assert table.periods is not None and table.periods.dtype == np.int32
    assert table.periods.tolist() == [2024 * 12, 2024 * 12 + 1, 2024 * 12 + 2]
    np.testing.assert_array_equal(table.numeric["income"], [1.5, np.nan, -2000.0])
    assert table.categorical["region"].tolist() == ["north", None, "south"]
    assert table.label is not None and table.label.tolist() == [1.0, 0.0, 0.0]


def test_columns_not_declared_are_not_loaded(csv: Any) -> None:
    assert csv("id,x,junk\na,1,oops\n", columns={"x": NUMERIC}).table.order == ("x",)


def test_columns_are_inferred_when_none_is_declared(csv: Any, tmp_path: Path) -> None:
    loaded = csv("id,x,city,y\na,1,Bern,1\nb,NA,,0\n", label="y")
    assert {name: column.kind for name, column in loaded.columns.items()} == {"x": "numeric", "city": "categorical"}
    assert all(column.transform == "auto" for column in loaded.columns.values())
    assert loaded.columns["city"].missing == "category" and loaded.columns["x"].missing == "median"
    assert infer_columns(DatasetConfig(path=tmp_path / "loans.csv", id="id", label="y")) == loaded.columns


def test_a_mostly_numeric_column_read_as_categories_is_reported(csv: Any) -> None:
    loaded = csv("id,x\na,1\nb,2\nc,oops\n")
    assert loaded.columns["x"].kind == "categorical"
    assert "line 4" in loaded.warnings[0] and "oops" not in loaded.warnings[0]


def test_a_parquet_column_held_as_a_dictionary_is_categories_even_of_digits(tmp_path: Path) -> None:
    digits = pa.array(["1", "2", "3+"])
    path = tmp_path / "made.parquet"
    pq.write_table(pa.table({"id": ["a", "b", "c"], "bucket": digits.dictionary_encode(), "text": ["1", "2", "3"]}), path)
    columns = infer_columns(DatasetConfig(path=path, id="id"))
    assert {name: column.kind for name, column in columns.items()} == {"bucket": "categorical", "text": "numeric"}


@pytest.mark.parametrize("stray", ["abc", "inf"])
def test_one_value_among_many_numbers_that_is_none_is_refused(csv: Any, stray: str) -> None:
    cells = [*map(str, range(100, 129)), stray, "150"]
    text = refusal(csv, "id,x\n" + "".join(f"a{k},{cell}\n" for k, cell in enumerate(cells)), secret=f"'{stray}'")
    assert "line 31, column 'x'" in text and "not a number, though nearly all" in text


def test_some_words_among_numbers_are_still_categories_with_a_warning(csv: Any) -> None:
    cells = [*map(str, range(100, 110)), *["word"] * 5]
    loaded = csv("id,x\n" + "".join(f"a{k},{cell}\n" for k, cell in enumerate(cells)))
    assert loaded.columns["x"].kind == "categorical"
    assert "line 12" in loaded.warnings[0] and "word" not in loaded.warnings[0]


@pytest.mark.parametrize("written", [" ab 1", "AB1", "ab\u30001", "a b 1 ", "ＡＢ１", "Ab\u00a01"])
def test_ids_match_whatever_their_case_and_spaces(csv: Any, written: str) -> None:
    assert csv(f"id,x\n{written},1\n").table.ids.tolist() == ["AB1"]


@given(letters=st.lists(st.sampled_from("aBc9"), min_size=1), spaces=st.lists(st.sampled_from(["", " ", "  "])))
def test_id_normalisation_ignores_spacing_and_case(tmp_path_factory: Any, letters: list[str], spaces: list[str]) -> None:
    padded = "".join(c + s for c, s in zip(letters, spaces + [""] * len(letters), strict=False))
    path = tmp_path_factory.mktemp("ids") / "t.csv"
    path.write_text(f"id,x\n{padded.swapcase()},1\n")
    table = read_table(DatasetConfig(path=path, id="id"), name="t", party=Party.GRID).table
    assert table.ids.tolist() == ["".join(letters).upper()]


@pytest.mark.parametrize("empty", ["", "  ", '" "'])
def test_an_empty_id_is_refused(csv: Any, empty: str) -> None:
    assert "line 3" in refusal(csv, f"id,x\na,1\n{empty},2\n")


@pytest.mark.parametrize("month", ["2024-13", "202400", "24-01", "2024.1", "2024-01-32", "202401-05", "soon", ""])
def test_what_is_no_month_is_refused(csv: Any, month: str) -> None:
    assert "line 3, column 'p'" in refusal(csv, f"id,p,x\na,2024-01,1\nb,{month},1\n", secret=month or None, period="p")


@pytest.mark.parametrize("label", ["2", "-1", "0.5", "yes", "inf"])
def test_a_label_that_is_not_0_or_1_is_refused(csv: Any, label: str) -> None:
    text = refusal(csv, f"id,y\na,1\nb,0\nc,{label}\n", label="y", secret=f"'{label}'")
    assert "line 4, column 'y'" in text and "not 0 or 1" in text


def test_rows_whose_outcome_is_open_are_left_out_of_training_and_counted_and_are_scored(csv: Any) -> None:
    text = "id,x,y\na,1,1\nb,2,\nc,3,0\nd,4,NA\n"
    trained = csv(text, label="y", require_label=True)
    assert trained.table.ids.tolist() == ["A", "C"] and trained.table.label.tolist() == [1.0, 0.0]
    assert trained.table.numeric["x"].tolist() == [1.0, 3.0]
    assert "column 'y': 2 rows whose outcome is open are left out of training" in trained.notes and not trained.warnings
    scored = csv(text, label="y")
    assert scored.table.rows == 4 and np.isnan(scored.table.label).tolist() == [False, True, False, True]
    assert not any("outcome" in said for said in (*scored.warnings, *scored.notes))
    assert "no outcome is known" in refusal(csv, "id,x,y\na,1,\nb,2,\n", label="y", require_label=True)
    assert "every label is the same" in refusal(csv, "id,x,y\na,1,\nb,2,1\n", label="y", require_label=True)


def test_the_words_of_a_label_are_what_the_declaration_says(csv: Any) -> None:
    words = {"是": 1, "否": 0}
    text = "id,x,y\na,1,是\nb,2, 否 \nc,3,\nd,4,否\n"
    found = csv(text, label="y", label_values=words, require_label=True)
    assert found.table.label.tolist() == [1.0, 0.0, 0.0] and found.table.ids.tolist() == ["A", "B", "D"]
    said = refusal(csv, "id,y\na,是\nb,坏\n", label="y", label_values=words, secret="坏")
    assert "line 3, column 'y'" in said and "none of the words that label_values has" in said and "It has: 是, 否" in said


def test_words_of_a_label_that_cannot_be(csv: Any) -> None:
    with pytest.raises(ConfigError, match="a word for 1 and one for 0"):
        csv("id,y\na,1\n", label="y", label_values={"是": 1})
    with pytest.raises(ConfigError, match="for a dataset with a label"):
        csv("id,y\na,1\n", label_values={"是": 1, "否": 0})


def test_one_class_is_refused_for_training_only(csv: Any) -> None:
    text = "id,y\na,0\nb,0\n"
    assert "every label is the same" in refusal(csv, text, label="y", require_label=True)
    assert csv(text, label="y").table.label.tolist() == [0.0, 0.0]


def test_rows_to_score_need_no_label_column(csv: Any) -> None:
    assert csv("id,x\na,1\n", label="y").table.label is None
    assert "no column 'y'" in refusal(csv, "id,x\na,1\n", label="y", require_label=True)


def test_roles_that_do_not_suit_the_party_are_refused(csv: Any) -> None:
    with pytest.raises(ConfigError, match="grid has no label"):
        csv("id,y\na,0\n", label="y", party=Party.GRID)
    with pytest.raises(ConfigError, match="no label is declared"):
        csv("id,y\na,0\n", require_label=True)


@pytest.mark.parametrize("role", ["id", "label", "period"])
def test_keys_cannot_be_features(csv: Any, role: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a feature"):
        csv("k,id\n1,a\n", **{role: "k"}, columns={"k": NUMERIC})


def test_duplicates_are_refused_naming_both_rows(csv: Any) -> None:
    text = refusal(csv, "id,x\nq7,1\nb,2\n\nQ 7,3\nb,4\n", secret="Q7")
    assert "line 2 and line 5" in text and "declare `period`" in text
    months = "id,p,x\na,2024-01,1\na,2024-02,2\n"
    assert csv(months, period="p").table.rows == 2
    assert "line 3 and line 4" in refusal(csv, months + "A,202402,3\n", period="p")


def test_a_missing_column_is_refused_with_close_names(csv: Any) -> None:
    text = refusal(csv, "id,incomes\na,1\n", columns={"income": NUMERIC})
    assert "no column 'income'" in text and "'incomes'" in text
    assert "by commas" in refusal(csv, "id;income\na;1\n")


@pytest.mark.parametrize("value", ["oops", "1,000", "inf", "1e999", "0x10", "1_000", "--1", "true"])
def test_text_in_a_numeric_column_is_refused_or_missing_as_declared(csv: Any, value: str) -> None:
    text = f'id,x\na,1\nb,"{value}"\n'
    assert "line 3, column 'x'" in refusal(csv, text, secret=value, columns={"x": NUMERIC})
    loaded = csv(text, columns={"x": ColumnConfig(kind="numeric", malformed="null")})
    np.testing.assert_array_equal(loaded.table.numeric["x"], [1.0, np.nan])
    assert "1 values are not a number" in loaded.warnings[0]


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_are_read_exactly_also_beside_malformed_ones(tmp_path_factory: Any, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("numbers") / "t.csv"
    rows = "".join(f"{i}, {value!r}\n" for i, value in enumerate(values))
    columns = {"x": ColumnConfig(kind="numeric", malformed="null")}
    for extra in ("", "z,oops\n"):
        path.write_text("id,x\n" + rows + extra)
        table = read_table(DatasetConfig(path=path, id="id", columns=columns), name="t", party=Party.GRID).table
        assert table.numeric["x"][: len(values)].tolist() == values


def test_values_out_of_range_are_refused_or_missing_as_declared(csv: Any) -> None:
    text = "id,x\na,0\nb,7.25\nc,-1\n"
    bounds = {"kind": "numeric", "min": 0, "max": 5}
    assert "line 3, column 'x'" in refusal(csv, text, secret="7.25", columns={"x": bounds})
    loaded = csv(text, columns={"x": {**bounds, "malformed": "null"}})
    np.testing.assert_array_equal(loaded.table.numeric["x"], [0.0, np.nan, np.nan])


def test_unknown_categories_are_refused_or_missing_as_declared(csv: Any) -> None:
    text = "id,c\na,n\nb,\nc,zz\n"
    declared = {"kind": "categorical", "categories": ["n", "s"]}
    assert "line 4, column 'c'" in refusal(csv, text, secret="zz", columns={"c": declared})
    loaded = csv(text, columns={"c": {**declared, "malformed": "null"}})
    assert loaded.table.categorical["c"].tolist() == ["n", None, None]


def test_missing_values_are_refused_or_their_rows_dropped_as_declared(csv: Any) -> None:
    text = "id,x,c,y\na,1,n,1\nb,,n,0\nc,3,,0\n"
    for column, line in (("x", 3), ("c", 4)):
        kind = "numeric" if column == "x" else "categorical"
        assert f"line {line}" in refusal(csv, text, columns={column: {"kind": kind, "missing": "refuse"}})
    drop = {"x": {"kind": "numeric", "missing": "drop"}, "c": {"kind": "categorical", "missing": "drop"}}
    loaded = csv(text, label="y", columns=drop)
    assert loaded.table.ids.tolist() == ["A"] and loaded.table.label.tolist() == [1.0]
    assert loaded.warnings == ("1 rows dropped: column 'x' is missing", "1 rows dropped: column 'c' is missing")
    assert "every row" in refusal(csv, "id,x\na,\n", columns={"x": drop["x"]})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"id,x\n", "no rows"),
        (b"id,x\na,\xe9\n", "not UTF-8"),
        (b"id,\xe9\na,1\n", "not UTF-8"),
        (b"id,x\na,1\nb,2,3\n", "line 3: a row has 3 values where the header has 2"),
        (b"id,x,x\na,1,2\n", "'x' more than once"),
        (b"PAR1 but not really", "not valid Parquet"),
    ],
)
def test_files_that_are_no_table_are_refused(csv: Any, content: bytes, reason: str) -> None:
    assert reason in refusal(csv, content)


def test_lines_are_counted_over_blank_and_quoted_ones(csv: Any) -> None:
    text = '\ufeffid,c,x\n\na,"two\nlines",1\n\nb,"",oops\n'
    assert "line 6" in refusal(csv, text, columns={"x": NUMERIC, "c": CATEGORY})


def test_a_quoted_value_may_span_the_blocks_of_a_large_file(csv: Any) -> None:
    loaded = csv('id,c\na,"' + "x\n" * 600_000 + '"\nb,y\n', columns={"c": CATEGORY})
    assert loaded.table.categorical["c"][1] == "y"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match="cannot be read") as caught:
            read_table(DatasetConfig(path=path, id="id"), name="loans", party=Party.BANK)
        assert str(tmp_path) not in caught.value.public
        with pytest.raises(DataError, match="cannot be read"):
            fingerprint(path)


def test_fingerprint_is_the_sha256_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert fingerprint(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()


@pytest.fixture
def parquet(tmp_path: Path) -> Any:
    def load(data: dict[str, Any], **config: Any) -> Loaded:
        path = tmp_path / "loans.pq"
        pq.write_table(pa.table(data), path)
        dataset = DatasetConfig.model_validate({"path": path, "id": "id", **config})
        return read_table(dataset, name="loans", party=Party.BANK)

    return load


def test_parquet_types_are_read_as_a_csv_would_be(parquet: Any) -> None:
    day = datetime.date(2024, 2, 29)
    table = parquet(
        {
            "id": pa.array([91, 92]),
            "p": pa.array([day, day]),
            "y": pa.array([True, False]),
            "x": pa.array([1, None], pa.int64()),
            "s": pa.array(["2.5", " "]),
            "c": pa.array(["n", None]).dictionary_encode(),
            "k": pa.array([1.0, 2.0]),
        },
        period="p",
        label="y",
        columns={"x": NUMERIC, "s": NUMERIC, "c": CATEGORY, "k": CATEGORY},
    ).table
    assert table.ids.tolist() == ["91", "92"] and table.periods.tolist() == [2024 * 12 + 1] * 2
    assert table.label.tolist() == [1.0, 0.0]
    np.testing.assert_array_equal(table.numeric["x"], [1.0, np.nan])
    np.testing.assert_array_equal(table.numeric["s"], [2.5, np.nan])
    assert table.categorical["c"].tolist() == ["n", None] and table.categorical["k"].tolist() == ["1", "2"]


def test_bad_parquet_values_are_refused_by_row(parquet: Any) -> None:
    bad = {"id": ["a", "b"], "x": [1.0, float("inf")]}
    assert "row 2, column 'x'" in refusal(parquet, bad, columns={"x": NUMERIC})
    assert "floating-point" in refusal(parquet, {"id": [1.5], "x": [1.0]})
    assert "neither text nor number" in refusal(parquet, {"id": ["a"], "x": [[1]]}, columns={"x": NUMERIC})
    assert "the id is empty" in refusal(parquet, {"id": pa.array(["a", None])})
    assert "not a month" in refusal(parquet, {"id": ["a"], "p": pa.array([None], pa.date32())}, period="p")


@pytest.mark.parametrize(
    "declared",
    [
        {"kind": "numeric", "missing": "category"},
        {"kind": "categorical", "missing": "median"},
        {"kind": "categorical", "min": 0},
        {"kind": "categorical", "transform": "signed_log"},
        *({"kind": "numeric", "reason": text} for text in ("", "=cmd", "a;b", "a\nb", "x" * 61, "a\u202eb")),
        {"kind": "numeric", "categories": ["a"]},
        {"kind": "numeric", "min": 2, "max": 1},
        *({"kind": "numeric", "unit": unit} for unit in ("万元", "亿kWh", "千")),
        {"kind": "number"},
        {"kind": "numeric", "maximum": 1},
    ],
)
def test_columns_declared_inconsistently_are_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        validate(ColumnConfig, declared, "test")


def test_defaults_follow_the_kind() -> None:
    assert (NUMERIC.missing, CATEGORY.missing) == ("median", "category")
    assert NUMERIC.malformed == "refuse" and NUMERIC.transform == "none"
    assert ColumnConfig.model_validate(CATEGORY.model_dump()) == CATEGORY


def test_every_field_is_documented() -> None:
    fields = {**ColumnConfig.model_fields, **DatasetConfig.model_fields}
    assert [name for name, field in fields.items() if not field.description] == []
