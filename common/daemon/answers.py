"""What a party says of a job that no coordinator offered it, kept for whoever asked for it."""

from __future__ import annotations

from collections.abc import Callable

from common.wire import party_pb2 as wire
from common.wire.peer_pb2 import Fault
from common.wire.status import from_fault


class Answers:
    """A runner sends its messages here in place of to the coordinator. hear: gets each progress and its warnings."""

    def __init__(self, hear: Callable[[wire.Progress], None] | None = None) -> None:
        self._hear = hear
        self._fault: Fault | None = None
        self.report: wire.Report | None = None

    async def __call__(self, message: wire.FromParty) -> None:
        what = message.WhichOneof("message")
        if what in ("refuse", "failed"):
            self._fault = getattr(message, what).fault
        elif what == "done":
            self.report = message.done.report
        elif what == "progress" and self._hear is not None:
            self._hear(message.progress)

    def check(self) -> None:
        """Raises what the job was refused for, or failed of."""
        if self._fault is not None:
            raise from_fault(self._fault)
