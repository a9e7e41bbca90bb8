"""`wattscore try` as a user runs it: what it prints and writes, and that nothing of it stays, however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from common.cli import main
from common.disclosure import CATALOGUE, Opened
from tests.patience import patience
from tests.scenarios.end_to_end.lab import ROWS, eventually, make_tables, monthly
from tests.source import ROOT


class Try:
    """One run, its temporary files in a folder of its own."""

    def __init__(self, folder: Path, tables: tuple[pd.DataFrame, pd.DataFrame], *words: str) -> None:
        self.temporary, self.out = folder / "tmp", folder / "out.json"
        self.temporary.mkdir()
        for name, table in zip(("grid", "bank"), tables, strict=True):
            table.to_csv(folder / f"{name}.csv", index=False)
        command = [sys.executable, "-m", "common.cli", "try", "--grid", "grid.csv", "--bank", "bank.csv"]
        self.process = subprocess.Popen(
            [*command, "--key", "id", "--label", "y", "--json", str(self.out), *words],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary), "COLUMNS": "200"},
        )  # fmt: skip

    def end(self, code: int = 0) -> tuple[str, str]:
        said, erred = self.process.communicate(timeout=patience(90))
        assert self.process.returncode == code, erred
        assert list(self.temporary.iterdir()) == []
        return said, erred

    def result(self) -> Any:
        return json.loads(self.out.read_text())

    def daemons(self) -> dict[str, int]:
        """Process ids of the daemons that are ready."""
        files = self.temporary.glob("wattscore-*/*.ready")
        return {file.stem: json.loads(file.read_text())["pid"] for file in files}

    def has_logged(self, name: str, text: str) -> bool:
        return any(text in file.read_text() for file in self.temporary.glob(f"wattscore-*/{name}.log"))


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def in_process(folder: Path, tables: tuple[pd.DataFrame, pd.DataFrame], *words: str) -> Result:
    """The same without a process of its own, which saves its start."""
    for name, table in zip(("grid", "bank"), tables, strict=True):
        table.to_csv(folder / f"{name}.csv", index=False)
    names = ["--grid", str(folder / "grid.csv"), "--bank", str(folder / "bank.csv"), "--json", str(folder / "out.json")]
    before = signal.getsignal(signal.SIGTERM)
    try:
        return CliRunner().invoke(main, ["try", *names, "--key", "id", "--label", "y", *words])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_boosted_trees(tmp_path: Path) -> None:
    """As many as the default policy lets so few rows tell of: ten of depth two."""
    words = "--model", "trees", "--trees", "10", "--depth", "2", "--compare", "--report", str(tmp_path / "report.html")
    run = in_process(tmp_path, make_tables("T"), *words)
    assert run.exit_code == 0, run.output
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["iterations"] == 10 and found["auc"]["joint"] > found["auc"]["bank_only"] + 0.03
    assert {opened["what"] for opened in found["disclosures"]} >= {CATALOGUE[Opened.TREE_SPLITS].what}
    assert not any("weights" in opened["what"] for opened in found["disclosures"])
    assert found["auc"]["pooled"] > 0.6 and "boosted trees" in (tmp_path / "report.html").read_text()
    assert "which side each level of each tree splits by" in " ".join(run.stdout.split())


def test_boosted_trees_of_two_banks(tmp_path: Path) -> None:
    """All files lie here, so each bank tells what so few rows of its could not else, and trusts the others."""
    grid, bank = make_tables("T")
    half = len(bank) // 2
    bank.iloc[half:].to_csv(tmp_path / "second.csv", index=False)
    words = "--bank", str(tmp_path / "second.csv"), "--model", "trees", "--trees", "12", "--depth", "2", "--allow-small"
    run = in_process(tmp_path, (grid, bank.iloc[:half]), *words)
    assert run.exit_code == 0, run.output
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["iterations"] == 12 and list(found["banks"]) == ["bank", "bank-2"]
    assert all(one["auc"]["joint"] > 0.55 for one in found["banks"].values()), found["banks"]  # 0.75, about


def test_more_trees_than_labels_may_tell_of_are_refused_with_the_numbers_at_the_bank(tmp_path: Path) -> None:
    run = in_process(tmp_path, make_tables("T"), "--model", "trees")
    said = " ".join(run.stderr.split())
    assert run.exit_code == 2 and "the grid's splits would tell" in said and "label_bits" in said
    assert "fewer `trees`, `candidates` or levels" in said


def test_the_result(tmp_path: Path) -> None:
    run = Try(tmp_path, make_tables("T"), "--compare", "--report", "report.html")
    said, erred = run.end()
    found = run.result()
    page, near = (tmp_path / "report.html").read_text(), [found["auc"]["joint"] + change for change in (-5e-6, 5e-6)]
    assert any(f"<b>{auc:.4f}</b>" in page for auc in near)  # the job told five places, the page rounds all of them
    assert found["rows"] == {"grid": ROWS, "bank": ROWS, "matched": ROWS, "train": 1050, "test": 450}
    assert found["columns"] == {"grid": 25, "bank": 9} and found["iterations"] == 12
    for name, within in (("auc", 0.002), ("logloss", 0.002), ("ks", 0.02)):
        assert set(found[name]) == {"joint", "bank_only", "pooled"}
        assert found[name]["joint"] == pytest.approx(found[name]["pooled"], abs=within)
    assert found["auc"]["joint"] > found["auc"]["bank_only"] + 0.05
    assert {"align", "prepare", "train", "evaluate", "total"} <= set(found["seconds"])
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert found["seconds"]["total"] > sum(s for name, s in found["seconds"].items() if name != "total")
    assert {link: len(ways) for link, ways in found["bytes"].items()} == {
        "grid_bank": 2,
        "coordinator_grid": 2,
        "coordinator_bank": 2,
    }
    assert all(count > 0 for ways in found["bytes"].values() for count in ways.values())
    assert set(found["peak_mib"]) == {"grid", "bank", "coordinator"} and min(found["peak_mib"].values()) > 50
    opened = {entry["value"]: entry["to"] for entry in found["disclosures"]}
    assert opened["test_scores"] == ["bank"] and not opened.keys() & {"scores", "grid_weights", "bank_weights"}
    assert "AUC gained: +" in said and "pooled plaintext fit" in said and "the joint score of each test row" in said
    assert "--compare pools both tables in one process" in erred


def test_tiny_monthly_tables_with_the_taylor_link(tmp_path: Path) -> None:
    grid, bank = make_tables("T", 210)
    months = ["2024-01", "2024-02", "2024-03"]
    words = ("--period", "month", "--link", "taylor", "--allow-small", "--iterations", "10", "--keep", str(tmp_path / "kept"))
    run = in_process(tmp_path, (monthly(grid.assign(idle=0), months), monthly(bank, months)), *words)
    assert run.exit_code == 0, run.output
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["rows"] == {"grid": 210, "bank": 210, "matched": 210, "train": 147, "test": 63}
    assert set(found["auc"]) == {"joint", "bank_only"} and found["iterations"] == 10
    assert {"period_range", "matched_rows"} <= {entry["value"] for entry in found["disclosures"]}
    assert "grid: left out 'idle': the same value in every training row" in " ".join(run.stderr.split())
    kept = {file.name for file in (tmp_path / "kept").iterdir()}
    assert {"grid.log", "bank.log", "coordinator.log", "grid-data", "bank-data", "coordinator-data"} <= kept


def test_what_is_wrong_in_a_file_is_said_with_its_line(tmp_path: Path) -> None:
    grid, bank = make_tables("T", 60)
    bank["y"] = ["[late]" if row == 4 else label for row, label in enumerate(bank["y"])]
    run = in_process(tmp_path, (grid, bank))
    assert run.exit_code == 2 and not (tmp_path / "out.json").exists()
    said = " ".join(run.stderr.split())
    assert "bank.csv: line 6, column 'y': '[late]': the label is not 0 or 1. Write 1 for overdue" in said
    assert "--label-values yes=1,no=0" in said


def test_nothing_stays_when_it_is_interrupted(tmp_path: Path) -> None:
    """By Ctrl-C and by SIGTERM while it trains, both twice, as by an impatient user; and by Ctrl-C while it starts."""
    runs: list[tuple[Try, dict[str, int]]] = []
    for number, training in ((signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGINT, False)):
        folder = tmp_path / f"{len(runs)}"
        folder.mkdir()
        run = Try(folder, make_tables("T"), "--iterations", "1000")
        eventually(lambda run=run: "coordinator" in run.daemons())  # type: ignore[misc]
        if training:
            eventually(lambda run=run: run.has_logged("coordinator", "begins"))  # type: ignore[misc]
            time.sleep(0.3)
        pids = run.daemons()
        assert set(pids) >= ({"coordinator", "grid", "bank"} if training else {"coordinator"})
        assert not any(gone(pid) for pid in pids.values())
        run.process.send_signal(number)
        if training:  # a second one, once the first is heard
            eventually(lambda pids=pids: any(gone(pid) for pid in pids.values()))  # type: ignore[misc]
            run.process.send_signal(number)
        runs.append((run, pids))
    for run, pids in runs:
        _, erred = run.end(code=1)
        assert "Traceback" not in erred and "Aborted!" in erred
        eventually(lambda pids=pids: all(gone(pid) for pid in pids.values()), 5.0)  # type: ignore[misc]
    for command in Path("/proc").glob("[0-9]*/cmdline"):  # nor a daemon that was not ready yet
        with suppress(OSError):
            assert str(tmp_path).encode() not in command.read_bytes()
