"""Each class of bad record through `wattscore features`: what is said where it is refused, and reported where let through."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from common.cli import main

A, B = "91350100M000100Y43", "914403001922038216"
HEAD = "id,month,kwh,late,area\n"
HEADER, FIRST = HEAD.strip(), f"{A},2024-01,10,1,x"
CONFIG = """party = "grid"
source = { path = "meters.csv" }
keys = { id = "id", month = "month", id_check = "uscc" }
samples = { min_history = 1 }
[fields]
days_late = { column = "late" }
area = { kind = "categorical", categories = ["x", "y"] }
[fields.consumption]
column = "kwh"
"""
MONTHS = [f"{2024 + m // 12}-{m % 12 + 1:02d}" for m in range(18)]
RECORDS = HEAD + "".join(f"{who},{at},{10 * m},{m % 2},x\n" for who in (A, B) for m, at in enumerate(MONTHS, 1))


def run(folder: Path, records: str | bytes, more: str = "", config: str = CONFIG) -> Result:
    data = records if isinstance(records, bytes) else records.encode()
    (folder / "meters.csv").write_bytes(data)
    (folder / "records.toml").write_text(config + more, encoding="utf-8")
    asked = ["features", str(folder / "records.toml"), "--out", str(folder / "made.parquet"), "--report", str(folder / "q")]
    return CliRunner().invoke(main, asked)


def refused(folder: Path, result: Result) -> str:
    """What was said, of a run that must have left nothing."""
    assert result.exit_code == 2 and "Traceback" not in result.output, result.output
    assert not (folder / "made.parquet").exists() and not (folder / "q").exists()
    return " ".join(result.output.split())


def edit(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


# Name: what is done to the records, the declaration that refuses it, what is said, and the finding where it is let through.
CLASSES = {
    "malformed number": (
        edit(",30,", ",3O,"), 'malformed = "refuse"',
        "line 4, column 'kwh': '3O': not a number", ("malformed", "consumption", "null"),
    ),
    "impossible: negative": (
        edit(",30,", ",-30,"), 'impossible = "refuse"',
        "line 4, column 'kwh': '-30': impossible: outside 0 to inf", ("impossible", "consumption", "null"),
    ),
    "impossible: late by more than a year": (
        edit("30,1,x", "30,366,x"), '[fields.days_late]\ncolumn = "late"\nimpossible = "refuse"',
        "line 4, column 'late': '366': impossible: outside 0 to 365", ("impossible", "days_late", "null"),
    ),
    "not a category": (
        edit("30,1,x", "30,1,z"), '[fields.area]\nkind = "categorical"\ncategories = ["x"]\nmalformed = "refuse"',
        "line 4, column 'area': 'z': not a declared category", ("malformed", "area", "null"),
    ),
    "duplicates that differ": (
        lambda text: text + f"{B},2024-06,61,0,x\n", "",
        "and differ in consumption", ("conflict", "", "last"),
    ),
    "gap": (
        edit(f"{A},2024-03,30,1,x\n", ""), '[cleaning]\ngaps = "refuse"',
        f"id '{A}' has no record within 2024-02 ... 2024-04", ("gap", "", "null"),
    ),
    "outlier": (
        edit(",30,", ",9e9,"), '[fields.consumption.outliers]\nrule = "refuse"',
        "line 4, column 'kwh': '9000000000': an outlier: outside", ("outlier", "consumption", "clip"),
    ),
    "wrong credit code": (
        edit(f"{A},2024-03", f"{A[:-1]}4,2024-03"), "",
        f"line 4, column 'id': '{A[:-1]}4': not a unified social credit code", ("id", "", "drop"),
    ),
    "no month": (
        edit("2024-03", "March"), "",
        "line 4, column 'month': 'March': not a month", ("month", "", "drop"),
    ),
}  # fmt: skip
LET_THROUGH = {
    "duplicates that differ": '[cleaning]\nduplicates = "last"\n',
    "wrong credit code": 'bad_id = "drop"',
    "no month": 'bad_month = "drop"',
}


def declared(more: str) -> str:
    """CONFIG with a declaration: of the consumption, or in place of a section it names."""
    if more.startswith("bad_"):
        return CONFIG.replace('"uscc" }', f'"uscc", {more} }}')
    for field in ("days_late", "area"):
        if f"[fields.{field}]" in more:
            lines = [line for line in CONFIG.splitlines() if not line.startswith(f"{field} =")]
            return "\n".join([*lines, more])
    return CONFIG + more


@pytest.mark.parametrize("name", CLASSES)
def test_a_bad_value_is_refused_where_declared_from_file_to_message(name: str, tmp_path: Path) -> None:
    change, strict, message, _ = CLASSES[name]
    said = refused(tmp_path, run(tmp_path, change(RECORDS), config=declared(strict)))
    assert message in said and "meters.csv" in said
    assert run(tmp_path, RECORDS, config=declared(strict)).exit_code == 0  # clean records pass the same declaration


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_let_through_is_in_the_report(name: str, tmp_path: Path) -> None:
    change, _, _, (rule, field, action) = CLASSES[name]
    result = run(tmp_path, change(RECORDS), config=declared(LET_THROUGH.get(name, "")))
    assert result.exit_code == 0, result.output
    rules = json.loads((tmp_path / "q" / "quality.json").read_text(encoding="utf-8"))["rules"]
    found = [(r["rule"], r["field"], r["action"], r["rows"]) for r in rules]
    assert (rule, field, action, 1) in found and {name for name, *_ in found} <= {rule, "gap"}  # a dropped row leaves a gap
    assert A not in json.dumps(rules) and rule in result.output


def test_units_are_declared_and_reported(tmp_path: Path) -> None:
    assert run(tmp_path, RECORDS, "factor = 1000.0\nmax = 200000.0\nimpossible = 'refuse'").exit_code == 0
    (unit,) = json.loads((tmp_path / "q" / "quality.json").read_text())["rules"]
    assert (unit["rule"], unit["action"], unit["rows"]) == ("unit", "times 1000", 36)
    (tmp_path / "made.parquet").unlink()
    for file in (tmp_path / "q").iterdir():
        file.unlink()
    (tmp_path / "q").rmdir()
    # The same column with the unit told twice: the value is shown in the unit meant, so that this can be seen.
    said = refused(tmp_path, run(tmp_path, RECORDS, "factor = 1000000.0\nmax = 200000.0\nimpossible = 'refuse'"))
    assert "impossible: outside" in said and "200000" in said


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (RECORDS.replace("kwh", "kWh"), "no column 'kwh'; close names in the file: 'kWh'"),
        (RECORDS.replace("kwh", "电量"), "no column 'kwh'; the file has 'id', 'month', '电量'"),
        (RECORDS.replace("id,", "code,", 1), "no column 'id'"),
        (RECORDS.replace(",", ";"), "Separate the columns by commas"),
        (RECORDS.replace(FIRST, f"{FIRST},9"), "line 2: a row has 6 values where the header has 5"),
        (RECORDS.replace(HEADER, f"{HEADER},kwh"), "'kwh' more than once"),
        (HEAD, "a header and no rows"),
        ("", "the file is empty"),
        (RECORDS.replace("x\n", "é\n").encode("latin-1"), "UTF-8"),
        (b"PAR1\x00\x01nonsense", "meters.csv"),
    ],
)
def test_a_file_that_is_no_table_of_these_records(records: str | bytes, message: str, tmp_path: Path) -> None:
    said = refused(tmp_path, run(tmp_path, records))
    assert message in said and "meters.csv" in said


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('table = "monthy"', "no such table or view"),
        ('query = "SELEKT 1"', 'refused: near "SELEKT"'),
        ('query = "SELECT id, month, kwh FROM monthly"', "no column 'late', 'area'"),
        ('table = "monthly"\nurl_file = "records.url"', "chmod 600"),
        ('table = "monthly"', None),
    ],
)
def test_what_a_database_refuses(source: str, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hunter2.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE monthly (id, month, kwh, late, area)")
        rows = [line.split(",") for line in RECORDS.splitlines()[1:]]
        database.executemany("INSERT INTO monthly VALUES (?, ?, ?, ?, ?)", rows)
    (tmp_path / "records.url").write_text(f"sqlite:///{path}")
    (tmp_path / "records.url").chmod(0o644)
    by_file = "url_file" in source
    if not by_file:
        monkeypatch.setenv("RECORDS_URL", f"sqlite:///{path}")
    url = "" if by_file else 'url_env = "RECORDS_URL"\n'
    config = CONFIG.replace('source = { path = "meters.csv" }\n', "") + f"[source.sql]\n{url}{source}\n"
    result = run(tmp_path, RECORDS, config=config)
    assert "hunter2" not in result.output.replace(str(tmp_path), "")
    if message is None:
        assert result.exit_code == 0, result.output
    else:
        assert message in refused(tmp_path, result)


def test_bad_records_never_pass_as_numbers(tmp_path: Path) -> None:
    """Whatever text stands in a cell, a feature is finite or missing."""
    pq = pytest.importorskip("pyarrow.parquet")
    for text in ("1e999", "NaN", "inf", "0x10", "1,5".replace(",", "٫"), "１２", "--1", "1e-400"):
        assert run(tmp_path, RECORDS.replace(",30,", f",{text},")).exit_code == 0
        made = pq.read_table(tmp_path / "made.parquet").to_pandas()
        assert not np.isinf(made.select_dtypes("number").to_numpy(np.float64)).any()
