"""What stops an attempt from beside it: once, for the first cause, and not after its end."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from common.daemon import broken
from common.daemon.broken import Watches
from common.errors import PeerLost, WattScoreError
from common.wire.peer import FrameChannel


class Line:
    """One that breaks once it is told why."""

    def __init__(self) -> None:
        self.breaks, self.ends = asyncio.Future[WattScoreError](), asyncio.Future[WattScoreError]()

    async def broken(self) -> WattScoreError:
        return await self.breaks

    async def told(self) -> WattScoreError:
        return await self.ends


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(broken, "_LEFT", 0.0)
    return []


def watched(watches: Watches) -> Line:
    watches.line(cast(FrameChannel, line := Line()))
    return line


async def test_of_lines_that_break_the_first_stops_the_attempt_and_no_other_does_so_again(stopped: list[str]) -> None:
    """Who is stopped twice leaves off what is done at its end, as to wait for whether the other party has kept the product."""
    watches = Watches(lambda cause: stopped.append(cause.message))
    dealer, peer = watched(watches), watched(watches)
    await turns()
    assert stopped == []
    peer.breaks.set_result(PeerLost("the grid is gone"))
    await turns()
    dealer.breaks.set_result(PeerLost("the coordinator is gone"))
    await turns()
    assert stopped == ["the grid is gone"]
    watches.end()


async def test_an_attempt_that_is_through_is_not_stopped_for_a_line_that_broke_before(stopped: list[str]) -> None:
    watches = Watches(lambda cause: stopped.append(cause.message))
    line = watched(watches)
    line.breaks.set_result(PeerLost("the grid is gone"))
    watches.end()
    await turns()
    assert stopped == []


@pytest.mark.parametrize("waits", [True, False])
async def test_who_waits_for_hours_hears_that_the_other_has_ended_the_job(waits: bool, stopped: list[str]) -> None:
    """As a bank that nobody asks for a score: it was told at the next request, and said until then that it serves.

    One that files what it has goes on with that, and hears so after it.
    """
    watches, line = Watches(lambda cause: stopped.append(cause.message)), Line()
    watches.idle_line(lambda: waits, cast(FrameChannel, line))
    await turns()
    assert stopped == []
    line.ends.set_result(PeerLost("the grant was withdrawn"))
    await turns()
    assert stopped == (["the grant was withdrawn"] if waits else [])
    watches.end()
