"""Who may start, connect and deal: certificates of the wrong process, of no known organisation, or out of date."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from common.client.client import Client
from common.config import to_toml
from common.errors import IdentityError, PeerLost, PeerProtocolError
from common.party import Identity
from common.process.settings import ClientSettings
from common.trial.processes import BANK, CLIENT, COORDINATOR, GRID
from common.trust.authority import issue
from common.wire.client import Connection
from common.wire.coordinator_pb2 import ListRequest
from common.wire.methods import LIST
from tests.patience import patience
from tests.scenarios.end_to_end.lab import EVIL, PAST, Lab, eventually, fail, make_plan


def refused(lab: Lab, name: str, folder: Path, **settings: Any) -> str:
    """What a daemon says that is started on the side with other settings."""
    config = folder / f"{name}.toml"
    config.write_text(to_toml({**lab._config(name), "listen": "127.0.0.1:0", "data": folder / name, **settings}))
    return lab.refused(name, config)


@pytest.fixture(scope="module")
def expired(shared: Lab) -> Identity:
    """A certificate for a bank party that ended 20 days ago."""
    folder = shared.folder / "certs" / "expired"
    issue(shared.folder / "certs" / BANK.org, BANK, folder, days=10, now=PAST)
    return BANK


def expired_tls(lab: Lab) -> dict[str, Path]:
    folder = lab.folder / "certs" / "expired"
    return {**lab._tls(BANK), "certificate": folder / "bank-party.pem", "key": folder / "bank-party.key"}


def test_a_dealer_of_a_partys_organisation_is_refused_by_all_three(lab: Lab, tmp_path: Path) -> None:
    dealer = Identity(BANK.org, "coordinator")
    remote = {"identity": str(dealer), "address": lab.address("coordinator")}
    said = [
        refused(lab, "coordinator", tmp_path, tls=lab._tls(dealer)),
        refused(lab, "grid", tmp_path, coordinator=remote),
        refused(lab, "bank", tmp_path, coordinator=remote),
    ]
    assert f"the coordinator {dealer} belongs to the organisation of {BANK}" in said[0]
    assert f"the coordinator {dealer} belongs to the other party" in said[1]
    assert f"the coordinator {dealer} belongs to this party" in said[2]
    assert all("third organisation" in text for text in said)


def test_a_daemon_does_not_start_with_what_is_not_its_own(lab: Lab, tmp_path: Path, expired: Identity) -> None:
    mixed = {**lab._tls(BANK), "key": lab._tls(CLIENT)["key"]}
    late = refused(lab, "bank", tmp_path, tls=expired_tls(lab))
    assert "bank-party.pem expired at" in late and "Issue a new one" in late
    assert "is not the key of" in refused(lab, "grid", tmp_path, tls=mixed)


def test_an_expired_certificate_gets_no_connection(lab: Lab, client: Client, expired: Identity) -> None:
    """With grpc alone: `Credentials` would not load it."""
    files = expired_tls(lab)
    root = (lab.folder / "certs" / COORDINATOR.org / "ca.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(root, files["key"].read_bytes(), files["certificate"].read_bytes())

    async def call(address: str, name: str) -> grpc.StatusCode:
        options = [("grpc.ssl_target_name_override", name)]
        async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                listing: Any = channel.unary_unary("/wattscore.v1.Coordinator/List")
                await listing(b"", timeout=patience(10))
            return caught.value.code()

    assert asyncio.run(call(lab.address("coordinator"), COORDINATOR.dns)) is grpc.StatusCode.UNAVAILABLE
    assert client.jobs() is not None


def test_an_unknown_organisation_gets_no_connection(lab: Lab) -> None:
    async def call() -> None:
        connection = Connection(lab.address("coordinator"), COORDINATOR, lab.credentials(EVIL))
        try:
            await connection.call(LIST, ListRequest())
        finally:
            await connection.close()

    with pytest.raises(PeerLost, match="no connection to wattscore://try-neutral/coordinator"):
        asyncio.run(call())


def test_a_client_that_reaches_another_than_it_meant(lab: Lab) -> None:
    """The grid's port in place of the coordinator's, and a coordinator of another name."""
    for remote in (
        {"identity": str(COORDINATOR), "address": lab.address("grid")},
        {"identity": f"wattscore://{COORDINATOR.org}/dealer", "address": lab.address("coordinator")},
    ):
        settings = ClientSettings.model_validate({"tls": lab._tls(CLIENT), "coordinator": remote})
        with Client(settings) as client, pytest.raises(IdentityError, match="the server reached"):
            client.jobs()


def test_a_bank_that_expects_another_grid(lab: Lab, client: Client) -> None:
    lab.restart("bank", peer={"identity": f"wattscore://{GRID.org}/other"})
    assert fail(client, make_plan("main")) == (
        "bank",
        "IdentityError",
        f"the server reached is not wattscore://{GRID.org}/other",
    )


def test_a_grid_that_expects_another_bank(lab: Lab, client: Client) -> None:
    lab.restart("grid", peer={"identity": f"wattscore://{BANK.org}/other"})
    origin, kind, message = fail(client, make_plan("main"))
    assert (origin, kind) == ("grid", "IdentityError")
    assert message == f"only the bank may exchange (expected wattscore://{BANK.org}/other, got {BANK})"


def test_a_certificate_is_replaced_while_the_grid_runs(lab: Lab) -> None:
    """By one of another process: it goes on with the one it has, and says so."""
    files = [lab._tls(GRID)[key] for key in ("certificate", "key")]
    before = [file.read_bytes() for file in files]
    since = len(lab.written("grid"))
    other = lab._tls(BANK)
    try:
        files[1].write_bytes(other["key"].read_bytes())
        files[0].write_bytes(other["certificate"].read_bytes())
        settings = ClientSettings.model_validate(
            {"tls": lab._tls(CLIENT), "coordinator": {"identity": str(GRID), "address": lab.address("grid")}}
        )
        with Client(settings) as client, pytest.raises(PeerProtocolError, match="does not know this call"):
            client.jobs()  # a new connection is what makes the grid look
        eventually(lambda: "the replaced TLS files are not used" in lab.written("grid", since))
    finally:
        for file, data in zip(files, before, strict=True):
            file.write_bytes(data)
    assert json.dumps(lab.alive()) == json.dumps(dict.fromkeys(lab.processes, True))
