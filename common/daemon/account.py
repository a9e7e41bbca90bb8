"""What the two parties say of themselves when they meet: where their audit logs stand, and on which grants the job rests."""

from __future__ import annotations

from collections.abc import Mapping

from common.errors import PolicyError
from common.home.audit import AuditLog, Head, What
from common.wire.peer import Stands


class Account:
    """One job's view of this party's log. whom: the other party, as errors name it; command: of this party, for remedies.

    who: the other party's identity, where there are others than the one that the configuration calls peer.
    grants: that the job rests on here.
    """

    def __init__(
        self, audit: AuditLog, job: str, whom: str, command: str, who: str = "", grants: Mapping[str, str] | None = None
    ) -> None:
        self._audit, self._job, self._whom, self._command, self._who = audit, job, whom, command, who
        self._grants = dict(grants or {})

    def stands(self) -> Stands:
        own, held = self._audit.head, self._audit.held(self._who)
        return Stands(own.number, own.digest, held.number, held.digest, self._grants)

    def take(self, theirs: Stands) -> None:
        """Enters where the other's log stands. Raises PolicyError if it is behind what it was, or this one is; and where the
        other holds another grant of a dataset than this party.
        """
        if other := sorted(name for name, pin in self._grants.items() if theirs.grants.get(name, pin) != pin):
            raise PolicyError(
                f"{self._whom} holds another grant of {' and '.join(other)} than this side",
                remedy="Its owner sends the grant that is in force to the other; `grant show` prints its SHA-256.",
            )
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
