"""The tunnel itself: pieces that do not belong are refused, and only the helper's first call is taken."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from common.errors import PeerProtocolError
from common.match.tunnel import PIECE, Part, Tunnel
from common.mpc.session import Kind, Session, memory_pair
from common.party import Party
from tests.peers import ALL


async def carried(folder: Path, *pieces: bytes) -> None:
    """A tunnel whose other side sends these pieces, and whose helper never ends."""
    one, two = memory_pair()
    other = Session(Party.BANK, two, allowed=ALL)
    for piece in pieces:
        await other.send(Kind.PSI_TUNNEL, np.frombuffer(piece, np.uint8))
    tunnel = Tunnel(Session(Party.GRID, one, allowed=ALL), folder)
    await tunnel.open()
    never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    try:
        await asyncio.wait_for(tunnel.carry(never), 5.0)
    finally:
        await tunnel.close()


@pytest.mark.parametrize(
    ("piece", "why"),
    [
        (b"\x07x", "a piece of no connection"),
        (b"\x00" * (PIECE + 2), "another shape"),
        (bytes([Part.ANSWER]) + b"x", "answered a call that was not made"),
    ],
)
async def test_a_piece_that_does_not_belong_is_refused(tmp_path: Path, piece: bytes, why: str) -> None:
    with pytest.raises(PeerProtocolError, match=why):
        await carried(tmp_path, piece)


async def test_an_empty_piece_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PeerProtocolError, match="no connection"):
        await carried(tmp_path, b"")


async def test_one_call_and_no_more(tmp_path: Path) -> None:
    one, two = memory_pair()
    tunnel = Tunnel(Session(Party.GRID, one, allowed=ALL), tmp_path)
    await tunnel.open()
    path = tmp_path / "peer.sock"
    _, first = await asyncio.open_unix_connection(path)
    first.write(b"hello")
    helper: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    carrying = asyncio.create_task(tunnel.carry(helper))
    other = Session(Party.BANK, two, allowed=ALL)
    piece = await other.receive_some(Kind.PSI_TUNNEL, np.uint8, PIECE + 1)
    assert piece.tobytes() == bytes([Part.CALL]) + b"hello"
    with pytest.raises((ConnectionError, FileNotFoundError)):
        await asyncio.open_unix_connection(path)
    first.close()
    helper.set_result(3)
    assert (await other.receive_some(Kind.PSI_TUNNEL, np.uint8, 1)).tobytes() == bytes([Part.END])
    assert not carrying.done()
    await other.send(Kind.PSI_TUNNEL, np.array([Part.END], np.uint8))
    await asyncio.wait_for(carrying, 5.0)
    assert tunnel.moved == 8
    await tunnel.close()


async def test_what_is_sent_to_a_helper_that_has_ended_is_dropped(tmp_path: Path) -> None:
    one, two = memory_pair()
    tunnel = Tunnel(Session(Party.GRID, one, allowed=ALL), tmp_path)
    await tunnel.open()
    helper: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    helper.set_result(0)
    other = Session(Party.BANK, two, allowed=ALL)
    carrying = asyncio.create_task(tunnel.carry(helper))
    await other.receive_some(Kind.PSI_TUNNEL, np.uint8, 1)
    await other.send(Kind.PSI_TUNNEL, np.frombuffer(bytes([Part.CALL]) + b"late", np.uint8))
    await other.send(Kind.PSI_TUNNEL, np.array([Part.END], np.uint8))
    await asyncio.wait_for(carrying, 5.0)
    await tunnel.close()


@pytest.mark.parametrize("part", [Part.LINKED, Part.DONE])
async def test_neither_begins_nor_ends_before_the_other(tmp_path: Path, part: Part) -> None:
    """The real matcher hung, or failed at its end, when one of the two was quicker."""
    one, two = memory_pair()
    tunnel = Tunnel(Session(Party.GRID, one, allowed=ALL), tmp_path)
    helper: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    carrying = asyncio.create_task(tunnel.carry(helper))
    meeting = asyncio.create_task(tunnel.meet(part))
    other = Session(Party.BANK, two, allowed=ALL)
    assert (await other.receive_some(Kind.PSI_TUNNEL, np.uint8, 1)).tobytes() == bytes([part])
    done, _ = await asyncio.wait([meeting], timeout=0.05)
    assert not done
    await other.send(Kind.PSI_TUNNEL, np.array([part], np.uint8))
    await asyncio.wait_for(meeting, 5.0)
    helper.set_result(1)
    await other.send(Kind.PSI_TUNNEL, np.array([Part.END], np.uint8))
    await asyncio.wait_for(carrying, 5.0)
    await tunnel.close()
