"""A connection to a server: requests, streams and subscriptions, how each ends, and credentials replaced meanwhile."""

from __future__ import annotations

# isort: split
from common.wire.tls import Credentials, TlsConfig

# isort: split
import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import DataError, JobNotFound, PeerFailed, PeerLost, WattScoreError
from common.mpc.session import Kind, Round
from common.party import Identity
from common.trial.processes import free_ports
from common.trust.authority import export_bundle, import_bundle, issue, make_ca
from common.wire import coordinator_pb2, party_pb2
from common.wire.client import Connection, Stream, _Line, close_all
from common.wire.lanes import Braid
from common.wire.methods import ATTEND, COORDINATOR, EXCHANGE, PARTIES, PEER, SHOW, WATCH
from common.wire.peer import Counter, FrameChannel
from common.wire.peer_pb2 import Abort, Frame
from common.wire.server import Call, Service, serve
from common.wire.status import to_fault
from tests.common.wire.framed import encode
from tests.patience import patience
from tests.scenarios.kill.lines import Lines

HERE, THERE = Identity("volt", "server"), Identity("acme", "caller")


def load(folder: Path, identity: Identity) -> Credentials:
    home = folder / identity.org
    pair = {"certificate": home / f"{identity.role}.pem", "key": home / f"{identity.role}.key"}
    return Credentials.load(TlsConfig(**pair, trust=home / "trust"))


def certificates(folder: Path) -> None:
    for identity in (HERE, THERE):
        make_ca(identity.org, folder / identity.org)
        issue(folder / identity.org, identity, folder / identity.org)
    for own, other in ((HERE, THERE), (THERE, HERE)):
        import_bundle(export_bundle(folder / other.org), folder / own.org / "trust", other.org)


def replace(folder: Path) -> None:
    """A new key and certificate where the caller keeps its own."""
    home = folder / THERE.org
    issue(home, THERE, folder / "new")
    for kind in ("key", "pem"):
        (folder / "new" / f"{THERE.role}.{kind}").rename(home / f"{THERE.role}.{kind}")


def presented(call: Call) -> str:
    """The certificate of whoever calls (PEM)."""
    return str(call._context.auth_context()["x509_pem_cert"][0].decode()).strip()


async def attend(_: Any, call: Call) -> None:
    while await call.read() is not None:
        await call.write(party_pb2.ToParty(offer=party_pb2.Offer(plan=presented(call))))


async def show(_: Any, call: Call) -> coordinator_pb2.Job:
    return coordinator_pb2.Job(plan=presented(call))


async def test_new_calls_present_a_replaced_certificate_and_a_running_stream_goes_on(tmp_path: Path) -> None:
    certificates(tmp_path)
    file = tmp_path / THERE.org / f"{THERE.role}.pem"
    services = [Service(PARTIES, {"Attend": attend}), Service(COORDINATOR, {"Show": show})]
    server = await serve("127.0.0.1:0", load(tmp_path, HERE), [THERE.org], services, origin="here")
    connection = Connection(f"127.0.0.1:{server.port}", HERE, load(tmp_path, THERE))

    async def ask(stream: Any) -> str:
        await stream.write(party_pb2.FromParty())
        return str((await stream.read()).offer.plan)

    try:
        running, first = connection.stream(ATTEND), file.read_text().strip()
        assert await ask(running) == first
        replace(tmp_path)
        second = file.read_text().strip()
        assert second != first
        assert (await connection.call(SHOW, coordinator_pb2.JobRequest())).plan == second
        assert await ask(connection.stream(ATTEND)) == second
        assert await ask(running) == first
    finally:
        await connection.close()
        await server.stop(0.0)


async def test_connections_with_replaced_certificates_are_closed_once_no_call_needs_them(tmp_path: Path) -> None:
    """A daemon whose certificate is renewed each day would else hold one for each day, each kept alive by pings."""
    async with connected(tmp_path, Service(PARTIES, {"Attend": attend}), Service(COORDINATOR, {"Show": show})) as connection:
        running = connection.stream(ATTEND)
        await running.write(party_pb2.FromParty())
        await running.read()
        for _ in range(3):
            replace(tmp_path)
            await connection.call(SHOW, coordinator_pb2.JobRequest())
        assert len(connection._lines) == 2  # the stream's, and the last
        await running.write(party_pb2.FromParty())
        assert await running.read() is not None
        await running.close()
        async with asyncio.timeout(patience(5)):
            while len(connection._lines) > 1 or connection._closing:
                await asyncio.sleep(0.01)
        assert [line.calls for line in connection._lines] == [0]
        await connection.call(SHOW, coordinator_pb2.JobRequest())


@asynccontextmanager
async def connected(folder: Path, *services: Service) -> AsyncIterator[Connection]:
    certificates(folder)
    server = await serve("127.0.0.1:0", load(folder, HERE), [THERE.org], services, origin="here")
    connection = Connection(f"127.0.0.1:{server.port}", HERE, load(folder, THERE))
    try:
        yield connection
    finally:
        await connection.close()
        await server.stop(0.0)


async def test_a_request_that_is_not_answered_says_which_and_for_how_long(tmp_path: Path) -> None:
    async def never(_: Any, call: Call) -> coordinator_pb2.Job:
        await asyncio.Event().wait()
        raise AssertionError

    async with connected(tmp_path, Service(COORDINATOR, {"Show": never})) as connection:
        with pytest.raises(PeerLost, match=r"wattscore://volt/server did not answer Show within 0\.3 s.* See its log"):
            await connection.call(SHOW, coordinator_pb2.JobRequest(), 0.3)


async def test_a_stream_that_is_closed_is_read_to_its_end_there_and_not_written_to_here(tmp_path: Path) -> None:
    heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def listen(_: Any, call: Call) -> None:
        count = 0
        while await call.read() is not None:
            count += 1
        heard.set_result(count)

    async with connected(tmp_path, Service(PARTIES, {"Attend": listen})) as connection:
        stream = connection.stream(ATTEND)
        for _ in range(3):
            await stream.write(party_pb2.FromParty())
        await stream.close()
        assert await asyncio.wait_for(heard, patience(5)) == 3
        with pytest.raises(PeerLost, match="the stream to wattscore://volt/server was closed"):
            await stream.write(party_pb2.FromParty())


async def test_a_stream_to_a_server_that_reads_no_more_is_closed_all_the_same() -> None:
    class Stuck:
        cancelled = False

        async def done_writing(self) -> None:
            await asyncio.Event().wait()

        def cancel(self) -> None:
            self.cancelled = True

    call, trust = Stuck(), None
    stream = Stream(lambda: None, HERE, trust)  # type: ignore[arg-type, return-value]
    stream._call = call
    await asyncio.wait_for(stream.close(), patience(5))
    assert call.cancelled


async def test_all_channels_of_a_connection_are_closed_where_a_call_ends_by_it(tmp_path: Path) -> None:
    certificates(tmp_path)
    connection, closed = Connection("127.0.0.1:1", HERE, load(tmp_path, THERE)), list[int]()

    class Channel:
        def __init__(self, number: int) -> None:
            self.number = number

        async def close(self) -> None:
            closed.append(self.number)
            if self.number == 0 and connection._lines[0].calls:
                connection._over(connection._lines[0])

    await connection._lines[0].channel.close()
    connection._lines = [_Line(Channel(k), b"", calls=1 - k) for k in range(2)]  # type: ignore[arg-type]
    await connection.close()
    assert set(closed) == {0, 1}


async def test_a_subscription_gives_each_reply_and_then_the_error_it_ended_with(tmp_path: Path) -> None:
    async def watch(request: coordinator_pb2.JobRequest, call: Call) -> None:
        for state in ("queued", "running"):
            await call.write(coordinator_pb2.Job(id=request.job, state=state))
        raise JobNotFound("the job was removed meanwhile", remedy="Ask for another.")

    async with connected(tmp_path, Service(COORDINATOR, {"Watch": watch})) as connection:
        seen: list[str] = []
        with pytest.raises(JobNotFound, match="removed meanwhile") as caught:
            async for job in connection.subscribe(WATCH, coordinator_pb2.JobRequest(job="train-1")):
                seen.append(job.state)
        assert seen == ["queued", "running"] and caught.value.origin == "here"


async def test_what_two_tasks_tell_a_caller_at_one_moment_reaches_it(tmp_path: Path) -> None:
    """gRPC refuses a write while another goes on: who came back as its next job began was told of neither."""

    async def tell(_: Any, call: Call) -> None:
        await call.read()
        await asyncio.gather(*(call.write(party_pb2.ToParty(offer=party_pb2.Offer(job=str(k)))) for k in range(5)))

    async with connected(tmp_path, Service(PARTIES, {"Attend": tell})) as connection:
        stream = connection.stream(ATTEND)
        await stream.write(party_pb2.FromParty())
        assert [(await stream.read()).offer.job for _ in range(5)] == ["0", "1", "2", "3", "4"]
        assert await stream.read() is None
        await stream.close()


@pytest.mark.parametrize("lanes", [1, 2])
async def test_a_line_that_falls_silent_is_heard_of_also_where_all_that_is_taken_ahead_has_arrived(
    tmp_path: Path, lanes: int
) -> None:
    """Its reader reads no more then, and only the connection's own pings find it."""

    async def send(_: Any, call: Call) -> None:
        for array in range(1, 40):
            for piece in encode(Round(Kind.SPLIT, array), np.zeros(3, np.uint8)):
                await call.write(piece)
        await asyncio.Event().wait()

    async with connected(tmp_path, Service(PEER, {"Exchange": send})) as straight:
        with Lines() as lines:
            port = lines.port("line", int(straight._address.rpartition(":")[2]))
            apart = [Connection(f"127.0.0.1:{port}", HERE, load(tmp_path, THERE)).apart() for _ in range(lanes)]
            streams = [one.stream(EXCHANGE) for one in apart]
            channel = FrameChannel(streams[0] if lanes == 1 else Braid(streams), "the grid", Counter(), ahead=2)
            channel.start()
            try:
                async with asyncio.timeout(patience(10)):
                    while lines.connections("line") < lanes or not channel._arrived.full():
                        await asyncio.sleep(0.01)
                    broken = asyncio.create_task(channel.broken())
                    await asyncio.to_thread(lines.hold_last, "line")
                async with asyncio.timeout(patience(15)):
                    cause = await broken
                assert isinstance(cause, PeerLost) and "ping timeout" in str(cause)
                assert ("(lane " in str(cause)) == (lanes > 1)
            finally:
                await channel.stop()
                await asyncio.gather(*(one.close() for one in apart))


@pytest.mark.parametrize("said", ["word", "status", "nothing"])
async def test_who_writes_too_late_hears_why_the_other_has_ended_the_stream(tmp_path: Path, said: str) -> None:
    """Also where more has arrived than is taken ahead, behind which the other's word stands."""

    async def ends(_: Any, call: Call) -> None:
        for array in range(1, 6):
            for piece in encode(Round(Kind.SPLIT, array), np.zeros(3, np.uint8)):
                await call.write(piece)
        if said == "word":
            await call.write(Frame(abort=Abort(fault=to_fault(DataError("row 9", public="a value is too large"), "grid"))))
        if said == "status":
            raise DataError("row 9", public="a value is too large")

    async with connected(tmp_path, Service(PEER, {"Exchange": ends})) as straight:
        stream = straight.stream(EXCHANGE)
        channel = FrameChannel(stream, "the grid", Counter(), ahead=2)
        channel.start()

        async def sends() -> None:
            while True:
                await channel.send(Round(Kind.SPLIT, 1), np.zeros(3, np.uint8))

        try:
            with pytest.raises(PeerLost if said == "nothing" else WattScoreError) as caught:
                async with asyncio.timeout(patience(10)):
                    await sends()
            with pytest.raises(type(caught.value)) as waited:
                await channel.receive(Round(Kind.SPLIT, 1))
        finally:
            await channel.stop()
            await stream.close()
    kind = {"word": PeerFailed, "status": DataError, "nothing": PeerLost}[said]
    for error in (caught.value, waited.value):
        assert type(error) is kind and ("a value is too large" in str(error)) == (said != "nothing")


async def wait(_: Any, call: Call) -> None:
    """Ends no call by itself."""
    await call.write(party_pb2.ToParty(offer=party_pb2.Offer(job="one")))
    await asyncio.Event().wait()


async def test_a_stream_that_was_given_up_while_it_was_read_is_closed_and_has_not_ended_in_order(tmp_path: Path) -> None:
    async with connected(tmp_path, Service(PARTIES, {"Attend": wait})) as connection:
        stream = connection.stream(ATTEND)
        assert (await stream.read()).offer.job == "one"
        reading = asyncio.create_task(stream.read())
        for _ in range(5):  # until it waits for a message
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        for _ in range(2):
            with pytest.raises(PeerLost, match="was closed"):
                await stream.read()
        await stream.close()


async def test_a_stream_that_comes_to_nothing_once_nobody_waits_for_it_fails_in_silence(tmp_path: Path) -> None:
    """As those of a job that is stopped while it dials, since what it dials has gone."""
    certificates(tmp_path)
    said = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    with ExitStack() as held:
        connection = Connection(f"127.0.0.1:{free_ports(1, held)[0]}", HERE, load(tmp_path, THERE))
    stream = connection.stream(ATTEND)
    reading = asyncio.create_task(stream.read())
    while stream._proof is None:
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait({reading, stream._proof}, timeout=patience(15))
    assert stream._proof.done() and reading.cancelled()
    del stream, reading
    gc.collect()
    assert said == []
    await connection.close()


async def refuse(_: Any, call: Call) -> None:
    await call.write(party_pb2.ToParty(offer=party_pb2.Offer(job="one")))
    raise JobNotFound("it is gone")


@asynccontextmanager
async def apart(folder: Path, attend: Any = wait) -> AsyncIterator[tuple[Stream, Connection]]:
    """A stream over a connection of its own, both to be closed within, of which nothing is left then."""
    async with connected(folder, Service(PARTIES, {"Attend": attend})) as straight:
        with Lines() as lines:
            port = lines.port("line", int(straight._address.rpartition(":")[2]))
            connection = Connection(f"127.0.0.1:{port}", HERE, load(folder, THERE)).apart()
            stream = connection.stream(ATTEND)
            assert (await stream.read()).offer.job == "one" and lines.connections("line") == 1
            yield stream, connection
            async with asyncio.timeout(patience(10)):
                while lines.connections("line"):
                    await asyncio.sleep(0.01)


async def test_a_stream_that_is_closed_leaves_no_connection_whoever_holds_the_task_that_watched_it(tmp_path: Path) -> None:
    """A task that was cancelled holds all that it was at, and gRPC its connection as long as a call is held."""
    async with apart(tmp_path) as (stream, connection):
        watch = asyncio.create_task(stream.broken())
        for _ in range(5):  # until it waits for the call's end
            await asyncio.sleep(0)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await close_all([stream], [connection])
    assert watch.cancelled()


async def test_who_is_cancelled_while_it_closes_a_stream_leaves_no_connection(tmp_path: Path) -> None:
    """As a job that is stopped while it ends a line of which a lane broke: the others would be kept as long as the process."""
    async with apart(tmp_path) as (stream, connection):
        closing = asyncio.create_task(close_all([stream], [connection]))
        while stream._call is not None:
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
    assert closing.cancelled()


async def test_who_keeps_why_a_stream_failed_keeps_no_connection(tmp_path: Path) -> None:
    """As a job does, until it is over, of each of its attempts."""
    async with apart(tmp_path, refuse) as (stream, connection):
        with pytest.raises(JobNotFound) as read:
            await stream.read()
        with pytest.raises(JobNotFound) as written:
            await stream.write(party_pb2.FromParty())
        await close_all([stream], [connection])
    assert "it is gone" in str(read.value) and "it is gone" in str(written.value)
