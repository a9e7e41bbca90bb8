"""A server's proof, and what both sides do once the other's certificate is revoked: new calls refused, open ones cut."""

from __future__ import annotations

# isort: split
from common.wire.tls import Credentials

# isort: split
import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, IdentityError, PeerLost
from common.party import Identity
from common.trust import lastgood
from common.trust.authority import fingerprint, issue, renew
from common.trust.revoked import revoke
from common.wire import coordinator_pb2, party_pb2, proof, server
from common.wire.client import Connection
from common.wire.methods import ATTEND, COORDINATOR, PARTIES, SHOW
from common.wire.proof import Challenge, prove
from common.wire.server import Call, Service, serve
from tests.common.wire.test_client import HERE, THERE, certificates, load
from tests.patience import patience

METHOD = "/wattscore.v1.Parties/Attend"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    certificates(tmp_path)
    return tmp_path


def asked(folder: Path) -> tuple[Credentials, Credentials, Challenge]:
    here, there = load(folder, HERE), load(folder, THERE)
    return here, there, Challenge.new(METHOD, there.own().certificate)


def test_a_proof_is_good_for_its_challenge_alone(folder: Path) -> None:
    here, there, challenge = asked(folder)
    answer = prove(challenge.metadata, METHOD, challenge.own, here.own())
    assert challenge.check(answer, HERE, there.trust) == here.own().certificate
    others = [
        Challenge.new(METHOD, challenge.own),
        replace(challenge, method="/wattscore.v1.Parties/Deal"),
        replace(challenge, own=here.own().certificate),
    ]
    for other in others:
        with pytest.raises(IdentityError, match="did not prove that it holds the key"):
            other.check(answer, HERE, there.trust)


def test_a_relayed_challenge_is_signed_for_the_relay_and_not_for_the_client(folder: Path) -> None:
    """Somebody in between hands the client's challenge on, under a certificate of its own."""
    here, there, challenge = asked(folder)
    issue(folder / THERE.org, Identity(THERE.org, "relay"), folder / THERE.org)
    relay = load(folder, Identity(THERE.org, "relay"))
    with pytest.raises(IdentityError, match="did not prove that it holds the key"):
        challenge.check(prove(challenge.metadata, METHOD, relay.own().certificate, here.own()), HERE, there.trust)


def test_no_proof_another_identity_and_a_revoked_certificate(folder: Path) -> None:
    here, there, challenge = asked(folder)
    answer = prove(challenge.metadata, METHOD, challenge.own, here.own())
    for missing in (None, (), answer[:1], answer[1:]):
        with pytest.raises(IdentityError, match="did not prove who it is"):
            challenge.check(missing, HERE, there.trust)
    with pytest.raises(IdentityError, match="is another"):
        challenge.check(answer, Identity("volt", "other"), there.trust)
    revoke(there.trust.folder, fingerprint(here.own().certificate))
    with pytest.raises(IdentityError, match="is revoked"):
        challenge.check(answer, HERE, there.trust)


@pytest.mark.parametrize("nonce", [(), (("wattscore-nonce-bin", b"short"),), (("wattscore-nonce-bin", "0" * 32),)])
def test_who_asks_for_no_proof_gets_none(folder: Path, nonce: Any) -> None:
    here, _, challenge = asked(folder)
    assert prove(nonce, METHOD, challenge.own, here.own()) == ()


# Over real connections


class Place:
    """A server that echoes what attends it, and counts messages; a connection to it."""

    def __init__(self) -> None:
        self.read, self.causes = 0, list[object]()

    async def attend(self, _: Any, call: Call) -> None:
        try:
            while await call.read() is not None:
                self.read += 1
                await call.write(party_pb2.ToParty())
        finally:
            self.causes.append(call.cause)

    async def show(self, _: Any, call: Call) -> coordinator_pb2.Job:
        return coordinator_pb2.Job(name="shown")


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[tuple[Place, Connection]]:
    found = Place()
    services = [Service(PARTIES, {"Attend": found.attend}), Service(COORDINATOR, {"Show": found.show})]
    serving = await serve("127.0.0.1:0", load(folder, HERE), [THERE.org], services, origin="here")
    connection = Connection(f"127.0.0.1:{serving.port}", HERE, load(folder, THERE))
    try:
        yield found, connection
    finally:
        await connection.close()
        await serving.stop(0.0)


async def ask(stream: Any) -> None:
    await stream.write(party_pb2.FromParty())
    assert await stream.read() is not None


def own_file(folder: Path, who: Identity) -> bytes:
    return (folder / who.org / f"{who.role}.pem").read_bytes()


@pytest.mark.parametrize(("where", "who"), [(HERE, THERE), (THERE, HERE)], ids=["by the server", "by the client"])
async def test_an_open_stream_is_cut_and_new_calls_are_refused_until_renewed(
    folder: Path, where: Identity, who: Identity
) -> None:
    async with place(folder) as (found, connection):
        stream = connection.stream(ATTEND)
        await ask(stream)
        revoke(folder / where.org / "trust", fingerprint(own_file(folder, who)))
        with pytest.raises(IdentityError, match=f"the certificate of {who} is revoked"):
            await asyncio.wait_for(stream.read(), patience(15))
        if where == HERE:
            assert [type(cause) for cause in found.causes] == [IdentityError]
        before = found.read
        for _ in range(2):
            fresh = connection.stream(ATTEND)
            with pytest.raises(IdentityError, match="is revoked"):
                await fresh.write(party_pb2.FromParty())
            with pytest.raises(IdentityError, match="is revoked"):
                await connection.call(SHOW, coordinator_pb2.JobRequest())
        assert found.read == before  # nothing was sent to one that is revoked, nothing taken from one
        renew(folder / who.org, who, folder / who.org)
        await ask(connection.stream(ATTEND))
        assert (await connection.call(SHOW, coordinator_pb2.JobRequest())).name == "shown"


async def test_an_organisation_that_is_trusted_no_more_is_cut(folder: Path) -> None:
    async with place(folder) as (_, connection):
        stream = connection.stream(ATTEND)
        await ask(stream)
        (folder / HERE.org / "trust" / f"{THERE.org}.pem").unlink()
        with pytest.raises(IdentityError, match="organisation 'acme' is unknown here"):
            await asyncio.wait_for(stream.read(), patience(15))
        with pytest.raises(IdentityError, match="is unknown here"):
            await ask(connection.stream(ATTEND))


async def test_a_stream_ends_of_whose_other_end_it_cannot_be_told_whether_it_is_trusted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By no error that has a name: a watch that had ended of it would have seen no revocation any more."""
    async with place(folder) as (_, connection):
        stream = connection.stream(ATTEND)
        await ask(stream)

        def fails(*_: Any) -> Any:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(server, "distrust", fails)
        with pytest.raises(PeerLost, match="cannot be told here: OSError"):
            await asyncio.wait_for(stream.read(), patience(15))


async def test_a_disk_that_hangs_holds_up_no_job_and_ends_the_stream_after_a_while(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more looks at once than there are threads of the loop's own executor, which every job waits for."""
    hangs, looked = threading.Event(), threading.Event()

    def look(*_: Any) -> None:
        looked.set()
        hangs.wait()

    monkeypatch.setattr(server, "LOOK", 0.01)
    try:
        async with place(folder) as (_, connection):
            streams = [connection.stream(ATTEND) for _ in range(40)]
            for stream in streams:
                await ask(stream)
            monkeypatch.setattr(server, "distrust", look)
            while not looked.is_set():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)  # every stream wants its look by now
            assert await asyncio.wait_for(asyncio.to_thread(lambda: 3), patience(15)) == 3
            for stream in streams:
                await ask(stream)
            monkeypatch.setattr(server, "KEEP", 0.1)
            fresh = connection.stream(ATTEND)
            with pytest.raises(PeerLost, match="cannot be told here: TimeoutError"):
                await ask(fresh)
                await asyncio.wait_for(fresh.read(), patience(15))
    finally:
        hangs.set()


async def test_a_new_call_is_refused_in_time_where_the_disk_hangs_and_others_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the server, and at a client for what the server proved: neither loop waits for the disk."""
    hangs = threading.Event()

    def hang(*_: Any) -> Any:
        hangs.wait()

    async with place(folder) as (_, connection):
        held = connection.stream(ATTEND)
        await ask(held)
        monkeypatch.setattr(server, "ANSWERED", 0.2)
        try:
            for module in (server, proof):
                with monkeypatch.context() as patched:
                    patched.setattr(module, "verify_peer", hang)
                    with pytest.raises(PeerLost, match="could not be told here within"):
                        await asyncio.wait_for(ask(connection.stream(ATTEND)), patience(15))
                    with pytest.raises(PeerLost, match="could not be told here within"):
                        await asyncio.wait_for(connection.call(SHOW, coordinator_pb2.JobRequest()), patience(15))
                    await asyncio.wait_for(ask(held), patience(15))
        finally:
            hangs.set()
        monkeypatch.setattr(server, "ANSWERED", patience(15))
        await ask(connection.stream(ATTEND))


async def test_a_caller_that_cannot_be_looked_at_in_time_is_not_refused_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are then read, and a connection that broke is told as one; who watches it ends it all the same."""
    hangs, call = threading.Event(), Call(None, THERE)  # type: ignore[arg-type]
    monkeypatch.setattr(call, "_distrust", hangs.wait)
    monkeypatch.setattr(server, "ANSWERED", 0.05)
    try:
        assert await call.refused() is None
        assert "broke" in str(await call._broken())
        call.cause = cause = IdentityError("revoked")
        assert await call.refused() is cause
    finally:
        hangs.set()


async def test_a_list_that_cannot_be_read_is_what_it_was_for_a_while_and_then_cuts_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place(folder) as (_, connection):
        stream = connection.stream(ATTEND)
        await ask(stream)
        (folder / HERE.org / "trust" / "revoked.txt").write_text("somebody\n")
        await asyncio.sleep(1.5)  # longer than a look takes
        await ask(stream)
        await ask(connection.stream(ATTEND))
        monkeypatch.setattr(lastgood, "KEEP", 0.0)
        with pytest.raises(ConfigError, match="the list of revoked certificates cannot be read"):
            await asyncio.wait_for(stream.read(), patience(15))
        with pytest.raises(ConfigError, match="the list of revoked certificates cannot be read"):
            await ask(connection.stream(ATTEND))


async def test_half_a_replacement_leaves_both_sides_with_the_pair_they_have(folder: Path) -> None:
    async with place(folder) as (_, connection):
        for who in (HERE, THERE):
            home, kept = folder / who.org, own_file(folder, who)
            renew(home, who, home)
            new = own_file(folder, who)
            (home / f"{who.role}.pem").write_bytes(kept)  # the key alone has been replaced
            await ask(connection.stream(ATTEND))
            assert load_again(connection, who, kept)
            (home / f"{who.role}.pem").write_bytes(new[: len(new) // 2])  # a copy that is under way
            await ask(connection.stream(ATTEND))
            (home / f"{who.role}.pem").write_bytes(new)
            await ask(connection.stream(ATTEND))
            assert load_again(connection, who, new)


def load_again(connection: Connection, who: Identity, expected: bytes) -> bool:
    """What the dialling side shows; the server's is what its proof was checked with."""
    return who == HERE or connection._credentials.own().certificate == expected
