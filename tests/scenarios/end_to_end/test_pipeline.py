"""A pipeline through the three daemons: killed while it trains, shadows and switches, it ends with one new champion."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import bank_party.__main__
from bank_party.pipeline.book import RunBook, Step
from common.client.client import Client
from common.config import to_toml
from common.daemon import approving
from common.disk.data_folder import Name
from common.home.registry import Registry
from common.plan.promote import PromotePlan
from tests.patience import patience
from tests.scenarios.end_to_end.lab import Lab, eventually, make_plan, make_tables, succeed


class Pipeline:
    """Its files, and its command as processes of its own."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.config, self.file = lab.folder / "bank-of-two.toml", folder / "pipeline.toml"
        settings = tomllib.loads((lab.folder / "bank.toml").read_text(encoding="utf-8"))
        settings["policy"]["approvals"] = 2
        self.config.write_text(to_toml(settings), encoding="utf-8")
        plan = make_plan("after", split={"seed": 7}).model_dump(mode="json", exclude_none=True)
        (folder / "plan.toml").write_text(to_toml(plan), encoding="utf-8")
        shadow = {"grid_dataset": "after", "bank_dataset": "after", "most_psi": 9.0, "most_otherwise": 1.0}
        raw: dict[str, Any] = {
            "name": "spring",
            "client": str(lab.folder / "client.toml"),
            "plan": "plan.toml",
            "shadow": shadow,
        }
        self.file.write_text(to_toml(raw), encoding="utf-8")
        self._book = RunBook(lab.data("bank") / Name.PIPELINE)
        self.folder = folder

    @property
    def words(self) -> list[str]:
        return ["pipeline", str(self.file), "--config", str(self.config)]

    def run(self, *more: str, code: int = 0) -> Any:
        done = CliRunner().invoke(bank_party.__main__.main, [*self.words, "--json", *more])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    @contextmanager
    def process(self, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "bank_party", *self.words, *more]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                yield process
            finally:
                process.kill()

    def killed(self, step: Step, *more: str) -> None:
        """The command, killed once this step has begun, wherever it is by then."""
        with self.process(*more) as process:
            begun: Callable[[], bool] = lambda: step in self.steps() or process.poll() is not None  # noqa: E731
            eventually(begun, 60.0)
            process.send_signal(signal.SIGKILL)
            process.wait(patience(15))

    def steps(self) -> set[Step]:
        run = self._book.newest("spring")
        return set() if run is None else set(self._book.steps(run.run))


@pytest.fixture
def pipeline(lab: Lab, client: Client, tmp_path: Path) -> Pipeline:
    lab.write("after", *make_tables("P", 2000))
    job = succeed(client, make_plan("after")).id
    succeed(client, PromotePlan(model=job))
    return Pipeline(lab, tmp_path)


def test_a_pipeline_that_is_killed_at_three_steps_ends_with_the_new_champion_and_no_job_twice(
    lab: Lab, client: Client, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pipeline.run()["run"] is None  # neither time nor drift
    pipeline.killed(Step.TRAIN, "--begin")
    waits = pipeline.run()
    run = waits["run"]["run"]
    assert "0 of 2 have approved" in waits["rests"] and (pipeline.folder / "pages" / "pipeline" / f"{run}.html").exists()
    for person in ("li", "wang"):
        monkeypatch.setattr(approving, "person", lambda person=person: person)
        words = ["approve", run, "--yes", "--config", str(pipeline.config)]
        said = CliRunner().invoke(bank_party.__main__.main, words)
        assert said.exit_code == 0 and "the champion" in said.output, said.output
    pipeline.killed(Step.SHADOW)
    pipeline.killed(Step.SWITCH)
    ended = pipeline.run()
    if ended["run"] is None:  # the process that was to be killed was through before
        ended = pipeline.run("--show")
    assert ended["run"]["state"] == "done", ended
    facts = {step["step"]: step["facts"] for step in ended["steps"]}
    assert facts["people"] == {"people": ["li", "wang"]} and facts["shadow"]["rows"] == 2000
    model = facts["train"]["model"]
    for side in ("grid", "bank"):
        assert Registry(lab.data(side) / Name.REGISTRY).champion == model
    names = Counter(job.name for job in client.jobs() if job.name.startswith(run))
    assert names == Counter({f"{run} {part}": 1 for part in ("train", "challenger", "champion", "switch")})
