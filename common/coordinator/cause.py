"""Why a job ended, of all that is said of it: the words of whom it happened to, where they come in time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from common.errors import WattScoreError
from common.party import Member
from common.wire.peer_pb2 import Fault
from common.wire.status import to_fault

BETTER = 3.0  # seconds to wait, after "the other one failed", for the other one's own words
_SECOND_HAND = ("PeerFailed", "PeerLost", "JobCancelled")


async def first_hand(error: WattScoreError, faults: Mapping[Member, Fault], lost: Collection[Member], members: int) -> Fault:
    """The first-hand cause, where one comes in time: what we see of the parties may follow from what one has to say.

    Of second-hand ones that of a party that is gone counts most, then what a party says, then what we saw ourselves.
    faults: what each party has said, which may grow meanwhile, as `lost` may. members: how many parties there are.
    """
    first = to_fault(error, "coordinator")
    if error.origin in ("client", "coordinator") or (error.origin and first.kind not in _SECOND_HAND):
        return first  # somebody said so
    end = asyncio.get_running_loop().time() + BETTER
    while asyncio.get_running_loop().time() < end and len(faults) < members and not lost:
        await asyncio.sleep(0.05)
        if any(fault.kind not in _SECOND_HAND for fault in faults.values()):
            break
    found = [(fault.kind in _SECOND_HAND, party not in lost, fault) for party, fault in faults.items()]
    return min([*found, (first.kind in _SECOND_HAND, True, first)], key=lambda item: item[:2])[2]
