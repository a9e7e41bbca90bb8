"""What pages for users tell to type, typed as it stands by three organisations on one machine, in the order of the pages.

Names of jobs, addresses and an organisation's own name are put in; nothing else is changed.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from common.client.client import Client
from common.disk.data_folder import Name
from common.party import Identity
from common.plan.read import load_plan
from common.rows.ids import credit_code_check_digit
from common.trust.authority import issue, make_ca
from tests.pages import TYPED, blocks, command_lines, rows, typed_elsewhere
from tests.patience import patience
from tests.scenarios.end_to_end.lab import eventually, make_tables, monthly, until_training
from tests.source import ROOT
from tests.test_docs import COMMANDS

ORGS = {"bank": "acme-bank", "grid": "acme-grid", "neutral": "neutral"}
DAEMONS = {"wattscore-coordinator": "neutral", "grid-party": "grid", "bank-party": "bank"}
ROLES = {"grid": "grid-party", "neutral": "coordinator"}  # the bank's are on the page
MONTHS = ["2026-01", "2026-02", "2026-03"]
JOB = "train-20260101-0a1b2c3d"
ALARM = 3  # the exit code of `monitor` where there is one


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


class Land:
    """Three organisations' folders, and the daemons that run in them."""

    def __init__(self, home: Path) -> None:
        self.home, self.processes = home, list[subprocess.Popen[bytes]]()
        self.job = ""
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            self.ports = {"7000": one.getsockname()[1], "7001": two.getsockname()[1]}
        for org in ORGS:
            (home / org).mkdir(parents=True)

    def configure(self) -> None:
        """The configurations of the pages, each at its organisation, with addresses of this machine."""
        codes = [code for name in TYPED for _, code in blocks(page(name), "toml")]
        for name, code in ((code.splitlines()[0].removeprefix("# "), code) for code in codes):
            org = {"coordinator.toml": "neutral", "grid.toml": "grid", "records-grid.toml": "grid"}.get(name, "bank")
            for port, own in self.ports.items():
                code = re.sub(rf"(coordinator\.example|grid\.example|0\.0\.0\.0):{port}", f"127.0.0.1:{own}", code)
            if name == "bank.toml":  # the monthly page scores rows that have no label yet
                keys = tomllib.loads(code)["datasets"]["loans"].items()
                own_keys = [f"{key} = {json.dumps(value)}" for key, value in keys if not key.startswith("label")]
                code = "\n".join([code, "[datasets.loans-new]", *own_keys, ""])
            (self.home / org / name).write_text(code, encoding="utf-8")
        shutil.copy(ROOT / "deploy/samples/plan-banks.toml", self.home / "bank")  # a page that is not typed has it

    def run(self, line: str, org: str = "bank") -> str:
        """What a command prints, typed in that organisation's folder; fails with it."""
        name, *words = shlex.split(line.replace(JOB, self.job))
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.home / org)
            done = CliRunner().invoke(COMMANDS[name.removeprefix(".venv/bin/")], words)
        assert done.exit_code in ((0, ALARM) if "monitor" in words else (0,)), f"{line}\n{done.output}"
        return done.output

    def serve(self, line: str) -> None:
        name, *words = shlex.split(line)
        home = self.home / DAEMONS[name]
        with (home / "log.txt").open("wb") as log:
            command = [str(Path(sys.executable).with_name(name)), *words, "--ready-file", "ready"]
            self.processes.append(subprocess.Popen(command, cwd=home, stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        eventually(lambda: (home / "ready").exists() or self.processes[-1].poll() is not None, 120.0)
        assert self.processes[-1].poll() is None, (home / "log.txt").read_text()

    def client(self) -> Client:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.home / "bank")
            return Client.from_config(Path("client.toml"))

    def train(self, line: str) -> str:
        said = self.run(line)
        with self.client() as client:
            self.job = client.jobs()[-1].id
        return said

    def submit_a_long_one(self) -> str:
        """A job in the middle of its training, for somebody who comes to cancel it."""
        file = self.home / "bank" / "long.toml"
        file.write_text((self.home / "bank" / "plan.toml").read_text() + "model = { iterations = 1000 }\n")
        with self.client() as client:
            return until_training(client, load_plan(file))

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(patience(60))


@pytest.fixture
def land(tmp_path: Path) -> Iterator[Land]:
    land = Land(tmp_path / "land")
    yield land
    land.stop()


def write_records(home: Path) -> None:
    """Two years of a few hundred meters, as the page's configuration names their columns."""
    draw, ids = np.random.default_rng(5), [f"91530100MA{i:07d}" for i in range(300)]
    codes = [code + credit_code_check_digit(code) for code in ids]
    months = [f"{year}-{month:02d}" for year in (2024, 2025) for month in range(1, 13)]
    frame = pd.DataFrame([(code, month) for code in codes for month in months], columns=["credit_code", "month"])
    late = draw.random(len(frame)) < 0.1
    frame = frame.assign(mwh=draw.uniform(1, 9, len(frame)).round(3), late=np.where(late, "是", "否"))
    frame = frame.assign(owed=np.where(late, 500.0, 0.0), days=np.where(late, 12, 0))
    (home / "export").mkdir()
    frame.to_csv(home / "export" / "meters-2024.csv", index=False)


def write_tables(land: Land) -> None:
    """Both sides' monthly tables, each at its own."""
    grid, bank = (monthly(frame, MONTHS).rename(columns={"id": "enterprise_id"}) for frame in make_tables("R", 4500))
    grid.to_csv(land.home / "grid" / "grid.csv", index=False)
    bank.rename(columns={"y": "overdue_next_month"}).to_csv(land.home / "bank" / "bank.csv", index=False)


def write_both(folder: Path, by_month: bool) -> None:
    """Both tables in one place, as `try` reads them."""
    folder.mkdir(exist_ok=True)
    for name, frame in zip(("grid", "bank"), make_tables("T", 3600 if by_month else 1500), strict=True):
        table = monthly(frame, MONTHS) if by_month else frame
        table.rename(columns={"id": "enterprise_id", "y": "overdue"}).to_csv(folder / f"{name}.csv", index=False)


def exchange(land: Land) -> None:
    """The other two organisations do as the bank's page says, under their own names; everybody gets everybody's bundle."""
    for org, role in ROLES.items():
        land.run(f"wattscore certs init --org {ORGS[org]}", org)
        land.run(f"wattscore certs issue --role {role}", org)
        land.run("wattscore certs bundle", org)
    for org, name in ORGS.items():
        for other in ORGS.keys() - {org}:
            shutil.copy(land.home / org / "certs" / f"{name}.pem", land.home / other / f"{name}.pem")
            if other != "bank":
                land.run(f"wattscore certs trust {name}.pem --org {name}", other)


def type_line(land: Land, line: str) -> object:
    name, *words = shlex.split(line)
    if words[0] == "serve":
        return land.serve(line)
    if words[:2] == ["certs", "trust"] and not (land.home / "grid" / "certs").exists():
        exchange(land)
    if words[:2] == ["certs", "revoke"]:
        shutil.copy(land.home / "grid" / "certs" / "grid-party.pem", land.home / "bank" / words[2])
    if words[0] == "cancel":
        line = line.replace(JOB, land.submit_a_long_one())
    if words[0] in ("check", "try"):
        write_both(land.home / "alone", "--period" in words)
    if words[:2] == ["audit", "verify"] and "--heads" in words:  # handed over by the bank
        shutil.copy(land.home / "bank" / words[words.index("--heads") + 1], land.home / "grid")
    if words[:2] == ["audit", "open"]:
        shutil.copy(auditor(land.home / "auditor") / "auditor.pem", land.home / name.partition("-")[0])
    if name == "wattscore" and words[0] == "audit":  # what both parties have handed over
        for sealed in words[1:3]:
            shutil.copy(land.home / sealed.partition(".")[0] / sealed, land.home / "auditor")
    if words[0] == "promote":  # so that there is a champion to roll back to
        land.run(f"wattscore promote {JOB}")
        land.train("wattscore train plan.toml --watch")
    org = {"grid-party": "grid", "features": "grid", "try": "alone", "check": "alone"}
    if name == "wattscore":
        org["audit"] = "auditor"
    return land.train(line) if words[0] == "train" else land.run(line, org.get(words[0], org.get(name, "bank")))


def auditor(folder: Path) -> Path:
    """The folder, with a certificate of somebody who is no party."""
    if not folder.exists():
        make_ca("judge", folder)
        issue(folder, Identity("judge", "auditor"), folder)
    return folder


def test_the_pages_as_they_stand(land: Land) -> None:
    write_records(land.home / "grid")
    land.configure()
    write_tables(land)
    lines = [line for name in TYPED for line in command_lines(page(name)) if not typed_elsewhere(line)]
    audit = [line for line in lines if " audit open " in line or line.startswith("wattscore audit ")]  # of a job that ran
    revoke = [line for line in lines if " revoke " in line]
    for line in dict.fromkeys([*(line for line in lines if line not in (*audit, *revoke)), *audit, *revoke]):
        type_line(land, line)
    what_is_on_disk(land)


def what_is_on_disk(land: Land) -> None:
    """Files of data folders and of a model's folder are those of the page, and nobody else may read them."""
    for org in ORGS:
        names = {file.name for file in (land.home / org / "data").iterdir()}
        # a book that is written ahead has two files beside it while it is open
        assert {re.sub(r"(?<=\.sqlite)-(wal|shm)$", "", name) for name in names} <= set(Name), org
    told = {row[0].strip("`") for row in rows(page("deploy/DATA.md").split("## A model's folder")[1])}
    kept_there = [land.home / org / "data" / "models" / land.job for org in ("bank", "grid")]
    at_bank, at_grid = ({file.name for file in there.iterdir()} for there in kept_there)
    assert at_grid < at_bank <= told
    assert told & {"model.json", "decision.json", "heldout.parquet", "reference.json", "record.json"} <= at_bank
    private = [file for org in ORGS for file in (land.home / org / "data").rglob("*")]
    assert [file for file in private if file.stat().st_mode & 0o077] == []
