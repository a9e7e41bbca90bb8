"""Matching by a helper process: the choice a plan makes, and finding the common tags. PROTOCOL.md section 8."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from pydantic import Field

from common.config import StrictModel
from common.errors import ConfigError, HelperFailed, PlanError
from common.match.ecdh import Match, match_ids
from common.match.process import Helper
from common.match.tags import TAG_BYTES, Tags, match_tags
from common.match.tunnel import Part, Tunnel
from common.mpc.session import Kind, Session
from common.plan.request import Plan

_NAME_BYTES = 32  # the helpers' names and versions, as exchanged
_BYTES_PER_ID = 20  # through the tunnel, both ways, for progress only
_TICK = 0.2  # seconds between looks at progress


class MatcherSettings(StrictModel):
    """The program that matches ids where a plan has matching = "rr22": another Python, which has `spu`."""

    python: Path | None = Field(
        default=None, description="The python of an environment of its own in which spu is installed. None: no such plans."
    )
    timeout: float = Field(default=300.0, ge=1, le=86_400, description="Seconds without a byte after which matching fails.")


def check_matcher(plan: Plan, settings: MatcherSettings) -> None:
    """Raises PlanError when a plan asks for a matcher that this party has not, ConfigError when what it names is none."""
    if plan.matching == "ecdh":
        return
    if settings.python is None:
        raise PlanError(
            f"the plan matches by {plan.matching!r}, for which this party has no matcher",
            remedy="Set matcher.python in this party's configuration, or use matching = 'ecdh'.",
        )
    if not os.access(settings.python, os.X_OK):
        raise ConfigError(
            "matcher.python is no program that can be run",
            remedy="Name the python of an environment in which spu is installed.",
            local=f"It is {settings.python}.",
        )


def choose_match(plan: Plan, settings: MatcherSettings) -> Match:
    """How this plan's ids are matched."""
    if plan.matching == "ecdh" or settings.python is None:
        return match_ids
    return functools.partial(match_tags, find=Finder(settings.python, settings.timeout))


class Finder:
    """Finds the common tags of both parties with a helper process at each."""

    def __init__(self, python: Path, timeout: float) -> None:
        self._python, self._timeout = python, timeout

    async def __call__(self, session: Session, tags: Tags, most: int) -> Tags:
        """The tags the other party has too, uint8 (common, 16), sorted. `most`: the larger number of tags, as both know it.

        Bytes: some 20 an id of both, and 1 MB. Raises HelperFailed, ConfigError, PeerProtocolError, PeerLost or PeerFailed.
        """
        folder = Path(tempfile.mkdtemp(prefix="wattscore-"))  # mode 0700
        tunnel: Tunnel | None = None
        helper: Helper | None = None
        try:
            await asyncio.to_thread(_write, folder / "ids.csv", tags)
            tunnel = Tunnel(session, folder)
            await tunnel.open()
            helper = await Helper.start(self._python, folder, session.party.index, most, int(self._timeout))
            await self._loaded(session, helper)
            count = await self._run(session, helper, tunnel, len(tags) + most)
            return await asyncio.to_thread(_read, folder / "common.csv", count)
        finally:
            cleaning = asyncio.create_task(_clean(tunnel, helper, folder))
            try:
                await asyncio.shield(cleaning)
            finally:
                await asyncio.wait({cleaning})  # however often this task is cancelled

    async def _loaded(self, session: Session, helper: Helper) -> None:
        """Waits until both helpers are there, which must be the same program."""
        try:
            mine = await asyncio.wait_for(helper.ready(), self._timeout)
        except TimeoutError:
            raise HelperFailed(f"the matcher did not start within {self._timeout:.0f} s") from None
        name = np.frombuffer(mine.encode()[:_NAME_BYTES].ljust(_NAME_BYTES), np.uint8)
        got = (await session.exchange(Kind.PSI_TUNNEL, name)).tobytes().decode("ascii", "replace").strip()
        if got != name.tobytes().decode("ascii", "replace").strip():
            theirs = "".join(c for c in got if c.isalnum() or c in " .")
            raise ConfigError(
                "the two parties' matchers differ", expected=mine, got=theirs, remedy="Install the same version of spu on both."
            )

    async def _run(self, session: Session, helper: Helper, tunnel: Tunnel, ids: int) -> int:
        found = asyncio.create_task(_converse(helper, tunnel))
        carrying = asyncio.create_task(tunnel.carry(found))
        watching = asyncio.create_task(self._watch(session, tunnel, ids * _BYTES_PER_ID))
        try:
            await asyncio.wait({carrying, watching}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
            carrying.result()
            return found.result()
        finally:
            for task in (found, carrying, watching):
                task.cancel()
            await asyncio.gather(found, carrying, watching, return_exceptions=True)

    async def _watch(self, session: Session, tunnel: Tunnel, total: int) -> None:
        """Reports progress; raises HelperFailed when nothing has moved for `timeout` seconds."""
        clock = asyncio.get_running_loop().time
        moved, since = -1, clock()
        while clock() - since < self._timeout:
            if tunnel.moved != moved:
                moved, since = tunnel.moved, clock()
                session.reporter.progress(min(moved, total), total)
            await asyncio.sleep(_TICK)
        raise HelperFailed(
            f"the matchers exchanged nothing for {self._timeout:.0f} s",
            remedy="See both parties' logs; for very large tables raise matcher.timeout.",
        )


async def _converse(helper: Helper, tunnel: Tunnel) -> int:
    """Lets the helper connect, begin once both have, and end once both are done; the number of common tags."""
    helper.go()
    await helper.linked()
    await tunnel.meet(Part.LINKED)
    helper.go()
    count = await helper.done()
    await tunnel.meet(Part.DONE)
    return count


async def _clean(tunnel: Tunnel | None, helper: Helper | None, folder: Path) -> None:
    if helper is not None:
        await helper.stop()
    if tunnel is not None:
        await tunnel.close()
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _write(path: Path, tags: Tags) -> None:
    """`tag`, then a line of 32 hexadecimal digits each."""
    text = np.full((len(tags), 2 * TAG_BYTES + 1), ord("\n"), np.uint8)
    text[:, :-1] = np.frombuffer(tags.tobytes().hex().encode(), np.uint8).reshape(len(tags), -1)
    with path.open("wb") as file:
        file.write(b"tag\n")
        file.write(text.data)


def _read(path: Path, count: int) -> Tags:
    """The tags of a helper's result, sorted; raises HelperFailed for anything but `count` lines of one tag."""
    try:
        _, _, body = path.read_bytes().partition(b"\n")
        lines = np.frombuffer(body, np.uint8).reshape(count, 2 * TAG_BYTES + 1)
        raw = np.frombuffer(bytes.fromhex(lines[:, :-1].tobytes().decode("ascii")), f"S{TAG_BYTES}")
    except (OSError, ValueError):
        raise HelperFailed("the matcher left no result that can be read") from None
    return np.frombuffer(np.sort(raw).tobytes(), np.uint8).reshape(count, TAG_BYTES)
