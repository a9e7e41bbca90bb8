"""The harness of three daemons: its configuration files, its certificates, and signals at a bad moment."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tomllib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import to_toml
from common.errors import PeerLost
from common.trial import processes
from common.trial.processes import BANK, COORDINATOR, GRID, Trial, free_ports, make_certificates, undisturbed
from common.trust.authority import TrustStore
from tests.patience import patience

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
plain = st.one_of(st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False), text)
values = st.one_of(plain, st.lists(plain, max_size=3))
tables = st.recursive(
    st.dictionaries(text, values, max_size=4), lambda inner: st.dictionaries(text, st.one_of(values, inner), max_size=4)
)


@given(tables)
def test_toml_is_read_back_as_it_was(table: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(table)) == table


def test_toml_leaves_out_none_and_writes_paths() -> None:
    assert tomllib.loads(to_toml({"a": None, "b": Path("/x/y"), "c": {"d": None}})) == {"b": "/x/y", "c": {}}


def test_every_organisation_trusts_every_other(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    orgs = {identity.org for identity in (GRID, BANK, COORDINATOR)}
    for org in orgs:
        assert set(TrustStore(tmp_path / org / "trust").orgs) == orgs
        assert (tmp_path / org / "ca.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_held_back_and_heard_once(number: signal.Signals) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda got, _: heard.append(got))
    try:
        with undisturbed():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            assert heard == []
        assert heard == [number]
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("ignored", [False, True])
def test_sigterm_ends_who_was_started_to_ignore_ctrl_c_too(ignored: bool) -> None:
    """A script's shell starts what it ends with `&` so."""
    code = """
import signal, sys, time
from common.trial.processes import end_in_order
if sys.argv[1] == "True":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
end_in_order()
try:
    print("ready", flush=True)
    time.sleep(600.0)
except KeyboardInterrupt:
    print("in order")
"""
    with subprocess.Popen([sys.executable, "-c", code, str(ignored)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.terminate()
        try:
            assert process.communicate(timeout=patience(30))[0] == "in order\n"
        finally:
            process.kill()


def test_a_daemon_that_does_not_start_says_why_and_leaves_none(tmp_path: Path) -> None:
    table = {"path": tmp_path / "t.csv", "id": "id", "period": "id"}
    trial = Trial(tmp_path, {"grid": {"table": table}, "bank": {}})
    with pytest.raises(PeerLost, match=r"the grid did not start: .*id, period and label must be different"), trial:
        raise AssertionError("it started")
    assert set(trial.processes) == {"coordinator", "grid", "bank"}
    assert all(process.poll() is not None for process in trial.processes.values())
    assert "grid-party: " in trial.log("grid").read_text()


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, begins: str = "") -> None:
    """What runs in the place of each daemon: it says that it is ready, on port 1, and ends. begins: what it does before."""
    said = "ready.with_suffix('.new').write_text('{\"port\": 1}')\nready.with_suffix('.new').rename(ready)\n"
    script = f"import pathlib, sys\nready = pathlib.Path(sys.argv[-1])\n{begins}{said}"
    (folder / "daemon.py").write_text(script)
    monkeypatch.setattr(Trial, "command", lambda self, name: [sys.executable, str(folder / "daemon.py")])


def test_daemons_start_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one here ends as soon as the other two have begun; one after another they would wait for ever."""
    begins = (
        "import time\n"
        "begun = ready.with_suffix('.begun')\n"
        "begun.touch()\n"
        "while len(list(ready.parent.glob('*.begun'))) < 3:\n"
        "    time.sleep(0.01)\n"
    )
    stand_in(monkeypatch, tmp_path, begins)
    with Trial(tmp_path / "trial", {"grid": {}, "bank": {}}) as trial:
        assert trial.ports == dict.fromkeys(("coordinator", "grid", "bank"), 1)


def test_ports_that_are_free_are_distinct_and_not_taken() -> None:
    with ExitStack() as held:
        ports = free_ports(50, held)
    assert len(set(ports)) == 50
    for port in ports[:5]:
        with socket.socket() as one, ExitStack() as held:
            one.bind(("127.0.0.1", port))
            assert port not in free_ports(200, held)


def test_a_port_is_nobody_elses_until_its_owner_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whether or not a daemon listens on it: who is to be started on it, or once more, does not find it taken by chance."""
    monkeypatch.setattr(processes, "_PORTS", range(20_000, 20_200))
    stand_in(monkeypatch, tmp_path)
    with Trial(tmp_path / "trial", {"grid": {}, "bank": {}}) as trial:
        kept = [
            int(tomllib.loads((trial.folder / f"{name}.toml").read_text())["listen"].rpartition(":")[2]) for name in trial.names
        ]
        for _ in range(20):
            with ExitStack() as held:
                assert not set(kept) & set(free_ports(40, held))
    for port in kept:
        with socket.socket(type=socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", port))
