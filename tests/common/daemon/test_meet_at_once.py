"""Two jobs of one pair that meet at the same moment: what each says of its log arrives in another order than it was said."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from bank_party.dial import Dial
from common.daemon.account import Account
from common.errors import PolicyError
from common.home.audit import AuditLog, What
from common.party import Identity
from common.wire.peer import Counter
from grid_party.listen import Door
from tests.patience import patience

BANK = Identity("acme", "bank")
DIGEST = bytes(range(32))


class Way:
    """Frames one way, none of which arrives while it is held."""

    def __init__(self) -> None:
        self._frames, self.free, self.sent = asyncio.Queue[Any](), asyncio.Event(), asyncio.Event()
        self.free.set()

    async def read(self) -> Any:
        frame = await self._frames.get()
        await self.free.wait()
        return frame

    async def write(self, frame: Any) -> None:
        self._frames.put_nowait(frame)
        self.sent.set()


class End:
    """One end of a stream."""

    def __init__(self, ingoing: Way, outgoing: Way) -> None:
        self.identity, self.read, self.write = BANK, ingoing.read, outgoing.write

    async def close(self) -> None:
        pass


class Pair:
    """Both parties with their logs, and for each job a stream from the bank to the grid."""

    def __init__(self, folder: Path) -> None:
        self.logs = {name: AuditLog(folder / f"{name}.sqlite") for name in ("grid", "bank")}
        self.door, self.serving = Door(BANK), list[asyncio.Task[None]]()
        self.dial = Dial(self)  # type: ignore[arg-type]
        self.up, self.down = Way(), Way()

    def stream(self, _: Any) -> Any:
        """The next job's."""
        there: Any = End(self.up, self.down)
        self.serving.append(asyncio.create_task(self.door.exchange(None, there)))
        return End(self.down, self.up)

    def meet(self, job: str) -> tuple[Awaitable[list[Any]], Way, Way]:
        """What becomes of the meeting at the bank and at the grid, and both ways of its stream."""
        self.up, self.down = Way(), Way()
        for name, log in self.logs.items():
            log.add(What.ACCEPT, job, by=name)
        self.door.expect(job)
        self.dial.expect(job)
        accounts = (Account(self.logs[name], job, f"the {other}", name) for name, other in (("bank", "grid"), ("grid", "bank")))
        sides = zip((self.dial, self.door), accounts, strict=True)
        both = asyncio.gather(*(side.meet(job, DIGEST, Counter(), account) for side, account in sides), return_exceptions=True)
        return both, self.up, self.down

    async def end(self, *jobs: str) -> None:
        for job in jobs:
            self.door.forget(job)
            self.dial.forget(job)
        await asyncio.gather(*self.serving, return_exceptions=True)


async def met(both: Awaitable[list[Any]]) -> None:
    for channel in await asyncio.wait_for(both, patience(10)):
        if isinstance(channel, Exception):
            raise channel
        await channel.stop()


@pytest.mark.parametrize("late", ["what the bank says", "what the grid says"])
async def test_what_arrives_late_is_no_sign_of_a_restored_log(tmp_path: Path, late: str) -> None:
    pair = Pair(tmp_path)
    await met(pair.meet("job-0")[0])
    slow, up, down = pair.meet("job-1")
    way = up if late == "what the bank says" else down
    way.free.clear()
    await way.sent.wait()
    for job in ("job-2", "job-3"):  # of the same pair, meanwhile
        await met(pair.meet(job)[0])
    heads = {name: log.held() for name, log in pair.logs.items()}
    way.free.set()
    await met(slow)
    for name, log in pair.logs.items():
        assert log.held().number >= heads[name].number, "what was told last is not less than before"
        log.verify_against(pair.logs["bank" if name == "grid" else "grid"].heard())
    await met(pair.meet("job-4")[0])
    await pair.end(*(f"job-{number}" for number in range(5)))


@pytest.mark.parametrize("name", ["bank", "grid"])
@pytest.mark.parametrize("more", [0, 9])
async def test_a_restored_log_is_noticed_by_both_however_late_what_it_says(tmp_path: Path, name: str, more: int) -> None:
    """more: entries after it was restored: with as many it is longer than the one that the other was told of."""
    pair = Pair(tmp_path)
    await met(pair.meet("job-0")[0])
    shutil.copy(tmp_path / f"{name}.sqlite", tmp_path / "copy")
    for job in ("job-1", "job-2"):
        await met(pair.meet(job)[0])
    shutil.copy(tmp_path / "copy", tmp_path / f"{name}.sqlite")
    for _ in range(more):
        pair.logs[name].add(What.REFUSE, "x")
    bank, grid = await asyncio.wait_for(pair.meet("job-3")[0], patience(10))
    here, there = (bank, grid) if name == "bank" else (grid, bank)
    assert isinstance(here, PolicyError) and "the audit log here is not the one of" in here.message
    if not more:
        assert isinstance(there, PolicyError) and f"the audit log of the {name} is not the one of" in there.message
    await pair.end(*(f"job-{number}" for number in range(4)))
