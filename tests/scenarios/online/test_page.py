"""The commands of deploy/ONLINE.md, typed as they stand but for ports, job and number, against the certificates they made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import command_lines
from tests.patience import patience
from tests.scenarios.end_to_end.lab import eventually, make_tables
from tests.scenarios.online.conftest import Office
from tests.source import ROOT

PAGE = ROOT / "deploy" / "ONLINE.md"


def test_the_commands_of_the_page_work(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    said, asked = list[str](), list[str]()
    grid, bank = make_tables("W", 50, seed=6)  # whatever rows and stock the tests before have left
    office.write("new", grid, bank.drop(columns="y"))
    office.deal(100, 3)
    for name in ("protos", "examples"):  # they are typed in the source's folder
        shutil.copytree(ROOT / name, office.folder / name)
    for line in command_lines(PAGE.read_text(encoding="utf-8")):
        if line.startswith("curl") and not said:
            files = {key: str(office.folder / "office" / name) for key, name in FILES.items()}
            office.restart("bank", online={**office.extra["bank"]["online"], **files})
            monkeypatch.setattr(office.pki, "folder", office.folder / "office")  # put back: other tests follow
            eventually(office.serving, 20.0)
        typed = line.replace(":7443", f":{office.port}").replace(":7446", f":{office.calls}")
        typed = typed.replace("JOB", office.model).replace("--times 8", "--times 2")
        done = subprocess.run(
            typed, shell=True, cwd=office.folder, capture_output=True, text=True, timeout=patience(60), check=False,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        said += [done.stdout] if line.startswith("curl") else []
        asked += [done.stdout] if "ask.py" in line else []
    health, one, two, document = map(json.loads, said)
    assert health["serving"] and len(one["results"]) == 1 and one["results"][0]["decision"]
    assert [result["id"] for result in two["results"]] == ["W00001", "W00002"] and "/v1/score" in document["paths"]
    assert [text.split(":")[0] for text in asked] == ["W00001"]


FILES = {"certificate": "online.pem", "key": "online.key", "trust": "ca.pem"}
