"""A flood of bad frames with a peer's certificate, jobs running beside it: nothing crashes, hangs, grows or fills a log.

`WATTSCORE_FLOOD=N` sends N frames in place of some hundreds, `WATTSCORE_FLOOD_SEED=K` other ones; jobs go on meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from common.client.client import Client
from common.party import Identity
from common.trial.processes import BANK, CLIENT, COORDINATOR, GRID
from common.wire import about_pb2, coordinator_pb2, party_pb2, peer_pb2
from common.wire.peer import PROTOCOL, greeting
from common.wire.peer_pb2 import Abort, Block, Fault, Frame, Hello
from tests.patience import patience
from tests.scenarios.end_to_end.lab import Lab, works

FRAMES = int(os.environ.get("WATTSCORE_FLOOD", "400"))
SEED = int(os.environ.get("WATTSCORE_FLOOD_SEED", "2"))
AT_ONCE = 8
LINES = 4000  # of a log, while some jobs run beside the flood: what repeats is counted
GROWTH, SLACK = 1.10, 8 << 20

UNKNOWN = "train-20200101-00000000"
BLOCK = Block(element=Block.ELEMENT_U64, shape=[1], chunk=0, chunks=1, data=bytes(8))
PEER = [
    greeting(UNKNOWN, bytes(32)),
    greeting("../../x\x1b[31m", b"\0"),
    greeting("x" * 5000, bytes(32)),
    Frame(hello=Hello(protocol=PROTOCOL + 1, job=UNKNOWN)),
    Frame(number=1, psi_count=BLOCK),
    Frame(number=1 << 60, masked_matrix=Block(element=9, shape=[1 << 31, 1 << 31], chunk=5, chunks=2)),
    Frame(abort=Abort(fault=Fault(kind="PeerLost\n\x1b[2J", message="\u202e" * 400, remedy="r", origin="bank"))),
    Frame(),
]
ATTENDING = [
    party_pb2.FromParty(done=party_pb2.Done(job=UNKNOWN)),
    party_pb2.FromParty(failed=party_pb2.Failed(job=UNKNOWN, fault=Fault(kind="x", message="\x00" * 900))),
    party_pb2.FromParty(register=party_pb2.Register(party="grid", protocol=PROTOCOL)),
    party_pb2.FromParty(register=party_pb2.Register(party="bank", protocol=0)),
    party_pb2.FromParty(),
]
DEALING = [
    party_pb2.Demand(join=party_pb2.Join(job=UNKNOWN, nonce=bytes(32), key=bytes(32))),
    party_pb2.Demand(join=party_pb2.Join(job="\u202e", nonce=b"", key=b"")),
    party_pb2.Demand(consumed=party_pb2.Consumed(arrays=1 << 30, bytes=1 << 60)),
    party_pb2.Demand(),
]
SUBMITTED = [
    coordinator_pb2.SubmitRequest(plan="{"),
    coordinator_pb2.SubmitRequest(plan='{"kind": "train", "grid": {"dataset": "\x1b[31m"}}'),
    coordinator_pb2.SubmitRequest(plan="[" * 60_000),
    coordinator_pb2.SubmitRequest(plan="x" * (1 << 17)),
]
NAMED = [coordinator_pb2.JobRequest(job=job) for job in (UNKNOWN, "", "\x00", "x" * 70_000)]

Method = tuple[str, Identity, Identity, str, bool, list[Any]]
METHODS: list[Method] = [
    ("grid", GRID, BANK, "/wattscore.v1.Peer/Exchange", True, PEER),
    ("coordinator", COORDINATOR, BANK, "/wattscore.v1.Parties/Attend", True, ATTENDING),
    ("coordinator", COORDINATOR, BANK, "/wattscore.v1.Parties/Deal", True, DEALING),
    ("coordinator", COORDINATOR, BANK, "/wattscore.v1.Parties/Match", True, PEER),
    ("coordinator", COORDINATOR, CLIENT, "/wattscore.v1.Coordinator/Submit", False, SUBMITTED),
    ("coordinator", COORDINATOR, CLIENT, "/wattscore.v1.Coordinator/Show", False, NAMED),
    ("coordinator", COORDINATOR, CLIENT, "/wattscore.v1.Coordinator/Cancel", False, NAMED),
    ("coordinator", COORDINATOR, CLIENT, "/wattscore.v1.Coordinator/List", False, NAMED),
    ("coordinator", COORDINATOR, CLIENT, "/wattscore.v1.Coordinator/Watch", True, NAMED),
    ("coordinator", COORDINATOR, CLIENT, "/wattscore.v1.Parties/Attend", True, ATTENDING),
    ("coordinator", COORDINATOR, BANK, "/wattscore.v1.Coordinator/Submit", False, SUBMITTED),
    ("coordinator", COORDINATOR, BANK, "/wattscore.v1.Coordinator/Cancel", False, NAMED),
    ("grid", GRID, BANK, "/wattscore.v1.Info/About", False, NAMED),
    ("grid", GRID, CLIENT, "/wattscore.v1.Peer/Exchange", True, PEER),
]


def mutated(message: Any, draw: random.Random) -> bytes:
    """The bytes of a message with some of them changed, cut off or added; now and then as they are, or only noise."""
    data = bytearray(message.SerializeToString())
    how = draw.randrange(6)
    if how == 0:
        return bytes(data)
    if how == 1:
        return draw.randbytes(draw.randrange(200))
    for _ in range(draw.randrange(1, 5)):
        if how == 2 and data:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        elif how == 3:
            del data[draw.randrange(len(data) + 1) :]
        elif how == 4:
            data[draw.randrange(len(data) + 1) : 0] = draw.randbytes(draw.randrange(30))
        else:
            data += data[draw.randrange(len(data) + 1) :]
    return bytes(data[: 1 << 20])


def attends(data: bytes) -> bool:
    """Whether this takes the real bank's seat, as whoever has its certificate may."""
    try:
        message = party_pb2.FromParty.FromString(data)
    except Exception:  # no message at all
        return False
    said = message.register
    return message.WhichOneof("message") == "register" and (said.party, said.protocol) == ("bank", PROTOCOL)


class Flood:
    """Sends bad frames until it has sent enough; counts how the calls end."""

    def __init__(self, lab: Lab, frames: int, seed: int) -> None:
        self._lab, self._left, self._draw = lab, frames, random.Random(seed)
        self.ends: Counter[str] = Counter()
        self.sent = 0

    async def run(self) -> None:
        channels: dict[tuple[str, Identity], grpc.aio.Channel] = {}
        for name, server, who, *_ in METHODS:
            if (name, who) not in channels:
                credentials, options = self._lab.credentials(who).channel(server)
                channels[name, who] = grpc.aio.secure_channel(self._lab.address(name), credentials, options=options)
        try:
            await asyncio.gather(*(self._work(channels) for _ in range(AT_ONCE)))
        finally:
            for channel in channels.values():
                await channel.close()

    async def _work(self, channels: dict[tuple[str, Identity], grpc.aio.Channel]) -> None:
        while self._left > 0:
            name, _, who, path, streaming, messages = self._draw.choice(METHODS)
            frames = [mutated(self._draw.choice(messages), self._draw) for _ in range(self._draw.randrange(1, 4))]
            frames = [frame for frame in frames if not attends(frame)]
            self._left -= len(frames)
            call = self._stream if streaming else self._unary
            await asyncio.wait_for(call(channels[name, who], path, frames), patience(60))
            self.sent += len(frames)

    async def _stream(self, channel: grpc.aio.Channel, path: str, frames: list[bytes]) -> None:
        stream: Any = channel.stream_stream(path)()
        try:
            for frame in frames:
                await stream.write(frame)
            await stream.done_writing()
            while await stream.read() is not grpc.aio.EOF:
                pass
        except (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError):  # it may be over already
            pass
        self.ends[str(await stream.code())] += 1

    async def _unary(self, channel: grpc.aio.Channel, path: str, frames: list[bytes]) -> None:
        method: Any = channel.unary_unary(path)
        for frame in frames:
            try:
                await method(frame)
                self.ends["answered"] += 1
            except grpc.aio.AioRpcError as error:
                self.ends[str(error.code())] += 1


def resident(lab: Lab) -> dict[str, int]:
    """Bytes of memory of each daemon."""

    def of(pid: int) -> int:
        line = next(text for text in Path(f"/proc/{pid}/status").read_text().splitlines() if text.startswith("VmRSS"))
        return int(line.split()[1]) << 10

    return {name: of(process.pid) for name, process in lab.processes.items()}


def during(lab: Lab, client: Client, frames: int, seed: int, work: Callable[[], None]) -> Flood:
    """`work` again and again while so many frames are sent."""
    flood, failed = Flood(lab, frames, seed), list[BaseException]()

    def send() -> None:
        try:
            asyncio.run(flood.run())
        except BaseException as error:  # told below, by the thread of the test
            failed.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    work()
    while thread.is_alive():
        work()
    thread.join()
    assert not failed, failed
    return flood


def test_every_method_of_every_service_is_flooded() -> None:
    files = (about_pb2.DESCRIPTOR, coordinator_pb2.DESCRIPTOR, party_pb2.DESCRIPTOR, peer_pb2.DESCRIPTOR)
    services = [service for file in files for service in file.services_by_name.values()]
    every = {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}
    assert {path for _, _, _, path, *_ in METHODS} == every


def test_bad_frames_do_no_harm_to_jobs_memory_or_logs(lab: Lab, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = 0

    def job() -> None:
        nonlocal jobs
        works(lab, client)
        jobs += 1

    job()
    during(lab, client, max(200, FRAMES // 5), SEED - 1, job)  # memory that is kept for reuse has been taken by then
    before, logs = resident(lab), {name: len(lab.written(name)) for name in lab.processes}
    flood = during(lab, client, FRAMES, SEED, job)
    after = resident(lab)
    with capsys.disabled():
        if FRAMES > 1000:
            print(f"\n{flood.sent} frames, {jobs} jobs, {dict(flood.ends)}\nmemory before {before}, after {after}")
            print("logs:", {name: len(lab.written(name, logs[name])) for name in lab.processes})
    assert flood.sent >= FRAMES and all(lab.alive().values())
    assert flood.ends["StatusCode.OK"] + flood.ends["answered"] < sum(flood.ends.values()) / 2
    for name in lab.processes:
        assert after[name] <= GROWTH * before[name] + SLACK, name
        written = lab.written(name, logs[name])
        assert written.count("\n") < LINES + FRAMES // 4 + 40 * jobs, name  # a line or two a call, where each had its own
        assert "\x1b" not in written and "\u202e" not in written
    works(lab, client)
