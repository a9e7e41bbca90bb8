"""The dealing of a job replayed from the seeds that both parties open: the first array that is not what these give.

The auditor learns what the dealer knew, no more, and must see no message between the parties. PROTOCOL.md section 17.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from common.errors import DataError, PeerProtocolError
from common.home.dealt import Opening, array_hash, array_key
from common.learn.dealings import MESSAGES, dealings
from common.mpc.correlations.asked import Demand
from common.mpc.dealer import Dealer
from common.mpc.prg import SEED_BYTES
from common.mpc.seeds import fingerprint
from common.mpc.session import Array, Kind, Round
from common.party import Party
from common.plan.read import parse_plan

MEMORY = 1 << 30  # bytes of masks that are kept


@dataclass(frozen=True)
class Verdict:
    """What is wrong, a line each, and how many arrays were compared."""

    wrong: tuple[str, ...]
    compared: int


async def replay(openings: Mapping[Party, Opening]) -> Verdict:
    """Raises DataError where the two are not of one job, or say unlike things of commitments or demands."""
    grid, bank = openings[Party.GRID], openings[Party.BANK]
    if (grid.job, grid.attempt, grid.plan) != (bank.job, bank.attempt, bank.plan):
        raise _unlike("are of different jobs, attempts or plans")
    if grid.commitments != bank.commitments:
        raise _unlike("say different things of what the dealer committed itself to")
    if wrong := tuple(line for party in Party for line in _seed(openings[party])):
        return Verdict(wrong, 0)
    ends = {party: _Compared(openings[party]) for party in Party}
    seeds = iter([bytes.fromhex(openings[party].dealt) for party in Party])
    nonces = {party: bytes.fromhex(openings[party].nonce) for party in Party}
    dealer = Dealer(dict(ends), lambda: next(seeds), nonces=nonces, keys=dict.fromkeys(Party, bytes(SEED_BYTES)))
    plan = parse_plan(grid.plan, f"job {grid.job}")
    try:
        demands = {party: _asked(openings[party]) for party in Party}
        await dealer.serve(demands, dealings(plan, MEMORY))
    except PeerProtocolError as error:
        raise DataError(f"the demands of job {grid.job}: {error.message}", public="demands that no dealer serves") from None
    wrong = tuple(line for end in ends.values() for line in end.said())
    return Verdict(wrong, sum(end.compared for end in ends.values()))


def _seed(opening: Opening) -> list[str]:
    """Whether a party opens the seed that the dealer committed itself to."""
    if fingerprint(opening.seed).hex() == opening.commitments[opening.party.index]:
        return []
    return [f"the {opening.party.value} opens another seed than the dealer committed itself to: that party is wrong"]


class _Compared:
    """A channel to one party that compares what is dealt with what the party notes."""

    def __init__(self, opening: Opening) -> None:
        self._opening, self._at = opening, 0
        self._key = array_key(opening.seed)
        self.compared, self.wrong = 0, ""

    async def send(self, round: Round, values: Array) -> None:
        if round.kind is Kind.SEED or self.wrong or self._at == len(self._opening.arrays):
            return
        kind, number, noted = self._opening.arrays[self._at]
        self._at += 1
        if (kind, number) != (round.kind.value, round.number):
            self._is_wrong(f"{kind}/{number} where the seeds give {round}")
            return
        if round.kind is Kind.DEALT_TAGS:  # of lasting keys, which are not opened
            return
        self.compared += 1
        if noted != await asyncio.to_thread(array_hash, self._key, self._at - 1, round, values):
            self._is_wrong(f"{round}, {values.dtype} {values.shape}, is not what the seeds give")

    def said(self) -> list[str]:
        """What is wrong, at most one line."""
        left = len(self._opening.arrays) - self._at
        if not self.wrong and left:
            return [f"the {self._opening.party.value} notes {left} arrays more than the demands give"]
        return [self.wrong] if self.wrong else []

    def _is_wrong(self, text: str) -> None:
        self.wrong = f"array {self._at} to the {self._opening.party.value}: {text}"

    async def receive(self, round: Round) -> Array:
        raise PeerProtocolError("an auditor is sent nothing", got=round)


async def _asked(opening: Opening) -> AsyncIterator[Demand]:
    for name, fields in opening.demands:
        kind = MESSAGES.get(name)
        if kind is None or set(fields) != set(kind.__dataclass_fields__):
            raise DataError(f"a demand of no kind: {name!r}", public="a demand of no kind")
        yield kind(**fields)


def _unlike(text: str) -> DataError:
    message = f"the two openings {text}"
    return DataError(message, public=message, remedy="Compare `dealt` of the job's last entry in both audit logs.")
