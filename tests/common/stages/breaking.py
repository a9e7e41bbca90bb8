"""Jobs whose line between the parties breaks at a given array."""

from __future__ import annotations

from typing import Any

from common.disclosure import Opened
from common.errors import PeerLost
from common.mpc.session import Array, Round
from common.party import Party
from tests.common.stages.companies import Companies
from tests.peers import Trio


class Breaking(Trio):
    """A trio in which one party's line breaks before it sends its array number `at`; 0: never."""

    whose, at = Party.BANK, 0

    def __init__(self, allowed: frozenset[Opened]) -> None:
        super().__init__(allowed)
        line, left = self.peer[self.whose], self.at
        send = line.send

        async def breaks(round: Round, values: Array) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise PeerLost("the line broke")
            await send(round, values)

        line.send = breaks  # type: ignore[method-assign]


async def broken_off(companies: Companies, plan: Any, whose: Party, at: int) -> bool:
    """Runs `job-1` until the line of `whose` breaks before its array number `at`; whether it did."""
    Breaking.whose, Breaking.at = whose, at
    try:
        await companies.run("job-1", plan)
    except PeerLost:
        return True
    finally:
        Breaking.at = 0
    return False
