"""Scores of which both parties hold shares, told to the bank, table after table; a party is warned once of what was held."""

from __future__ import annotations

import numpy as np

from common.learn.learner import Telling
from common.mpc.fixedpoint import Reals, Words, decode
from common.mpc.session import Session
from common.party import Party


class Teller:
    """What opens shares of scores in one session, as messages of the kind that `telling` names."""

    def __init__(self, session: Session, telling: Telling) -> None:
        self._session, self._kind = session, telling.kind
        self._warned = False

    async def tell(self, share: Words, held: int, scale: int) -> Reals | None:
        """The log-odds u, (n,), at the bank, of this party's share of them at `scale`; None at the grid. 8 n bytes one way.

        held: how many values of this party were held at what scoring takes.
        """
        session = self._session
        self.warn(held)
        if session.party is Party.GRID:
            await session.send(self._kind, share)
            return None
        return decode(share + await session.receive(self._kind, np.uint64, share.shape), scale)

    def warn(self, held: int) -> None:
        """Says once that this party's values were held, if they were."""
        if held and not self._warned:
            self._warned = True
            whose = self._session.party.value
            self._session.reporter.warn(f"{held} values of the {whose} lay beyond what scoring holds, and were held there")
