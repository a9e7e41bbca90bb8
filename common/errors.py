"""Every error WattScore raises on purpose, by whose fault it is.

    WattScoreError
    ├── ConfigError           a daemon's or client's configuration file
    ├── PlanError             what a client asks for
    ├── PolicyError           a party (or the coordinator) does not allow what a plan asks for
    ├── DataError             a dataset: file, row or column
    ├── IdentityError         a certificate, or an identity that is not the one expected
    ├── RangeError            numbers that would not fit the fixed-point budget
    ├── ProtocolError
    │   ├── LocalProtocolError    this side called out of order: a bug here
    │   └── PeerProtocolError     the other side sent what the protocol does not allow
    ├── PeerLost              a connection to another process broke or fell silent
    │   └── PeerStopped           a process of the job was told to stop, and says so itself
    ├── PeerFailed            another process ended the job; carries its cause
    ├── JobNotFound           no job of that name
    ├── JobStateError         an event the job's state does not allow
    └── JobCancelled          somebody cancelled the job

An error has two texts. `str(error)` is for the side it happened on and may name a row or quote a value. `error.public` is
what crosses the network: it never holds a value of a row. `wire.status` maps each class to one gRPC status code.
"""

from __future__ import annotations


class WattScoreError(Exception):
    """The root. `remedy` says what the reader can do; `public` is the text other processes may see (default: the same)."""

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        public: str | None = None,
        expected: object = None,
        got: object = None,
        job: str = "",
        round: object = None,
        local: str = "",
    ) -> None:
        self.local = local  # what helps on this side and is nobody else's business, such as the names of other columns
        self.message, self.remedy, self.expected, self.got = message, remedy, expected, got
        self.job, self.round = job, round
        self.origin = ""  # the process it happened at, once it has crossed the network
        self._public = public
        super().__init__(message)

    def _with_context(self) -> str:
        parts = [f"in round {self.round}"] if self.round is not None else []
        compared = {"expected": self.expected, "got": self.got}
        if told := [f"{name} {value}" for name, value in compared.items() if value is not None]:
            parts.append(", ".join(told))
        return f"{self.message.rstrip('.')} ({'; '.join(parts)})" if parts else self.message

    def __str__(self) -> str:
        text = self._with_context()
        parts = [part for part in (self.remedy, self.local) if part]
        return " ".join([f"{text.rstrip('.')}.", *parts]) if parts else text

    @property
    def public(self) -> str:
        """The text that may cross the network, without the remedy: no value of any row is in it."""
        return self._with_context() if self._public is None else self._public


class ConfigError(WattScoreError):
    pass


class PlanError(WattScoreError):
    pass


class PolicyError(WattScoreError):
    pass


class DataError(WattScoreError):
    """A dataset is not as declared. `public` must be given: the message itself may quote what a file holds."""

    def __init__(self, message: str, *, public: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy, public=public)


class IdentityError(WattScoreError):
    pass


class RangeError(WattScoreError):
    pass


class ProtocolError(WattScoreError):
    pass


class LocalProtocolError(ProtocolError):
    pass


class PeerProtocolError(ProtocolError):
    pass


class PeerLost(WattScoreError):
    pass


class PeerStopped(PeerLost):
    pass


class PeerFailed(WattScoreError):
    pass


class JobNotFound(WattScoreError):
    pass


class JobStateError(WattScoreError):
    pass


class JobCancelled(WattScoreError):
    pass
