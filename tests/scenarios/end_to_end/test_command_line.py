"""`wattscore` as a user's shell runs it, against the running daemons."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.cli import main
from common.client.client import Client
from common.config import to_toml
from tests.patience import patience
from tests.scenarios.end_to_end.lab import LONG, Lab, make_tables, works
from tests.source import ROOT

PLAN = 'name = "[/first]"\n[grid]\ndataset = "scratch"\n[bank]\ndataset = "scratch"\n[preparation]\ncoding = "linear"\n'


class Shell:
    """Runs `wattscore` with the lab's client configuration: as processes, of which several may run at once, or in this one."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        lab.client().close()  # writes client.toml
        self.config, self.folder = lab.folder / "client.toml", folder

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "common.cli", *words, "--json", "--config", str(self.config)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, process: subprocess.Popen[str]) -> Any:
        said, erred = process.communicate(timeout=patience(60))
        assert process.returncode == 0 and all(line.startswith(("submitted as ", "follow it")) for line in erred.splitlines())
        return json.loads(said)

    def here(self, *words: str, code: int = 0) -> tuple[str, str]:
        """What it prints to standard output and error."""
        found = CliRunner().invoke(main, [*words, "--config", str(self.config)])
        assert found.exit_code == code, found.output
        return " ".join(found.stdout.split()), found.stderr

    def plan(self, text: str) -> str:
        file = self.folder / "plan.toml"
        file.write_text(text)
        return str(file)


@pytest.fixture
def shell(lab: Lab, tmp_path: Path) -> Shell:
    return Shell(lab, tmp_path)


def test_from_training_to_scores(lab: Lab, shell: Shell) -> None:
    lab.write("scratch", *make_tables("Sh"))
    job = shell.end(shell.start("train", shell.plan(PLAN), "--watch"))
    assert (job["state"], job["kind"], job["name"]) == ("succeeded", "train", "[/first]")
    assert job["bank"]["report"]["evaluation"]["joint"]["auc"] > job["bank"]["report"]["evaluation"]["bank_only"]["auc"]
    assert json.loads(job["plan"])["model"]["link"] == "fourier"
    sides = ("--grid-dataset", "scratch", "--bank-dataset", "scratch")
    running = [
        shell.start(*words) for words in (("score", "--model", job["id"], *sides, "--watch"), ("show", job["id"]), ("jobs",))
    ]
    scored, shown, listed = (shell.end(process) for process in running)
    assert (scored["state"], scored["kind"]) == ("succeeded", "score")
    assert (lab.data("bank") / "scores" / f"{scored['id']}.csv").exists()
    assert shown == job
    assert {entry["id"]: entry["state"] for entry in listed}[job["id"]] == "succeeded"
    text, _ = shell.here("show", job["id"])
    assert f"{job['id']} [/first] succeeded" in text
    assert "AUC gained: +" in text and "joint" in text and "bank alone" in text and "opened" in text
    text, _ = shell.here("jobs")
    assert f"{job['id']} succeeded" in text and "[/first]" in text and scored["id"] in text
    text, _ = shell.here("logs", job["id"])
    assert "client submitted by wattscore://try-bank/client" in text and "grid accepted" in text and "bank stage train" in text
    text, erred = shell.here("score", "--model", job["id"], *sides, "--watch")
    assert "rows of the bank asked for" in text and f"{scored['kind']}-" in erred and " of 5, " in erred


def test_a_job_is_cancelled_from_elsewhere(lab: Lab, shell: Shell, client: Client) -> None:
    lab.write("scratch", *make_tables("Sh"))
    job = shell.end(shell.start("train", shell.plan(PLAN + to_toml({"model": LONG}))))
    assert job["state"] in ("queued", "offered", "running")
    text, _ = shell.here("cancel", job["id"])  # by another process than the one that has submitted it
    assert f"{job['id']} [/first] cancelled" in text
    said, erred = shell.here("cancel", job["id"], code=2)
    assert not said and erred == f"wattscore: coordinator: job {job['id']} is cancelled: it cannot be cancelled\n"
    works(lab, client)


def test_ctrl_c_ends_the_watching_and_not_the_job(lab: Lab, shell: Shell, client: Client) -> None:
    lab.write("scratch", *make_tables("Sh"))
    plan = shell.plan(PLAN + to_toml({"model": LONG}))
    command = [sys.executable, "-m", "common.cli", "train", plan, "--watch", "--config", str(shell.config)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        job = watching.stderr.readline().removeprefix("submitted as ").strip()
        assert any("5 of 7, train" in line for line in watching.stderr)  # a line each: this is no terminal
        watching.send_signal(signal.SIGINT)
        said = watching.stderr.read()
    assert watching.returncode == 130 and "Traceback" not in said
    assert f"{job} goes on. `wattscore watch {job}` follows it, `wattscore cancel {job}` ends it." in said
    assert client.show(job).state == "running"
    text, _ = shell.here("cancel", job)
    assert f"{job} [/first] cancelled" in text
    _, erred = shell.here("watch", job, code=1)
    assert "Traceback" not in erred
    works(lab, client)


def test_a_job_that_fails_says_why_and_returns_1(lab: Lab, shell: Shell) -> None:
    grid, bank = make_tables("Sh", 60)
    lab.write("scratch", grid, bank.assign(y="[red]maybe"))
    said, erred = shell.here("train", shell.plan(PLAN), "--watch", code=1)
    assert "[/first] failed bank: dataset scratch: column 'y': the label is not 0 or 1 (60 rows)." in said
    assert "maybe" not in said + erred


def test_what_does_not_exist(lab: Lab, shell: Shell) -> None:
    for command in ("show", "cancel"):
        _, erred = shell.here(command, "train-0", code=2)
        assert erred == "wattscore: coordinator: no job 'train-0'. `wattscore jobs` lists them.\n"
    shell.config = shell.folder / "nowhere.toml"
    text = (lab.folder / "client.toml").read_text()
    shell.config.write_text(text.replace(lab.address("coordinator"), "127.0.0.1:1"))
    _, erred = shell.here("jobs", code=2)
    assert erred.startswith("wattscore: no connection to wattscore://try-neutral/coordinator")
