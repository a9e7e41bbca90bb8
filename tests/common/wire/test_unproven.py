"""Connections without a certificate: how many are kept, whose are hung up on, and that nobody else's are."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from common.wire import unproven
from common.wire.unproven import DESCRIPTORS, Room, Unproven, descriptors, obtainable, parse_peer, raise_descriptors

SMALL = Room(most=64, unproven=12, of_one=5)


class Door:
    """A port of this process, and those who have come to it."""

    def __init__(self, held: ExitStack) -> None:
        self._held, self._listener = held, held.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._listener.getsockname()[1]

    def come(self, *addresses: str) -> list[socket.socket]:
        """A connection from each address, in this order: the far ends."""
        ends = []
        for address in addresses:
            link = socket.create_connection(("127.0.0.1", self.port), source_address=(address, 0))
            ends.append(self._held.enter_context(link))
            self._held.enter_context(self._listener.accept()[0])
        return ends


@pytest.fixture
def door() -> Iterator[Door]:
    with ExitStack() as held:
        yield Door(held)


def ended(link: socket.socket) -> bool:
    link.setblocking(False)
    try:
        return link.recv(1) == b""
    except BlockingIOError:
        return False


@pytest.mark.parametrize("sized", [True, False])
def test_one_more_descriptor_is_noticed_by_their_number(sized: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives it, and by a list of them where it does not."""
    monkeypatch.setattr(unproven, "_SIZED", sized and unproven._SIZED)
    before = unproven._count()
    with socket.socket():
        assert unproven._count() == before + 1
    assert unproven._count() == before


def test_as_many_of_one_address_as_may_be_stay(door: Door) -> None:
    ends = door.come(*["127.0.0.1"] * 5)
    assert Unproven(SMALL).look(door.port) == 0
    assert not any(map(ended, ends))


def test_the_crowd_of_one_address_is_thinned_and_another_one_is_left_alone(door: Door) -> None:
    ends = door.come("127.0.0.3", *["127.0.0.2"] * 9)
    watch = Unproven(SMALL)
    assert watch.look(door.port) == watch.cut == 4
    assert not ended(ends[0]) and sum(map(ended, ends[1:])) == 4


def test_the_oldest_go_first(door: Door) -> None:
    watch, early = Unproven(SMALL), door.come(*["127.0.0.2"] * 5)
    watch.look(door.port)
    late = door.come(*["127.0.0.2"] * 3)
    assert watch.look(door.port) == 3
    assert sum(map(ended, early)) == 3 and not any(map(ended, late))


def test_many_addresses_share_what_there_is(door: Door) -> None:
    ends = door.come(*(f"127.0.0.{2 + i % 10}" for i in range(30)))
    assert Unproven(SMALL).look(door.port) == 18
    assert sum(map(ended, ends)) == 18


def test_who_has_made_a_call_stays_whatever_crowd_comes(door: Door) -> None:
    watch, ends = Unproven(SMALL), door.come(*["127.0.0.1"] * 20)
    for link in ends[:3]:
        host, port = link.getsockname()
        watch.proven(f"ipv4:{host}:{port}")
    assert watch.look(door.port) == 12
    assert not any(map(ended, ends[:3]))


def test_connections_to_other_ports_are_none_of_its_business(door: Door) -> None:
    ends = door.come(*["127.0.0.1"] * 20)
    assert Unproven(SMALL).look(door.port + 1) == 0
    assert not any(map(ended, ends))


def test_a_crowd_that_takes_the_last_descriptor_is_looked_at_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    ends, unproven = door.come(*["127.0.0.1"] * 8), Unproven(SMALL)

    def none_left(number: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("os.dup", none_left)
        assert unproven.look(door.port) == 0
    assert unproven.look(door.port) == 3 and sum(map(ended, ends)) == 3


def test_a_descriptor_that_is_another_socket_by_now_is_looked_at_again(door: Door) -> None:
    unproven = Unproven(SMALL)
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_connection(("127.0.0.1", door.port)) as link:
        unproven.look(door.port)
        number = other.fileno()
        other.close()
        with door._listener.accept()[0] as taken:
            assert taken.fileno() == number
            ends = [link, *door.come(*["127.0.0.1"] * 5)]
            assert unproven.look(door.port) == 1 and sum(map(ended, ends)) == 1


@pytest.mark.parametrize(
    ("peer", "far"),
    [
        ("ipv4:127.0.0.1:40000", ("127.0.0.1", 40000)),
        ("ipv6:%5B::1%5D:40000", ("::1", 40000)),
        ("ipv6:[::ffff:10.0.0.7]:9", ("10.0.0.7", 9)),
        ("ipv6:%5Bfe80::1%25eth0%5D:9", ("fe80::1", 9)),
        ("unix:/tmp/x", None),
        ("", None),
    ],
)
def test_how_grpc_writes_the_far_end(peer: str, far: tuple[str, int] | None) -> None:
    assert parse_peer(peer) == far


@pytest.mark.parametrize("files", [64, 1024, 1 << 14])
def test_half_of_the_descriptors_are_left_for_files(files: int) -> None:
    room = Room.of(files)
    assert room.of_one <= room.unproven <= room.most / 2 <= files / 4


def test_a_daemon_takes_what_its_system_grants() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert descriptors() == 256
        raise_descriptors()
        assert descriptors() == obtainable() > 256
        assert descriptors() <= max(DESCRIPTORS, 256)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
