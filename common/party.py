"""The two parties, and the identities that certificates carry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from common.errors import IdentityError

_URI = re.compile(r"wattscore://([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)")


class Party(Enum):
    """One of the two companies of a joint computation."""

    GRID = "grid"
    BANK = "bank"

    @property
    def other(self) -> Party:
        return Party.BANK if self is Party.GRID else Party.GRID

    @property
    def index(self) -> int:
        """0 for the grid, 1 for the bank."""
        return 0 if self is Party.GRID else 1

    @property
    def role(self) -> Party:
        return self


@dataclass(frozen=True, order=True)
class Identity:
    """`wattscore://org/role`, as in a certificate's SAN URI: who a process is."""

    org: str
    role: str

    @classmethod
    def parse(cls, uri: str) -> Identity:
        """Raises IdentityError unless `uri` is lower case `wattscore://org/role` with DNS-label parts."""
        match = _URI.fullmatch(uri)
        if not match:
            raise IdentityError(
                f"{uri!r} is not an identity",
                remedy="Write it as wattscore://org/role: lower case letters, digits and inner hyphens.",
            )
        return cls(match[1], match[2])

    @property
    def dns(self) -> str:
        """The DNS name in the same certificate, by which TLS itself checks whom a client has reached."""
        return f"{self.role}.{self.org}.wattscore"

    def __str__(self) -> str:
        return f"wattscore://{self.org}/{self.role}"


@dataclass(frozen=True)
class Bank:
    """One of the banks of a process that knows several."""

    who: Identity

    @property
    def value(self) -> str:
        return f"bank {self.who.org}"

    @property
    def role(self) -> Party:
        return Party.BANK


Member = Party | Bank  # a company as the coordinator knows it: where there is one bank, that is Party.BANK
