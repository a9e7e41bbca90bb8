"""Jobs through daemons that run already, and asking them for their health, as containers do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from common.client.client import Client
from common.errors import ConfigError, DataError, PeerLost
from common.party import Identity
from common.process.probe import main, read_daemon
from common.process.settings import ClientSettings
from common.trial.processes import CLIENT, COORDINATOR
from common.trial.remote import await_coordinator, check_folder, run_through
from tests.patience import patience
from tests.scenarios.end_to_end.lab import Lab, make_plan, make_tables

CLOSED = "127.0.0.1:1"


def health(config: Path, *words: str) -> tuple[int, str]:
    ended = CliRunner().invoke(main, ["--config", str(config), *words])
    return ended.exit_code, ended.output


def moved(lab: Lab, name: str, address: str, folder: Path) -> Path:
    """A daemon's configuration as if it listened at that address."""
    config = folder / f"{name}.toml"
    text, found = re.subn(r'listen = ".*"', f'listen = "{address}"', (lab.folder / f"{name}.toml").read_text())
    assert found == 1
    config.write_text(text)
    return config


def test_a_job_through_running_daemons(lab: Lab, client: Client) -> None:
    lab.write("scratch", *make_tables("Rm"))
    await_coordinator(client)
    job = run_through(client, make_plan("scratch"), Console(quiet=True))
    assert job.state == "succeeded" and client.show(job.id) == job
    lab.table("bank", "scratch").write_text("id,b0\nX,1\n")
    with pytest.raises(DataError):
        run_through(client, make_plan("scratch"), Console(quiet=True))


def test_patience_with_a_coordinator_that_is_not_there_ends(lab: Lab) -> None:
    remote = {"identity": str(COORDINATOR), "address": CLOSED}
    settings = ClientSettings.model_validate({"tls": lab.tls(CLIENT), "coordinator": remote})
    with Client(settings) as client, pytest.raises(PeerLost):
        await_coordinator(client, patience=0.0)


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_folder(tmp_path / "new" / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        check_folder(tmp_path / "file" / "out")
    monkeypatch.setattr(os, "access", lambda *_: False)  # for root every folder can be written
    with pytest.raises(ConfigError, match="cannot be written by this user"):
        check_folder(tmp_path)


@pytest.mark.parametrize("name", ["coordinator", "grid", "bank"])
def test_a_daemon_is_healthy_by_its_own_certificate(lab: Lab, tmp_path: Path, name: str) -> None:
    code, said = health(moved(lab, name, f"0.0.0.0:{lab.ports[name]}", tmp_path), "--timeout", str(patience(4)))
    assert (code, said.split(" ", 1)[1]) == (0, f"serves at 127.0.0.1:{lab.ports[name]}\n")


def test_a_daemon_that_is_not_there_is_not_healthy(lab: Lab, tmp_path: Path) -> None:
    code, said = health(moved(lab, "grid", CLOSED, tmp_path), "--timeout", str(patience(2)))
    assert code == 1 and "no connection to wattscore://try-grid/grid-party" in said


def test_another_process_at_the_address_is_not_this_ones_health(lab: Lab, tmp_path: Path) -> None:
    code, said = health(moved(lab, "bank", lab.address("grid"), tmp_path), "--timeout", str(patience(2)))
    assert code == 1 and str(Identity("try-bank", "bank-party")) in said


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "no 'listen' to ask"), ('listen = "0.0.0.0:7001"', "missing key 'tls'"), ("x = ", "not valid TOML")],
)
def test_a_configuration_that_cannot_be_asked(tmp_path: Path, text: str, says: str) -> None:
    config = tmp_path / "bank.toml"
    config.write_text(text)
    code, said = health(config)
    assert code == 2 and says in said
    with pytest.raises(ConfigError):
        read_daemon(config)


def test_asking_loads_no_tables_and_no_arithmetic() -> None:
    """A container engine asks every few seconds."""
    asked = "import sys, common.process.probe; print([m for m in ('numpy', 'pandas', 'pyarrow') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"
