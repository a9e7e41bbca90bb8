"""What the two parties' audit logs say of each other when they meet: neither is behind what the other was told of it."""

from __future__ import annotations

from common.errors import PolicyError
from common.home.audit import AuditLog, Head, What
from common.wire.peer import Stands


class Account:
    """One job's view of this party's log. whom: the other party, as errors name it; command: of this party, for remedies.

    who: the other party's identity, where there are others than the one that the configuration calls peer.
    """

    def __init__(self, audit: AuditLog, job: str, whom: str, command: str, who: str = "") -> None:
        self._audit, self._job, self._whom, self._command, self._who = audit, job, whom, command, who

    def stands(self) -> Stands:
        own, held = self._audit.head, self._audit.held(self._who)
        return Stands(own.number, own.digest, held.number, held.digest)

    def take(self, theirs: Stands) -> None:
        """Enters where the other's log stands. Raises PolicyError if it is behind what it was, or this one is."""
        told = Head(theirs.held_number, theirs.held) if theirs.held_number else Head()
        if self._audit.at(told.number) != told:
            raise PolicyError(
                f"the audit log here is not the one of {told.number} entries that {self._whom} was told of",
                remedy=f"Was the data folder restored or replaced? Put back what is newer, or ask {self._whom}, whose command"
                " `audit accept` lets it go on.",
            )
        own, held = Head(theirs.number, theirs.digest or Head().digest), self._audit.held(self._who)
        if own.number < held.number or (own.number == held.number and own != held):
            raise PolicyError(
                f"the audit log of {self._whom} is not the one of {held.number} entries that it was",
                got=f"one of {own.number}",
                remedy=f"Ask {self._whom} whether its data folder was restored or replaced, and why; then"
                f" `{self._command} audit accept` lets it go on.",
            )
        more = {"who": self._who} if self._who else {}
        self._audit.add(What.PEER, self._job, number=own.number, head=own.digest.hex(), **more)
