"""The bank's way to the grid: dialled again for a moment where it is not reached, and no longer."""

from __future__ import annotations

from typing import Any

import pytest

from bank_party import dial
from bank_party.dial import Dial
from common.errors import IdentityError, PeerLost, PeerProtocolError, WattScoreError
from common.wire.peer_pb2 import Frame, Hello

LOST = PeerLost("no connection to the grid")


class Line:
    """A connection whose streams meet these errors, one after the other; then the greeting is taken."""

    def __init__(self, *errors: WattScoreError) -> None:
        self.errors, self.opened, self.closed, self.taken = list(errors), 0, 0, list[Frame]()

    def stream(self, _: Any) -> Line:
        self.opened += 1
        return self

    async def write(self, frame: Frame) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(frame)

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "_PAUSE", 0.0)


async def reached(line: Any) -> None:
    await Dial(line)._reached("job-1", Frame(hello=Hello(job="job-1")))


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_a_line_that_is_cut_as_a_job_begins_fails_it_not(times: int) -> None:
    line = Line(*[LOST] * times)
    await reached(line)
    assert (line.opened, line.closed, [frame.hello.job for frame in line.taken]) == (times + 1, times, ["job-1"])


async def test_a_grid_that_is_not_reached_ends_it_with_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "REACH", -1.0)
    line = Line(LOST, LOST)
    with pytest.raises(PeerLost, match="no connection to the grid"):
        await reached(line)
    assert line.opened == 1 and not line.taken


@pytest.mark.parametrize("error", [IdentityError("another server"), PeerProtocolError("no such call")])
async def test_what_would_be_so_again_is_not_tried_again(error: WattScoreError) -> None:
    line = Line(error)
    with pytest.raises(type(error)):
        await reached(line)
    assert line.opened == 1
