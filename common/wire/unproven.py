"""Connections that have shown no certificate yet: few in all, few of one address, so that no crowd of them shuts others out.

gRPC takes connections until descriptors run out, and then serves nobody: jobs cannot open their files either. It can be told
how many to take (`most`), not of whom. So a thread looks at the connections of the server's port, and hangs up on the oldest
of those which have made no call, of the address that has most of them: whoever comes to work needs a place for as long as a
TLS handshake takes. A call has been made under TLS with a certificate of a known organisation: who has made one stays.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import os
import resource
import socket
import stat
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote

HANDSHAKE = 10.0  # seconds a connection may take until TLS is agreed on
DESCRIPTORS = 1 << 14  # as many as a daemon asks its system for
_LOOK, _BUSY = 0.1, 0.01  # seconds between two looks; while there is a crowd
_UNPROVEN, _OF_ONE = 256, 64

_UNCONNECTED = (errno.ENOTCONN, errno.EINVAL)  # it listens, or the other end has gone

Far = tuple[str, int]  # the address and port at the other end


@dataclass(frozen=True)
class Room:
    """How many connections a process may have: in all, of those not proven, and of those of one address."""

    most: int
    unproven: int
    of_one: int

    @classmethod
    def of(cls, descriptors: int) -> Room:
        """The room in a process that may open as many descriptors: half of them are left for files."""
        most = max(8, descriptors // 2)
        unproven = min(_UNPROVEN, most // 2)
        return cls(most, unproven, min(_OF_ONE, max(2, unproven // 2)))


def descriptors() -> int:
    """How many descriptors this process may open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def obtainable() -> int:
    """How many it may open once it has asked for more, up to `DESCRIPTORS`."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return max(descriptors(), DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS))


def raise_descriptors() -> None:
    """Asks for more; a system that does not grant them leaves what there is."""
    if (more := obtainable()) > descriptors():
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


class Unproven:
    """Watches the connections to one port of this process. Start it once the port is bound; `proven` may be called before."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._proven: set[Far] = set()
        self._since: dict[Far, int] = {}
        self._others: dict[int, int] = {}  # sockets that are no connection to the port, and which each of them is
        self._looks = itertools.count()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.cut = 0  # connections hung up on

    def start(self, port: int) -> None:
        self._thread = threading.Thread(target=self._watch, args=(port,), name="unproven", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def proven(self, peer: str) -> None:
        """A call came from `peer`, as gRPC writes it."""
        if (far := parse_peer(peer)) is not None:
            self._proven.add(far)

    def _watch(self, port: int) -> None:
        before = cut = 0
        while not self._over.wait(_BUSY if cut else _LOOK):
            with contextlib.suppress(OSError):  # as when a descriptor for the list is lacking; the next look may find one
                if (count := _count()) != before or cut:
                    before, cut = count, self.look(port)

    def look(self, port: int) -> int:
        """Hangs up on those above the limits; how many those were."""
        look, held = next(self._looks), dict[Far, int]()
        for number, far in self._connections(port):
            held[far] = number
        self._since = {far: self._since.get(far, look) for far in held}
        self._proven &= held.keys()
        waiting = sorted(held.keys() - self._proven, key=self._since.__getitem__)
        excess = list(self._excess(waiting))
        for far in excess:
            _hang_up(held[far], far)
        self.cut += len(excess)
        return len(excess)

    def _connections(self, port: int) -> Iterator[tuple[int, Far]]:
        """Descriptor and far end of each connection to `port`. Of what is none it is asked once: each call lets others in."""
        before, self._others = self._others, {}
        for number in _open():
            if (inode := _inode(number)) is None:
                continue
            if before.get(number) != inode:
                try:
                    far = _far_end(number, port)
                except OSError:  # it cannot be told now, as where no descriptor is left: a crowd would hide behind that
                    continue
                if far is not None:
                    yield number, far
                    continue
            self._others[number] = inode

    def _excess(self, waiting: list[Far]) -> Iterator[Far]:
        """Those to hang up on: the oldest of the address that has most, again and again. `waiting` has the oldest first."""
        of: dict[str, deque[Far]] = {}
        for far in waiting:
            of.setdefault(far[0], deque()).append(far)
        crowds, total = [(-len(found), address) for address, found in of.items()], len(waiting)
        heapq.heapify(crowds)
        while crowds and (-crowds[0][0] > self._room.of_one or total > self._room.unproven):
            crowd, address = crowds[0]
            yield of[address].popleft()
            total -= 1
            heapq.heapreplace(crowds, (crowd + 1, address))


_OPEN = next((path for path in ("/proc/self/fd", "/dev/fd") if Path(path).is_dir()), "")


def _is_sized() -> bool:
    """Whether the size of that folder is the number of descriptors, as from Linux 6.2 on."""
    before = os.stat(_OPEN).st_size  # noqa: PTH116
    with open(os.devnull, "rb"):  # noqa: PTH123
        return os.stat(_OPEN).st_size == before + 1  # noqa: PTH116


_SIZED = bool(_OPEN) and _is_sized()


def _open() -> list[int]:
    """This process's descriptors."""
    return [int(name) for name in os.listdir(_OPEN)]  # noqa: PTH208 - ten times a second: no object for each


def _count() -> int:
    """How many descriptors this process has, counted in one way: to list 65 takes ninety times as long as the number."""
    return os.stat(_OPEN).st_size if _SIZED else len(_open())  # noqa: PTH116


def _inode(number: int) -> int | None:
    """Which socket descriptor `number` is now, if it is one."""
    try:
        status = os.fstat(number)
    except OSError:
        return None
    return status.st_ino if stat.S_ISSOCK(status.st_mode) else None


def _far_end(number: int, port: int) -> Far | None:
    """The far end of descriptor `number` if it is a connection to `port`; it may be closed at any moment.

    Raises OSError where that cannot be told.
    """
    with _copy(number) as link:
        return _far(link, port) if link is not None else None


def _hang_up(number: int, far: Far) -> None:
    """gRPC sees the end of it, and closes it."""
    with contextlib.suppress(OSError), _copy(number) as link:
        if link is not None and _far(link, None) == far:
            link.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _copy(number: int) -> Iterator[socket.socket | None]:
    """A socket of its own for what descriptor `number` is now, if that is one: nobody can close it meanwhile."""
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            yield None
            return
        copy = os.dup(number)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        yield None
        return
    with socket.socket(fileno=copy) as link:
        yield link


def _far(link: socket.socket, port: int | None) -> Far | None:
    try:
        if link.family not in (socket.AF_INET, socket.AF_INET6) or (port is not None and link.getsockname()[1] != port):
            return None
        name: Any = link.getpeername()
    except OSError as error:
        if error.errno not in _UNCONNECTED:
            raise
        return None
    return _plain(name[0]), name[1]


def _plain(address: str) -> str:
    """An IPv4 address by itself also where the system writes it as IPv6; without a zone."""
    found = ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def parse_peer(peer: str) -> Far | None:
    """The far end of what gRPC writes as `ipv4:127.0.0.1:40000` or `ipv6:%5B::1%5D:40000`; None for another kind."""
    kind, _, rest = unquote(peer).partition(":")
    host, _, port = rest.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdigit():
        return None
    return _plain(host.strip("[]")), int(port)
