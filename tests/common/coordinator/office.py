"""A coordinator in this process, and callers who are played by tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from common.coordinator.board import Board
from common.coordinator.service import Coordinator
from common.errors import WattScoreError
from common.mpc.seeds import KEY_BYTES, NONCE_BYTES
from common.party import Identity, Party
from common.plan.train import TrainPlan
from common.process.settings import CoordinatorSettings
from common.wire import coordinator_pb2 as wire
from common.wire import party_pb2
from common.wire.frames import Piece, pack
from common.wire.peer import PROTOCOL
from common.wire.peer_pb2 import Frame
from tests.patience import patience

PARTY = {Party.GRID: Identity("volt", "grid-party"), Party.BANK: Identity("acme", "bank-party")}
CLIENT = Identity("acme", "client")
PLAN = TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}})


def make_settings(folder: Path, **values: Any) -> CoordinatorSettings:
    tls = {"certificate": folder / "x.pem", "key": folder / "x.key", "trust": folder}
    parties = {party.value: str(identity) for party, identity in PARTY.items()}
    return CoordinatorSettings.model_validate(
        {"tls": tls, "data": folder, "listen": "127.0.0.1:0", "clients": [str(CLIENT)], **parties, "resume_days": 0, **values}
    )


def join(job: str) -> party_pb2.Demand:
    """The first message of a dealer stream."""
    return party_pb2.Demand(join=party_pb2.Join(job=job, nonce=bytes(NONCE_BYTES), key=bytes(KEY_BYTES)))


class Caller:
    """A call as a handler sees it: `say` puts what it reads, None to end; `heard` is what it wrote."""

    def __init__(self, identity: Identity) -> None:
        self.identity, self.heard = identity, list[Any]()
        self.cause: WattScoreError | None = None
        self._said: asyncio.Queue[Any] = asyncio.Queue()
        self._news = asyncio.Event()

    def say(self, message: Any) -> None:
        self._said.put_nowait(message)

    async def refused(self) -> WattScoreError | None:
        return self.cause

    async def read(self) -> Any:
        message = await self._said.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def write(self, message: Any) -> None:
        framed = isinstance(message, Piece)
        self.heard.append(Frame.FromString(pack(message)) if framed else type(message).FromString(message.SerializeToString()))
        self._news.set()

    async def hears(self, what: str) -> Any:
        """The next message of this kind, or one that was heard and not asked for yet."""

        async def wait() -> Any:
            while True:
                for place, message in enumerate(self.heard):
                    if message.WhichOneof("message") == what:
                        return self.heard.pop(place)
                self._news.clear()
                await self._news.wait()

        return await asyncio.wait_for(wait(), patience(5))


class Office:
    """The coordinator at work."""

    def __init__(self, coordinator: Coordinator, board: Board) -> None:
        self.coordinator, self.board = coordinator, board
        self.ended: dict[Caller, asyncio.Task[Any]] = {}

    async def attend(self, party: Party | Identity, held: Sequence[str] = ()) -> Caller:
        """A party, or a bank by its name, that has been welcomed; its handler's task is in `ended`. held: jobs it has begun."""
        caller: Any = Caller(PARTY[party] if isinstance(party, Party) else party)
        role = party.value if isinstance(party, Party) else Party.BANK.value
        caller.say(party_pb2.FromParty(register=party_pb2.Register(party=role, protocol=PROTOCOL, held=held)))
        self.ended[caller] = asyncio.create_task(self.coordinator.attend(None, caller))
        await caller.hears("welcome")
        await asyncio.sleep(0)
        return caller  # type: ignore[no-any-return]

    async def submit(self, **more: Any) -> str:
        plan = PLAN.model_copy(update=more)
        return (await self.coordinator.submit(wire.SubmitRequest(plan=plan.canonical()), client())).id

    def shown(self, job: str) -> wire.Job:
        return self.board.get(job).message

    async def until(self, good: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not good():
                await asyncio.sleep(0.005)

        await asyncio.wait_for(wait(), patience(5))

    async def running(self, **more: Any) -> tuple[str, Caller, Caller]:
        """A job that both parties have been told to start."""
        grid, bank = await self.attend(Party.GRID), await self.attend(Party.BANK)
        job = await self.submit(**more)
        for caller in (grid, bank):
            assert (await caller.hears("offer")).offer.job == job
            caller.say(party_pb2.FromParty(accept=party_pb2.Accept(job=job)))
        for caller in (grid, bank):
            await caller.hears("start")
        return job, grid, bank

    async def final(self, job: str) -> wire.Job:
        await self.until(lambda: self.board.get(job).state.final)
        return self.shown(job)


def client(who: Identity = CLIENT) -> Any:
    return Caller(who)


@asynccontextmanager
async def office(folder: Path, **settings: Any) -> AsyncIterator[Office]:
    """A working coordinator; its `run` must not have ended by the time the test has."""
    chosen = make_settings(folder, **settings)
    board = Board(folder, chosen.members, resume=chosen.resume_days > 0)
    found = Office(Coordinator(chosen, board), board)
    work = asyncio.create_task(found.coordinator.run())
    try:
        yield found
        assert not work.done() or found.coordinator._stopping.is_set(), "the coordinator has died"
    finally:
        for task in (work, *found.ended.values()):
            task.cancel()
            with suppress(asyncio.CancelledError, WattScoreError):
                await task
