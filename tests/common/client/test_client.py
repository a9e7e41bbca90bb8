"""What the Python client makes of settings and of jobs; its calls are tested with real daemons in end_to_end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.client.client import Client, as_dict, failure
from common.errors import ConfigError, JobCancelled, PeerFailed, PolicyError
from common.process.settings import ClientSettings
from common.wire import coordinator_pb2 as wire
from common.wire.peer_pb2 import Fault

CONFIG = """
[tls]
certificate = "x.pem"
key = "x.key"
trust = "trust"
[coordinator]
identity = "wattscore://neutral/coordinator"
"""


def test_settings_it_cannot_use(tmp_path: Path) -> None:
    file = tmp_path / "client.toml"
    file.write_text(CONFIG)
    with pytest.raises(ConfigError, match=r"missing key 'coordinator.address'"):
        Client.from_config(file)
    file.write_text(CONFIG + 'address = "127.0.0.1:1"\n')
    with pytest.raises(ConfigError, match=r"x.pem: cannot be read"):
        Client.from_config(file)
    with pytest.raises(ConfigError, match=r"none.toml: cannot be read"):
        Client.from_config(tmp_path / "none.toml")


@pytest.mark.parametrize("state", ["queued", "offered", "running", "succeeded"])
def test_a_job_that_has_not_failed(state: str) -> None:
    assert failure(wire.Job(state=state)) is None


def test_a_failure_is_the_error_it_was_where_it_happened() -> None:
    fault = Fault(kind="PolicyError", message="not with us", remedy="Ask.", origin="grid")
    error = failure(wire.Job(state="failed", fault=fault))
    assert isinstance(error, PolicyError) and (str(error), error.origin) == ("not with us. Ask.", "grid")
    assert isinstance(failure(wire.Job(state="cancelled", fault=Fault(kind="JobCancelled"))), JobCancelled)
    assert isinstance(failure(wire.Job(state="failed", fault=Fault(kind="InternalError"))), PeerFailed)


def test_a_job_as_data_has_every_field() -> None:
    job = wire.Job(id="train-1", state="succeeded", submitted=1.5)
    job.bank.report.counts.matched_rows = 7
    data = as_dict(job)
    assert data == json.loads(json.dumps(data))
    assert (data["id"], data["name"], data["ended"], data["submitted"]) == ("train-1", "", 0.0, 1.5)
    assert data["bank"]["report"]["counts"]["matched_rows"] == 7
    job.dealer.banks.add(sent=1 << 60)
    assert as_dict(job)["dealer"]["banks"][0]["sent"] == 1 << 60


class Running:
    """A connection on which a job runs and runs."""

    async def subscribe(self, *_: object) -> AsyncIterator[wire.Job]:
        yield wire.Job(state="running")
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


def test_a_watch_that_is_left_when_its_client_has_closed_ends_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by Ctrl-C while what it told is drawn: Python's collector printed a traceback."""

    async def connect(_: object) -> Running:
        return Running()

    monkeypatch.setattr("common.client.client._connect", connect)
    with Client(ClientSettings.model_construct()) as client:
        updates = client.watch("train-1")
        assert next(updates).state == "running"
    updates.close()
