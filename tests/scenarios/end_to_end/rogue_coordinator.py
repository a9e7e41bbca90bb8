"""A coordinator that offers the two parties different plans: run as a process in place of the real one."""

from __future__ import annotations

import json

from common.coordinator import service
from common.coordinator.__main__ import main
from common.party import Party
from common.wire import party_pb2

_honest = service.Coordinator._tell


async def _tell(self: service.Coordinator, party: Party, message: party_pb2.ToParty) -> None:
    if message.WhichOneof("message") == "offer" and party is Party.BANK:
        plan = json.loads(message.offer.plan)
        plan["model"]["ridge"] = 0.5
        other = party_pb2.ToParty()
        other.CopyFrom(message)
        other.offer.plan = json.dumps(plan)
        message = other
    await _honest(self, party, message)


if __name__ == "__main__":
    service.Coordinator._tell = _tell  # type: ignore[method-assign]
    main()
