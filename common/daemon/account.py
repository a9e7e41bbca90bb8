"""What the two parties say of themselves when they meet: where their audit logs stand, and on which grants the job rests."""

from __future__ import annotations

from collections.abc import Mapping

from common.errors import PolicyError
from common.home.audit import AuditLog, Head
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
        self._held: Head | None = None  # of the other's log, when this party first said what it holds
        self._said = Stands()

    def stands(self) -> Stands:
        """What this party says of its log now, and of the other's as far as it was told of that."""
        held, own = self._audit.held(self._who), self._audit.head
        self._held = self._held or held
        self._said = Stands(own.number, own.digest, held.number, held.digest, self._grants)
        return self._said

    def is_late(self, theirs: Stands) -> bool:
        """Whether the other said where its log stands before it did so for another job that this party has heard first.

        Then it says so once more: its log has what this party holds by then, or is behind it.
        """
        return theirs.number < self._said.held_number

    def was_late(self, theirs: Stands) -> bool:
        """The same of what this party said, as the other sees it: both see it alike."""
        return self._said.number < theirs.held_number

    def take(self, theirs: Stands) -> None:
        """Enters where the other's log stands. Raises PolicyError if it is behind what it was, or this one is; and where the
        other holds another grant of a dataset than this party.

        What it was is what this party held as it said so, which is before the other said what it says now. Another job of both
        may have told a later head since, which stays.
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
        own, held = Head(theirs.number, theirs.digest or Head().digest), self._held or self._audit.held(self._who)
        if own.number < held.number:
            raise self._behind(own, held)
        newest = self._audit.hear(self._job, own, self._who)
        if newest.number == own.number and newest != own:
            raise self._behind(own, newest)

    def _behind(self, own: Head, held: Head) -> PolicyError:
        return PolicyError(
            f"the audit log of {self._whom} is not the one of {held.number} entries that it was",
            got=f"one of {own.number}",
            remedy=f"Ask {self._whom} whether its data folder was restored or replaced, and why; then"
            f" `{self._command} audit accept` lets it go on.",
        )
