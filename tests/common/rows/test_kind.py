"""What a column is taken for, by all of its values; nothing of it is guessed silently, and no line holds a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.errors import DataError
from common.party import Party
from common.rows.dataset import read_table
from common.rows.declare import DatasetConfig
from common.rows.kind import Seen

N = 200
R = np.random.default_rng(1)


def see(folder: Path, column: Any, *, parquet: bool = False, **keys: Any) -> Seen:
    frame = pd.DataFrame({"id": [f"E{k:04d}" for k in range(N)], "x": column})
    path = folder / ("t.parquet" if parquet else "t.csv")
    frame.to_parquet(path) if parquet else frame.to_csv(path, index=False)
    loaded = read_table(DatasetConfig(path=path, id="id", **keys), name="t", party=Party.GRID)
    (seen,) = loaded.seen
    assert (seen.text in loaded.warnings) is seen.loud and (seen.text in loaded.notes) is seen.noted
    assert not (seen.loud and seen.noted) and ("x" in loaded.columns) is (seen.config is not None)
    return seen


LONG = "whole numbers of more digits than a float holds, ids or accounts: left out"
GROUPED = "numbers, each with three decimals; if its points stand between thousands, declare thousands = '.'"
KINDS: list[tuple[str, Any, str]] = [
    ("number", R.normal(size=N), "numbers"),
    ("number", [f"{v:,.2f}" for v in R.lognormal(9, 2, N)], "numbers, commas between thousands"),
    ("number", [f"{v:.1f}%" for v in R.normal(50, 9, N)], "numbers, the unit %, a hundredth"),
    ("number", R.integers(1, 10**6, N), "numbers"),
    ("flag", R.integers(0, 2, N), "1 and 0"),
    ("flag", R.choice(["true", "false"], N), "1 and 0, words for 1 and 0"),
    ("category", R.choice(["n", "s", "e"], N), "3 categories"),
    ("category", R.choice(["010", "020", "755"], N), "3 categories"),  # with a zone's zero in front
    ("category", R.choice(["110000", "440300"], N), None),
    ("constant", [7] * N, "one value in all rows"),
    ("nothing", [None] * N, "nothing is known"),
    ("row number", range(N), "the numbers of rows: left out"),
    ("row number", R.permutation(N) + 1, "the numbers of rows: left out"),
    ("id", R.permutation(10**10 + np.arange(N) * 7), "long numbers that never repeat, ids or accounts: left out"),
    ("id", [f"C{k:05d}" for k in R.permutation(N)], None),
    ("free text", [f"company {k} {'x' * (k % 7)}" for k in range(N)], None),
    ("date", pd.Timestamp("2020-01-01") + pd.to_timedelta(R.integers(0, 900, N), "D"), None),
    ("date", [int(f"2020{m:02d}{d:02d}") for m, d in zip(R.integers(1, 13, N), R.integers(1, 29, N), strict=True)], None),
    ("month", R.choice(["2024-01", "2024-02"], N), "months or dates as text: left out"),
    ("row number", np.arange(0, 3 * N, 3), "the numbers of rows: left out"),  # pandas keeps them when it filters
    ("id", R.choice(["12345678901234567890", "12345678901234567891"], N), LONG),
    ("id", R.choice([2**53 + 1, 2**60 + 1], N), LONG),
    ("number", R.choice(["1.234", "12.345"], N), GROUPED),
    ("number", R.choice(["1.234", "0.345"], N), "numbers"),
    ("category", R.choice(["1-5", "6-10", "11+"], N), "3 categories"),
    ("category", R.choice(["A01", "B02"], N), "2 categories"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "column", "said"), KINDS)
def test_a_column_is_what_all_of_its_values_say(kind: str, column: Any, said: str | None, tmp_path: Path) -> None:
    seen = see(tmp_path, column)
    if kind == "category" and said is None:  # codes without a zero in front are numbers, for all one knows
        kind = "number"
    assert seen.kind == kind and (said is None or seen.said == said)


def test_types_of_parquet_that_no_feature_has_are_left_out_with_a_word(tmp_path: Path) -> None:
    for column in ([[k] for k in range(N)], [{"a": k} for k in range(N)]):
        seen = see(tmp_path, column, parquet=True)
        assert seen.kind == "other" and "left out" in seen.said and seen.loud
    seen = see(tmp_path, pd.Timestamp("2024-01-01") + pd.to_timedelta(range(N), "h"), parquet=True)
    assert seen.kind == "date" and seen.loud


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        ([f"{k},{k:03d}" for k in range(100, 200)] + ["7"] * 100, "line 2"),
        (["7"] * 50 + [f"{k}kWh" for k in range(150)], "line 52"),
        (["-"] * 90 + [str(k * 3) for k in range(110)], "line 2"),
        ([str(k * 3) for k in range(190)] + ["n.a."] * 10, "line 192"),
        ([f"{k}.57" for k in range(100)] + [f"{k},57" for k in range(100, 200)], "line 102"),
    ],
)  # fmt: skip
def test_what_looks_like_numbers_and_is_not_certain_is_asked_for_by_line(cells: list[str], line: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{line}, column 'x'") as caught:
        see(tmp_path, cells)
    assert "7kWh" not in caught.value.public and "eclare" in str(caught.value)


@pytest.mark.parametrize(("decimal", "of_first", "said"), [(".", 100_100.0, "commas"), (",", 100.1, "numbers")])
def test_the_decimal_of_a_dataset_settles_what_its_commas_are_and_nothing_else(
    decimal: str, of_first: float, said: str, tmp_path: Path
) -> None:
    cells = [f"{k},{k:03d}" for k in range(100, 200)] + ["7"] * 100
    seen = see(tmp_path, cells, decimal=decimal)
    assert seen.kind == "number" and said in seen.said
    config = DatasetConfig.model_validate({"path": tmp_path / "t.csv", "id": "id", "decimal": decimal})
    assert read_table(config, name="t", party=Party.GRID).table.numeric["x"][:1].tolist() == [of_first]
    with pytest.raises(DataError, match="a unit in some cells and none in others"):
        see(tmp_path, ["7"] * 50 + [f"{k}kWh" for k in range(150)], decimal=decimal)


def test_a_word_for_missing_is_declared(tmp_path: Path) -> None:
    cells = ["-"] * 90 + [str(k * 3) for k in range(110)]
    assert see(tmp_path, cells, missing=("-",)).kind == "number"


def test_no_line_holds_a_value(tmp_path: Path) -> None:
    secret = "沪A88888"
    for _, column, _ in KINDS:
        cells = [secret, *map(str, list(column)[1:])]
        try:
            assert secret not in see(tmp_path, cells).text
        except DataError as error:
            assert secret not in error.public


def test_columns_without_a_name_and_padding(tmp_path: Path) -> None:
    rows = "".join(f"{k},E{k:03d},{k % 7},,\n" for k in range(N))
    path = tmp_path / "t.csv"
    path.write_text(",id,x,,\n" + rows)
    loaded = read_table(DatasetConfig(path=path, id="id"), name="t", party=Party.GRID)
    assert loaded.table.order == ("x",)
    assert loaded.warnings == ("column '(column 1)': has no name: left out",)
    assert [s.kind for s in loaded.seen] == ["other", "number", "nothing", "nothing"]


@pytest.mark.parametrize(
    "of",
    [
        "1.5D+03 2.5D+03",
        "<5 >100",
        "1/2 3/4",
        "0x1A 0x2B",
        "12:30 7:15",
        "1_0 3_0",
        "1;5 2;5",
        "½ ¼",
        "一百二十 三十",
        "12bp 5bps",
    ],
)
def test_what_looks_like_numbers_and_is_read_as_categories_is_said_aloud(of: str, tmp_path: Path) -> None:
    seen = see(tmp_path, R.choice(of.split(), N))
    assert seen.kind == "category" and seen.loud and "look like numbers" in seen.said


@pytest.mark.parametrize("words", [["1", "true"], ["1", "2", "two"]])
def test_numbers_and_words_in_one_column_are_said_aloud(words: list[str], tmp_path: Path) -> None:
    seen = see(tmp_path, [words[k % len(words)] for k in range(N)])
    assert seen.kind == "category" and seen.loud and "are not numbers (first: line " in seen.said


def test_a_column_of_numbers_is_never_categories_for_infinite_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 2, column 'x': 'inf': an infinite number \(100 such rows\)"):
        see(tmp_path, [1.5, np.inf] * (N // 2), parquet=True)


@pytest.mark.parametrize("name", ["", "__index_level_0__", "Unnamed: 0", "...1"])
def test_a_name_that_a_program_made_for_a_column_without_one_is_none(name: str, tmp_path: Path) -> None:
    table = pa.table({"id": [f"E{k}" for k in range(N)], name: R.permutation(3 * N)[:N], "x": R.normal(size=N)})
    pq.write_table(table, tmp_path / "t.parquet")
    loaded = read_table(DatasetConfig(path=tmp_path / "t.parquet", id="id"), name="t", party=Party.GRID)
    assert list(loaded.columns) == ["x"] and loaded.warnings == (f"column {name!r}: has no name: left out",)


def test_codes_some_of_which_lost_their_zeros_are_no_numbers_and_are_told(tmp_path: Path) -> None:
    cells = ["0012", "12", "450", "1200"] * (N // 4)
    seen = see(tmp_path, cells)
    assert seen.kind == "category" and seen.loud and "digits of several lengths" in seen.said
    said = "1 category is another but for zeros in front"
    for columns in ({}, {"x": {"kind": "categorical"}}):
        config = DatasetConfig.model_validate({"path": tmp_path / "t.csv", "id": "id", "columns": columns})
        loaded = read_table(config, name="t", party=Party.GRID)
        assert loaded.table.categorical["x"].tolist() == cells and sum(said in text for text in loaded.warnings) == 1
    config = DatasetConfig.model_validate({"path": tmp_path / "t.csv", "id": "id", "columns": {"x": {"kind": "numeric"}}})
    assert read_table(config, name="t", party=Party.GRID).table.numeric["x"][:2].tolist() == [12.0, 12.0]


def test_codes_of_several_lengths_that_are_all_different_are_categories_too(tmp_path: Path) -> None:
    seen = see(tmp_path, R.choice(["0012", "450", "12000"], N))
    assert seen.kind == "category" and seen.said.startswith("3 categories, digits of several lengths")
    seen = see(tmp_path, [f"{k:0{3 + k % 2}d}" for k in range(N)])  # hardly repeating: ids of nobody's
    assert seen.kind == "free text" and seen.config is None


def test_one_zero_in_front_among_numbers_is_asked_for_by_line(tmp_path: Path) -> None:
    cells = [str(k * 3) for k in range(N)]
    cells[6] = "018"
    with pytest.raises(DataError, match=r"line 8, column 'x': '018': a zero in front, though nearly all"):
        see(tmp_path, cells)
    seen = see(tmp_path, [0, 18, 7, 450] * (N // 4), parquet=True)
    assert seen.kind == "number"


def test_a_part_of_a_table_that_holds_codes_as_numbers_lost_zeros(tmp_path: Path) -> None:
    for name, codes in (("1", ["0012", "0450"]), ("2", [12, 1200])):
        pq.write_table(pa.table({"id": [f"E{name}{k}" for k in range(2)], "branch": codes}), tmp_path / f"{name}.parquet")
    loaded = read_table(DatasetConfig(path=tmp_path, id="id"), name="t", party=Party.GRID)
    assert loaded.table.categorical["branch"].tolist() == ["0012", "0450", "12", "1200"]
    assert any("1 category is another but for zeros in front" in text for text in loaded.warnings)


def test_codes_that_name_the_parts_of_a_table_keep_their_zeros(tmp_path: Path) -> None:
    for branch in ("0012", "0450", "1200"):
        folder = tmp_path / f"branch={branch}"
        folder.mkdir()
        (folder / "a.csv").write_text(f"id,x\nA{branch},1.5\n")
    loaded = read_table(DatasetConfig(path=tmp_path, id="id"), name="t", party=Party.GRID)
    assert loaded.table.categorical["branch"].tolist() == ["0012", "0450", "1200"]


@pytest.mark.parametrize("other", ["-1", "7.5", "-7"])
def test_codes_beside_another_number_are_read_as_numbers_and_that_is_said(other: str, tmp_path: Path) -> None:
    """A sentinel of -1 made one number of 007 and 7 without a word."""
    seen = see(tmp_path, R.choice(["007", "7", other], N))
    assert seen.kind == "number" and seen.loud and "some with a zero in front; if these are codes" in seen.said
    if other == "-1":
        assert see(tmp_path, R.choice(["007", "7", other], N), missing=("-1",)).kind == "category"


def test_codes_in_full_width_are_codes(tmp_path: Path) -> None:
    assert see(tmp_path, R.choice(["００７", "７", "１２"], N)).kind == "category"
    assert see(tmp_path, R.choice(["7", "１２", "２５"], N)).said == "numbers"
