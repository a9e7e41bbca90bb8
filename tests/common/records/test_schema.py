"""`wattscore schema`: a line a column, the declaration that reads the same again, and an exit code for leaks."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from common.cli import main
from common.config import validate
from common.party import Party
from common.records.schema import dataset_of
from common.rows.dataset import read_table
from common.rows.declare import DatasetConfig


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["schema", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    r = np.random.default_rng(1)
    rows = []
    for k in range(400):
        bad = int(r.random() < 0.2)
        tax, area = f"{r.lognormal(9, 1):,.2f}", r.choice(list("nse"))
        rows.append(f'91{k:06d},2024/{k % 2 + 1}/1,"{tax}",{area},{bad * 30},公司{k},{bad}\n')
    path = tmp_path / "bank.csv"
    path.write_bytes(("code,month,tax,area,late,name,y\n" + "".join(rows)).encode("gb18030"))
    return path


KEYS = ("--key", "code", "--period", "month", "--label", "y")


def test_each_column_in_one_line_without_a_value(bank: Path) -> None:
    said = run(bank, *KEYS)
    assert said.exit_code == 0, said.output
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in said.output.splitlines() if line.strip()}
    assert lines["code"].startswith("id 400 different ids in 400 rows: 400 of 8 digits")
    assert lines["month"].startswith("month 2024-01 to 2024-02") and lines["tax"] == "number numbers, commas between thousands"
    assert lines["area"] == "category 3 categories" and lines["name"].startswith("free text 400 texts that hardly repeat")
    assert "read as GB18030" in said.output and "column 'late' is the label" in said.output and "公司" not in said.output
    assert run(bank).exit_code == 0  # without keys, all columns alike


def test_the_declaration_reads_the_same_again(bank: Path, tmp_path: Path) -> None:
    out = tmp_path / "loans.toml"
    assert run(bank, *KEYS, "--toml", out, "--name", "loans").exit_code == 0
    raw = tomllib.loads(out.read_text(encoding="utf-8"))["datasets"]["loans"]
    assert raw["columns"]["tax"]["thousands"] == "," and "name" not in raw["columns"]
    config = validate(DatasetConfig, dataset_of(out), "loans.toml")
    one = read_table(config, name="loans", party=Party.BANK).table
    other = read_table(config.model_copy(update={"columns": {}}), name="loans", party=Party.BANK).table
    assert one.order == other.order and all((one.numeric[c] == other.numeric[c]).all() for c in one.numeric)
    assert run(out).exit_code == 0


def test_strict_ends_with_a_code_of_its_own(bank: Path, tmp_path: Path) -> None:
    assert run(bank, *KEYS, "--strict").exit_code == 3
    clean = tmp_path / "clean.csv"
    clean.write_text("code,tax,y\n" + "".join(f"{k},{k * 7 % 101},{k % 3 // 2}\n" for k in range(300)))
    assert run(clean, "--key", "code", "--label", "y", "--strict").exit_code == 0


def test_what_cannot_be_declared_is_said(bank: Path, tmp_path: Path) -> None:
    assert "Name it by --key" in run(bank, "--out", tmp_path / "x.toml").output
    (tmp_path / "two.toml").write_text("[datasets.a]\n[datasets.b]\n")
    assert "does not declare one dataset" in run(tmp_path / "two.toml").output
    assert run(tmp_path / "gone.csv", "--key", "id").exit_code == 2


def test_all_columns_that_are_wrong_are_told_and_no_declaration_is_written(bank: Path, tmp_path: Path) -> None:
    lines = [f"{line},{k}" for k, line in enumerate(bank.read_text(encoding="gb18030").splitlines())]
    lines[0] = "code,month,tax,area,late,name,y,owed"
    lines[3] = lines[3].rsplit(",", 1)[0] + ",?"
    before, after = lines[4].split('"')[0], lines[4].split('"')[2]
    lines[4] = f"{before}?{after}"
    bank.write_text("\n".join(lines) + "\n")
    out = tmp_path / "loans.toml"
    said = run(bank, *KEYS, "--toml", out)
    assert said.exit_code == 2 and not out.exists(), said.output
    assert "line 4, column 'owed': '?'" in said.stderr and "line 5, column 'tax': '?'" in said.stderr
    assert "name" in said.stdout and "free text" in said.stdout
