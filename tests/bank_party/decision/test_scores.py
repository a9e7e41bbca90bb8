"""The file of scores: its columns, that numbers survive it, and that it appears whole or not at all."""

from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bank_party.decision.scores import read_scores, write_scores
from common.errors import DataError
from tests.common.stages.tables import table

U = {"u": np.array([0.0, -1.25, 1 / 3])}
SPOKEN = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), pa.array(['late; "owes", a lot', ""]))


def test_scores_by_id(tmp_path: Path) -> None:
    file = tmp_path / "scores" / "job-1.csv"
    write_scores(file, table(["007", 'A,"B"', "Ä"]), {**U, "reasons": SPOKEN})
    read = pd.read_csv(file, dtype={"id": str}, keep_default_na=False)
    assert list(read.columns) == ["id", "u", "reasons"]
    assert read["id"].tolist() == ["007", 'A,"B"', "Ä"]
    np.testing.assert_array_equal(read["u"], U["u"])
    assert read["reasons"].tolist() == ["", 'late; "owes", a lot', ""]


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    for kind in ("csv", "parquet"):
        write_scores(tmp_path / f"s.{kind}", table(["A", "B", "C"], [24000, 24001, 24000]), {**U, "reasons": SPOKEN})
    read = pd.read_parquet(tmp_path / "s.parquet").astype({"period": str, "reasons": str})
    pd.testing.assert_frame_equal(read, pd.read_csv(tmp_path / "s.csv", keep_default_na=False), check_dtype=False)


def test_months_are_written_as_months(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    write_scores(file, table(["A"] * 3, [2024 * 12, 2024 * 12 + 11, 999 * 12 + 8]), U)
    assert pd.read_csv(file, dtype=str)["period"].tolist() == ["2024-01", "2024-12", "0999-09"]


def test_a_file_is_replaced_whole_and_leaves_no_part(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    write_scores(file, table(["A", "B", "C"]), U)
    write_scores(file, table(["D"]), {"u": U["u"][:1]})
    assert pd.read_csv(file)["id"].tolist() == ["D"]
    assert [f.name for f in tmp_path.iterdir()] == ["s.csv"]


def test_a_failure_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    write_scores(file, table(["A", "B", "C"]), U)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="expected length"):
        write_scores(file, table(["A"]), U)
    assert file.read_bytes() == before


FORMULAS = ["=1+1", "+86123", "-7", "@SUM(A1)", "A=1"]


def test_a_spreadsheet_finds_no_formula_and_a_reader_the_ids_as_they_are(tmp_path: Path) -> None:
    columns = {"u": np.arange(5.0) - 2, "probability": np.full(5, 0.5), "grade": np.arange(5)}
    for kind in ("csv", "parquet"):
        write_scores(tmp_path / f"s.{kind}", table(FORMULAS), columns)
        found = read_scores(tmp_path, [("job", "model", f"s.{kind}")])
        assert found["id"].tolist() == FORMULAS and found["u"].tolist() == columns["u"].tolist()
    cells = pd.read_csv(tmp_path / "s.csv", dtype=str)
    assert cells["id"].tolist() == ["'=1+1", "'+86123", "'-7", "'@SUM(A1)", "A=1"]
    assert cells["u"].tolist() == ["-2", "-1", "0", "1", "2"]  # a number is none
    assert pd.read_parquet(tmp_path / "s.parquet")["id"].astype(str).tolist() == FORMULAS


@pytest.mark.parametrize("content", [b"", b"id,u\na,0.5\n", b"id,u,probability,grade\na,0.5\n", b"\xff\xfe\x00"])
@pytest.mark.parametrize("name", ["job-1.csv", "job-1.parquet"])
def test_a_damaged_file_is_named_and_says_what_to_do(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: not a file of scores.*Restore it") as caught:
        read_scores(tmp_path, [("job-1", "train-1", name)])
    assert name not in caught.value.public


def test_excel_is_told_of_texts_beyond_ascii_and_every_reader_finds_the_same(tmp_path: Path) -> None:
    columns = {"u": np.array([0.5, -1.0]), "probability": np.array([0.1673737470293295, 4e-7]), "grade": np.array([8, 1])}
    spoken = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["逾期天数", "贷款余额; 电费"]))
    ascii_only, chinese = tmp_path / "a.csv", tmp_path / "z.csv"
    write_scores(ascii_only, table(["A", "B"]), columns)
    write_scores(chinese, table(["A", "B"]), {**columns, "reasons": spoken})
    assert not ascii_only.read_bytes().startswith(codecs.BOM_UTF8)
    assert chinese.read_bytes().startswith(codecs.BOM_UTF8 + b'"id"')
    found = pd.read_csv(chinese)
    assert found.columns[0] == "id" and found["reasons"].tolist() == ["逾期天数", "贷款余额; 电费"]
    assert found["probability"].tolist() == columns["probability"].tolist()
    own = [read_scores(tmp_path, [("job", "model", name)])[["id", "u", "probability"]] for name in ("a.csv", "z.csv")]
    pd.testing.assert_frame_equal(*own)
