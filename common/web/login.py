"""Logging in by a link: a command on the daemon's machine prints one, it serves once, and a cookie goes on from there."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.disk.book import open_book

_VERSION = 1
_TABLE = "create table if not exists tickets (digest blob primary key, person text not null, until real not null)"
SERVES = 120.0  # seconds in which a link has to be opened
_IDLE, _LONGEST = 1800.0, 8 * 3600.0  # seconds without a page, and altogether, after which a person logs in again
_MOST = 64  # sessions: the oldest gives way


class Tickets:
    """The links that were asked for and not opened yet: one SQLite file, which holds hashes. clock: seconds since 1970."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock = file, clock
        with open_book(file, version=_VERSION) as book:
            book.execute(_TABLE)

    def issue(self, person: str) -> str:
        """A new ticket of this person's, 256 random bits as text."""
        ticket, now = secrets.token_urlsafe(32), self._clock()
        with open_book(self._file, version=_VERSION) as book:
            book.execute("delete from tickets where until < ?", (now,))
            book.execute("insert into tickets values (?, ?, ?)", (_digest(ticket), person, now + SERVES))
        return ticket

    def take(self, ticket: str) -> str | None:
        """Whose it is; None for one that was taken before, is too old or was never issued."""
        with open_book(self._file, version=_VERSION) as book:
            found = book.execute("delete from tickets where digest = ? returning person, until", (_digest(ticket),)).fetchone()
        return str(found[0]) if found is not None and found[1] >= self._clock() else None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, repr=False)
class Visitor:
    """Who looks at pages. name: as it is shown; person: in whose name decisions are entered, empty for who may make none.

    form: the secret that each form of this visitor's carries, so that no other page can send one.
    """

    name: str
    person: str
    form: str


@dataclass(repr=False)
class _Session:
    visitor: Visitor
    since: float
    seen: float


class Sessions:
    """Who is logged in, in memory alone: a daemon that starts anew knows nobody. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[bytes, _Session] = {}

    def open(self, person: str) -> str:
        """The value of the cookie of a new session."""
        now, cookie = self._clock(), secrets.token_urlsafe(32)
        self._held = {key: session for key, session in self._held.items() if not self._over(session, now)}
        while len(self._held) >= _MOST:
            del self._held[min(self._held, key=lambda key: self._held[key].seen)]
        self._held[_digest(cookie)] = _Session(Visitor(person, person, secrets.token_urlsafe(32)), now, now)
        return cookie

    def find(self, cookie: str, *, asked: bool = True) -> Visitor | None:
        """Who has this cookie, if the session is not over. asked: by a person; a page that keeps itself up to date is none."""
        session, now = self._held.get(_digest(cookie)), self._clock()
        if session is None or self._over(session, now):
            return None
        if asked:
            session.seen = now
        return session.visitor

    def close(self, cookie: str) -> None:
        self._held.pop(_digest(cookie), None)

    @staticmethod
    def _over(session: _Session, now: float) -> bool:
        return now - session.seen > _IDLE or now - session.since > _LONGEST


class Known:
    """Visitors whom a certificate or a token names at each request, so that there is no session.

    deciders: name -> the account in whose name decisions are entered.
    """

    def __init__(self, deciders: dict[str, str]) -> None:
        self._deciders, self._key = deciders, secrets.token_bytes(32)

    def visitor(self, name: str) -> Visitor:
        form = hmac.new(self._key, name.encode(), hashlib.sha256).hexdigest()
        return Visitor(name, self._deciders.get(name, ""), form)
