"""A party's folder is backed up while its daemon works, lost, restored and gone on from, by the commands of the page."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.client.client import Client
from common.disk.data_folder import Name
from common.home.registry import Registry
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from common.trial.processes import CLIENT
from tests.extent import cases
from tests.pages import command_lines
from tests.scenarios.end_to_end.lab import (
    Lab,
    command,
    dataset_files,
    fail,
    finish,
    make_plan,
    make_tables,
    own,
    succeed,
    until_training,
)
from tests.source import ROOT


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path, dataset_files(tmp_path, ("rows",))) as lab:
        for party in ("grid", "bank"):
            own(lab, party, "allow", str(CLIENT), "--jobs", "1000", "--rows", "1000000", "--models", "1000")
        lab.write("rows", *make_tables("R"))
        yield lab


@pytest.fixture
def client(lab: Lab) -> Iterator[Client]:
    with lab.client() as client:
        yield client


class Typed:
    """The page's commands, typed in their order, with this machine's files; at the grid with both parties' names turned."""

    def __init__(self, lab: Lab, party: str, kept: Path) -> None:
        self._lab, self._left = lab, list(command_lines((ROOT / "deploy" / "RESTORE.md").read_text(encoding="utf-8")))
        self._turn = {"bank": party, "grid": "grid" if party == "bank" else "bank"}
        self._kept = kept

    def next(self, verb: str) -> str:
        """What the next command prints, which must be this one and end well."""
        name, *words = shlex.split(self._left.pop(0).replace("/backup/2026-01-31", str(self._kept)))
        party = self._turn[name.removesuffix("-party")]
        place = words.index("--config")
        done = command(self._lab, party, *words[:place], *words[place + 2 :])
        assert verb in words and done.exit_code == 0, done.stderr
        return done.stdout

    def over(self) -> bool:
        return not self._left


def score(model: str) -> ScorePlan:
    return ScorePlan.model_validate({"grid": {"dataset": "rows"}, "bank": {"dataset": "rows"}, "model": model})


@pytest.mark.parametrize("party", cases(["grid"], ["bank"], "the grid, by the same commands"))
def test_a_lost_folder_is_restored_and_work_goes_on(lab: Lab, client: Client, party: str, tmp_path: Path) -> None:
    other = "bank" if party == "grid" else "grid"
    first = succeed(client, make_plan("rows")).id
    succeed(client, PromotePlan(model=first))
    meanwhile = until_training(client, make_plan("rows", split={"seed": 2}, model={"iterations": 150}))
    typed = Typed(lab, party, kept := tmp_path / "kept")
    typed.next("backup")
    assert finish(client, meanwhile).state == "succeeded"
    after = succeed(client, make_plan("rows", split={"seed": 3})).id

    running = command(lab, party, "restore", kept, "--note", "too early")
    assert running.exit_code == 2 and "is in use by process" in running.stderr
    lab.processes[party].kill()  # what was written last stands in logs beside two of the books
    lab.processes[party].wait()
    shutil.copytree(lab.data(party), torn := tmp_path / "torn")
    refused = command(lab, party, "restore", torn, "--note", "a copy by hand")
    assert refused.exit_code == 2 and "does not belong into the back-up" in refused.stderr

    said = typed.next("restore")
    assert f"until `{other}-party audit accept`" in said
    names = {path.name for path in lab.data(party).iterdir()}
    assert not [name for name in names if name.endswith(("-wal", "-shm"))] and Name.STOCK not in names
    (aside,) = re.findall(r"is in (\S+)", said)
    assert (Path(aside) / Name.MODELS / after).exists()
    shutil.rmtree(aside)  # from here on there is the back-up alone

    typed.next("verify")
    lab.heal()
    _, kind, message = fail(client, score("champion"))
    assert (kind, "audit log" in message) == ("PolicyError", True)
    assert after in typed.next("jobs")
    assert "what stands now counts" in typed.next("accept") and typed.over()
    for model in ("champion", first):
        succeed(client, score(model))
    assert Registry(lab.data(party) / Name.REGISTRY).champion == first
    with pytest.raises(AssertionError, match="no model of job"):
        succeed(client, score(after))  # it was trained after the back-up was taken
    succeed(client, make_plan("rows", split={"seed": 4}))
    entries = command(lab, party, "audit", "show").stdout
    assert '"restore"' in entries and "disk lost on 31 January" in entries
