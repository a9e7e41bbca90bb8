"""A daemon that records every masked array it sends, and is disturbed from within as files beside its configuration say.

    python -m tests.scenarios.kill.victim NAME serve --config FOLDER/NAME.toml

`NAME.kill` holds a number: after so many arrays, of the kind named before it if one is, it ends as by `kill -9`, before the
last one leaves, and says so in `NAME.killed`; 0: not any more. `NAME.hold` holds a number likewise: that array waits, and all
that comes after it, as long as there is a file `NAME.held`, which it then makes; all else goes on. A party's word that its job
is done, which is no array, counts where its kind `done` is named. While there is a file `NAME.full`, its disk takes nothing;
while there is a file `NAME.hang`, its disk does not answer, which `NAME.hangs` says once it is asked for something.
`NAME.clock` holds seconds by which its clock is wrong. `NAME.PID.frames` gets the record of one life, and `NAME.seeds` the
fingerprint of each seed that it expands, with its process id. KEPT in its environment: how many times as often a training
keeps a point as it does by itself. SPAN_ROWS in it: how many rows go through a step together, so that few make many spans.
REPEATED in it: what is drawn at random is what another process of the same name draws, so that jobs of two towns can be
compared byte by byte. What it holds it says as `counted` does.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import signal
import sys
import time
from collections import Counter
from hashlib import shake_256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import common.daemon.daemon
import common.learn.linear.course as course
import common.learn.network.course as network_course
import common.match.aided
from common.learn.linear import path
from common.mpc.prg import Prg
from common.mpc.seeds import fingerprint
from common.mpc.session import Array, Round
from common.wire.client import Stream
from common.wire.dealing import DealtChannel
from common.wire.party_pb2 import FromParty
from common.wire.peer import FrameChannel
from tests.scenarios.end_to_end.counted import answer
from tests.scenarios.kill.masks import Sent, write_frame
from tests.scenarios.mains import MAIN

_fsync, _time = os.fsync, time.time
MASKED = ("masked_", "period_bits", "lattice_")


class Told:
    """The number of an array that a file holds, after the kind that is counted, if one is named."""

    def __init__(self, file: Path) -> None:
        self._file, self._left, self._counted = file, 0, ""

    def due(self, kind: str, *, named: bool = False) -> bool:
        """Whether an array of this kind is that one. named: where its kind is, alone."""
        if self._file.exists():
            taken = self._file.rename(f"{self._file}.taken")  # what it is told from now on is not lost
            *counted, number = (taken.read_text() or "1").split()
            self._left, self._counted = int(number), "".join(counted)
            taken.unlink()  # the next life is its own
        if self._counted != kind and (self._counted or named):
            return False
        self._left -= 1
        return self._left == 0


class Victim:
    """name: of the daemon. folder: where it is told when to end, and keeps its record."""

    def __init__(self, name: str, folder: Path, *, told: str = "", life: int = 0) -> None:
        """told: by which name it is disturbed; its own. life: the process of whose life it is a part, as a worker's is."""
        self._life, told = life or os.getpid(), told or name
        self._full, self._clock = (folder / f"{told}.{what}" for what in ("full", "clock"))
        self._killed, self._held = folder / f"{told}.killed", folder / f"{told}.held"
        self._hang, self._hangs = folder / f"{told}.hang", folder / f"{told}.hangs"
        self._told = {what: Told(folder / f"{told}.{what}") for what in ("kill", "hold")}
        self._frames = (folder / f"{name}.{os.getpid()}.frames").open("ab")  # a torn end must not be written on to
        self._seeds = (folder / f"{name}.seeds").open("a")
        self._known = set[bytes]()

    def close(self) -> None:
        """What the end of the process does, where there is none."""
        self._frames.close()
        self._seeds.close()

    def sends(self, round: Round, values: Array) -> None:
        """Before an array leaves: it is recorded though it may never leave, as its mask is used up."""
        if round.kind.value.startswith(MASKED):
            write_frame(self._frames, Sent(round.kind.value, self._life, values))
            self._frames.flush()
        self.comes_to(round.kind.value)

    def comes_to(self, kind: str, *, named: bool = False) -> None:
        """Before one of this kind leaves: whether this is where it is to wait, or to end."""
        if self._told["hold"].due(kind, named=named):
            self._held.touch()
        if self._told["kill"].due(kind, named=named):
            with self._killed.open("a") as file:
                file.write(f"{os.getpid()} before {kind}\n")
            os.kill(os.getpid(), signal.SIGKILL)

    async def waits(self) -> None:
        while self._held.exists():
            await asyncio.sleep(0.01)

    def syncs(self, handle: int) -> None:
        while self._hang.exists():
            self._hangs.touch()
            time.sleep(0.01)
        if self._full.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        _fsync(handle)

    def time(self) -> float:
        return _time() + (float(self._clock.read_text() or 0) if self._clock.exists() else 0.0)

    def expands(self, seed: bytes) -> None:
        mark = fingerprint(seed)
        if mark not in self._known:
            self._known.add(mark)
            self._seeds.write(f"{self._life} {mark.hex()}\n")
            self._seeds.flush()


def watch(victim: Victim) -> None:
    """Puts `victim` before what sends and what expands."""
    for channel in (FrameChannel, DealtChannel):
        channel.send = _watched(channel.send, victim)  # type: ignore[assignment,method-assign]
    FrameChannel.keep = _kept(FrameChannel.keep, victim)  # type: ignore[method-assign]
    Stream.write = _last_word(Stream.write, victim)  # type: ignore[method-assign]
    begin = Prg.__init__

    def init(self: Prg, seed: bytes, key: bytes = b"") -> None:  # the key is for all jobs, and masks nothing
        begin(self, seed, key)
        victim.expands(seed)

    Prg.__init__ = init  # type: ignore[method-assign]
    os.fsync, time.time = victim.syncs, victim.time


def repeat(name: str) -> None:
    """From now on the n-th word that a module draws is told by `name`, that module and n. For one life: masks come again."""
    drawn = Counter[str]()

    def draw(size: int | None = None) -> bytes:
        who = str(sys._getframe(1).f_globals["__name__"])
        drawn[who] += 1
        return shake_256(f"{name} {who} {drawn[who]}".encode()).digest(size or 32)

    secrets.token_bytes = draw
    common.match.aided.os = SimpleNamespace(urandom=draw)  # type: ignore[assignment]


def _watched(send: Any, victim: Victim) -> Any:
    async def watched(self: Any, round: Round, values: Array) -> None:
        if isinstance(self, FrameChannel) and self.keep(round, values):
            return
        victim.sends(round, values)
        await victim.waits()
        await send(self, round, values)

    return watched


def _last_word(write: Any, victim: Victim) -> Any:
    async def said(self: Any, message: Any) -> None:
        if isinstance(message, FromParty) and message.WhichOneof("message") == "done":
            victim.comes_to("done", named=True)
            await victim.waits()
        await write(self, message)

    return said


def _kept(keep: Any, victim: Victim) -> Any:
    def kept(self: Any, round: Round, values: Array) -> bool:
        """What is held for a message with others is not sent by itself."""
        taken = bool(keep(self, round, values))
        if taken:
            victim.sends(round, values)
        return taken

    return kept


def shorten_spans() -> None:
    """As the environment says."""
    path.SPAN_ROWS = int(os.environ.get("SPAN_ROWS", path.SPAN_ROWS))


if __name__ == "__main__":
    name = sys.argv.pop(1)
    shorten_spans()
    common.daemon.daemon.command_of = lambda package, config: [
        *(sys.executable, "-m", "tests.scenarios.kill.victim_worker", name),
        *(package, str(config)),
    ]
    for kept in (course, network_course):
        kept.KEEP_CELLS //= int(os.environ.get("KEPT", "1"))
    config = Path(sys.argv[sys.argv.index("--config") + 1])
    answer(config)
    watch(Victim(name, config.parent))
    if "REPEATED" in os.environ:
        repeat(name)
    MAIN.get(name, MAIN["bank"])()  # further banks are named bank-2 and so on
