"""From the command line to the file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from bank_party.__main__ import main as bank_party
from bank_party.report import page as bank
from common.config import to_toml
from common.errors import ConfigError, DataError, JobNotFound
from common.party import Party
from common.report.write import write_report
from grid_party import report as grid
from grid_party.__main__ import main as grid_party
from tests.common.report.conftest import JOB, Job

COMMANDS = {Party.GRID: grid_party, Party.BANK: bank_party}


def config(folder: Path, party: Party, data: Path) -> Path:
    tls = {"certificate": "own.pem", "key": "own.key", "trust": "trust"}
    grid_too = {"identity": "wattscore://acme-grid/grid-party", "address": "grid.example:7001"}
    own = {"peer": grid_too} if party is Party.BANK else {"peer": {"identity": "wattscore://b/b"}, "listen": "127.0.0.1:0"}
    coordinator = {"identity": "wattscore://neutral/coordinator", "address": "coordinator.example:7000"}
    file = folder / f"{party.value}.toml"
    file.write_text(to_toml({"data": data, "tls": tls, "coordinator": coordinator, **own}))
    return file


@pytest.mark.parametrize("party", Party)
def test_the_command_writes_a_private_file(job: Job, party: Party, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("an earlier one, readable by all")
    out.chmod(0o644)
    arguments = ["report", JOB, "--config", str(config(tmp_path, party, job.data(party))), "--out", str(out), "--lang", "zh"]
    result = CliRunner().invoke(COMMANDS[party], arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert out.stat().st_mode & 0o777 == 0o600
    assert out.read_text(encoding="utf-8").startswith('<!doctype html>\n<html lang="zh-CN">')
    assert [file.name for file in tmp_path.iterdir() if ".part" in file.name] == []


def test_an_unknown_job_and_a_folder_that_is_not_there_are_told(job: Job, tmp_path: Path) -> None:
    with pytest.raises(JobNotFound):
        bank.make_report(job.data(Party.BANK), "train-2", "both")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(grid.make_report(job.data(Party.GRID), JOB, "both"), tmp_path / "no" / "report.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["record.json", "decision.json", "features.json", "model.json"])
def test_a_damaged_file_is_named(job: Job, tmp_path: Path, name: str) -> None:
    shutil.copytree(job.data(Party.BANK) / "models", tmp_path / "models")
    (tmp_path / "models" / JOB / name).write_text(json.dumps({"columns": [{"name": "x"}]}))
    with pytest.raises(DataError, match="damaged"):
        bank.make_report(tmp_path, JOB, "both")


def test_a_model_of_an_earlier_version_is_told_to_be_trained_again(job: Job, tmp_path: Path) -> None:
    shutil.copytree(job.data(Party.GRID) / "models", tmp_path / "models")
    (tmp_path / "models" / JOB / "record.json").unlink()
    with pytest.raises(JobNotFound, match="Train it again"):
        grid.make_report(tmp_path, JOB, "both")
