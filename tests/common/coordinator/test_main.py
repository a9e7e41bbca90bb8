"""`wattscore-coordinator serve`: what it refuses to start with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.coordinator import daemon
from common.coordinator.__main__ import main
from common.errors import ConfigError
from common.party import Identity
from common.trust.authority import issue, make_ca

GOOD = """
listen = "127.0.0.1:0"
data = "data"
grid = "wattscore://volt/grid-party"
bank = "wattscore://acme/bank-party"
clients = ["wattscore://acme/client"]
[tls]
certificate = "coordinator.pem"
key = "coordinator.key"
trust = "trust"
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD, "the coordinator wattscore://acme/coordinator belongs to the organisation of wattscore://acme/bank-party"),
        (GOOD.replace("clients", "client"), "unknown key 'client', did you mean 'clients'?"),
        (GOOD.replace('["wattscore://acme/client"]', "[]"), "clients"),
        (GOOD.replace("wattscore://volt/grid-party", "volt"), "'volt' is not an identity"),
    ],
)
def test_a_configuration_it_cannot_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str) -> None:
    monkeypatch.setattr(daemon, "set_logging", lambda *args: None)
    make_ca("acme", tmp_path)
    issue(tmp_path, Identity("acme", "coordinator"), tmp_path)
    (tmp_path / "trust").mkdir()
    file = tmp_path / "coordinator.toml"
    file.write_text(text)
    ended = CliRunner().invoke(main, ["serve", "--config", str(file)])
    assert ended.exit_code == 2
    assert ended.stderr.startswith("wattscore-coordinator: ") and says in ended.stderr


def test_a_start_that_fails_leaves_no_server_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what grpc says of it as the process ends comes after the cause."""
    stopped = list[str]()

    class Open:
        port = 7

        async def stop(self) -> None:
            stopped.append("the server")

    async def listen(*args: Any, **more: Any) -> Open:
        return Open()

    class Taken:
        async def start(self) -> None:
            raise ConfigError("cannot listen on 127.0.0.1:1")

    monkeypatch.setattr(daemon, "set_logging", lambda *args: None)
    monkeypatch.setattr(daemon, "listen", listen)
    monkeypatch.setattr("common.coordinator.console.make_console", lambda *args: Taken())
    make_ca("acme", tmp_path)
    issue(tmp_path, Identity("acme", "coordinator"), tmp_path)
    (tmp_path / "trust").mkdir()
    file = tmp_path / "coordinator.toml"
    file.write_text(GOOD.replace("acme/bank-party", "bank/bank-party") + '[console]\nlisten = "127.0.0.1:1"\n')
    ended = CliRunner().invoke(main, ["serve", "--config", str(file)])
    assert (ended.exit_code, ended.stderr) == (2, "wattscore-coordinator: cannot listen on 127.0.0.1:1\n")
    assert stopped == ["the server"]
