"""`grid-party monitor` and `models`, without any daemon: output, exit codes, the page, what is remembered."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from common.daemon import commands
from common.home.jobbook import JobBook, Offered
from common.home.registry import Registry
from common.monitor.book import Book, Reading
from common.plan.promote import PromotePlan
from grid_party.__main__ import main

PARTY = """
data = "var"
listen = "127.0.0.1:0"
[tls]
certificate = "p.pem"
key = "p.key"
trust = "trust"
[coordinator]
identity = "wattscore://neutral/coordinator"
address = "neutral.example:7000"
[peer]
identity = "wattscore://acme/bank"
"""
PLAN = 'grid = { dataset = "m" }\nbank = { dataset = "l" }\n'
CALM = Reading("job-1", "2024-01", "kwh", 0.05, 0.1, 0.0, 0.0, 900, 5000)
DRIFTED = Reading("job-1", "2024-02", "kwh", 0.5, 0.1, 0.0, 0.0, 900, 5000)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "grid.toml").write_text(PARTY)
    (tmp_path / "plan.toml").write_text(PLAN)
    return tmp_path / "grid.toml"


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_without_an_alarm_the_exit_code_is_0_and_with_one_3(config: Path) -> None:
    book = Book(config.parent / "var" / "monitor.sqlite")
    assert run("monitor", "--config", config).exit_code == 0
    book.enter("score-1", [CALM])
    done = run("monitor", "--config", config)
    assert (done.exit_code, "no alarm" in done.output) == (0, True)
    book.enter("score-2", [DRIFTED])
    done = run("monitor", "--config", config)
    assert done.exit_code == 3 and "kwh" in done.output and "2024-02" in done.output
    (alarm,) = json.loads(run("monitor", "--config", config, "--json").stdout)["alarms"]
    assert alarm == {"what": "psi", "model": "job-1", "month": "2024-02", "feature": "kwh", "value": 0.5, "limit": 0.2}


def test_thresholds_are_those_of_the_configuration(config: Path) -> None:
    Book(config.parent / "var" / "monitor.sqlite").enter("score-1", [DRIFTED])
    config.write_text(PARTY + "[monitor]\npsi = 0.6\n")
    assert run("monitor", "--config", config).exit_code == 0
    config.write_text(PARTY + "[monitor]\npsy = 0.6\n")
    done = run("monitor", "--config", config)
    assert done.exit_code == 2 and "did you mean 'psi'" in done.output


class FakeClient:
    """Counts what is submitted."""

    def __init__(self) -> None:
        self.submitted: list[Any] = []
        self.made: dict[str, str] = {}

    def submit(self, plan: Any, submission: str) -> SimpleNamespace:
        if submission not in self.made:
            self.submitted.append(plan)
            self.made[submission] = f"train-{len(self.submitted)}"
        return SimpleNamespace(id=self.made[submission])

    @contextmanager
    def from_config(self, path: Path) -> Iterator[FakeClient]:
        yield self


def test_a_retraining_is_submitted_once_for_each_new_alarm(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "Client", client := FakeClient())
    book = Book(config.parent / "var" / "monitor.sqlite")
    words = ("monitor", "--config", config, "--retrain", config.parent / "plan.toml", "--client", "client.toml")
    book.enter("score-1", [CALM])
    assert run(*words).exit_code == 0 and not client.submitted
    book.enter("score-2", [DRIFTED])
    assert "retraining: train-1" in run(*words).output
    assert "retraining" not in run(*words).output
    book.enter("score-3", [Reading("job-1", "2024-03", "kwh", 0.5, 0.1, 0.0, 0.0, 900, 5000)])
    assert "retraining: train-2" in run(*words).output
    assert [plan.kind for plan in client.submitted] == ["train", "train"]


def test_a_call_that_was_killed_once_it_had_submitted_makes_no_second_retraining(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "Client", client := FakeClient())
    book = Book(config.parent / "var" / "monitor.sqlite")
    words = ("monitor", "--config", config, "--retrain", config.parent / "plan.toml", "--client", "client.toml")
    book.enter("score-2", [DRIFTED])
    with monkeypatch.context() as killed:
        killed.setattr(Book, "answer", lambda *_: 1 / 0)
        assert isinstance(run(*words).exception, ZeroDivisionError)
    book.enter("score-3", [Reading("job-1", "2024-03", "kwh", 0.5, 0.1, 0.0, 0.0, 900, 5000)])
    assert "retraining: train-1" in run(*words).output and len(client.submitted) == 1
    book.enter("score-4", [Reading("job-1", "2024-04", "kwh", 0.5, 0.1, 0.0, 0.0, 900, 5000)])
    assert "retraining: train-2" in run(*words).output


def test_a_page_is_written_in_the_language_asked_for(config: Path) -> None:
    page = config.parent / "monitor.html"
    page.write_text("of before")
    page.chmod(0o644)
    assert run("monitor", "--config", config, "--out", page, "--lang", "zh").exit_code == 0
    assert "模型监控" in page.read_text(encoding="utf-8") and page.stat().st_mode & 0o777 == 0o600


def test_models_lists_versions_stages_and_moves(config: Path) -> None:
    registry = Registry(config.parent / "var" / "registry.sqlite", lambda: 1e9)
    for job in ("job-1", "job-2"):
        registry.enter(job, "ab" * 32, "cd" * 32, "ef" * 32)
    registry.prepare("promote-1", PromotePlan(model="job-2"), "job-2", anew=False)
    registry.commit()
    listed = json.loads(run("models", "--config", config, "--json").stdout)
    assert [(m["number"], m["job"], m["stage"]) for m in listed["models"]] == [
        (1, "job-1", "candidate"),
        (2, "job-2", "champion"),
    ]
    assert [(m["job"], m["champion"], m["note"]) for m in listed["moves"]] == [("promote-1", "job-2", None)]
    shown = run("models", "--config", config).output
    assert "champion" in shown and "promote: job-2" in shown
    asked = Offered("promote-1", "promote", "approved by the committee", "wattscore://acme/client")
    JobBook(config.parent / "var" / "jobs.sqlite").enter(asked)
    (move,) = json.loads(run("models", "--config", config, "--json").stdout)["moves"]
    assert (move["client"], move["note"]) == ("wattscore://acme/client", "approved by the committee")
    assert "by wattscore://acme/client: approved by the committee" in run("models", "--config", config).output


HOOK = """
import json, pathlib, sys
seen = pathlib.Path(sys.argv[1])
seen.write_text(seen.read_text() + sys.stdin.read() + "\\n" if seen.exists() else sys.stdin.read() + "\\n")
if len(sys.argv) > 2:
    sys.exit("the mail server is away")
"""


def test_a_command_is_told_of_each_alarm_once_and_again_where_it_failed(config: Path, tmp_path: Path) -> None:
    book, seen, script = Book(config.parent / "var" / "monitor.sqlite"), tmp_path / "seen", tmp_path / "hook.py"
    script.write_text(HOOK)
    words = ("monitor", "--config", config, "--on-alarm")
    good = f"{sys.executable} {script} {seen}"
    assert run(*words, good).exit_code == 0 and not seen.exists()  # nothing to tell
    book.enter("score-1", [DRIFTED])
    failed = run(*words, f"{good} away")
    assert failed.exit_code == 2 and "ended with code 1: the mail server is away" in failed.output
    for times, told in ((2, "1 new alarm told"), (2, ""), (2, "")):
        done = run(*words, good)
        assert done.exit_code == 3 and told in done.output and ("told" in done.output) == bool(told)
        assert len(seen.read_text().splitlines()) == times
    book.enter("score-2", [replace(DRIFTED, month="2024-03")])
    assert json.loads(run(*words, good, "--json").stdout)["told"] == 1
    heard = json.loads(seen.read_text().splitlines()[-1])
    assert heard["party"] == "grid" and [a["month"] for a in heard["alarms"]] == ["2024-03"]
    assert heard["alarms"][0]["feature"] == "kwh" and heard["alarms"][0]["limit"] == 0.2


@pytest.mark.parametrize("command", ["", "/no/such/program", "'unclosed"])
def test_a_command_that_cannot_be_run_says_so(command: str, config: Path) -> None:
    Book(config.parent / "var" / "monitor.sqlite").enter("score-1", [DRIFTED])
    done = run("monitor", "--config", config, "--on-alarm", command)
    assert done.exit_code == 2 and "cannot be run" in done.output


def test_a_report_of_the_champion_needs_one(config: Path) -> None:
    done = run("report", "champion", "--config", config, "--out", config.parent / "pages" / "report.html")
    assert done.exit_code == 2 and "there is no champion here" in done.output and not (config.parent / "pages").exists()
