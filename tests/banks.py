"""Several banks, one grid and a dealer in one process, over in-memory channels."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from common.learn.dealings import together
from common.learn.layout import LineDemand, LineEpochDemand
from common.mpc.correlations.asked import DealerLink, Demand
from common.mpc.correlations.dealt import DealtSeed, take_seed
from common.mpc.fixedpoint import Words
from common.mpc.prg import Prg
from common.mpc.seeds import own_seed
from common.mpc.session import Array, Kind, Round, Session
from common.mpc.several.dealer import SeveralDealer, Together, deal_sums
from common.mpc.several.hub import BankHub, GridHub, Hub, HubCorrelations, LineCorrelations, SumDemand
from common.mpc.several.seeds import common_nonce, take_common, take_nonces
from common.party import Party
from common.plan.several import SeveralPlan
from tests.channels import memory_pair
from tests.peers import ALL, BASE, DealerEnd, Neutral, _seeds

T = TypeVar("T")


def nonce(line: int, party: Party, common: bool = False) -> bytes:
    return f"{line} {party.value} {common}".encode().ljust(32)


def key(line: int, party: Party) -> bytes:
    return f"{0 if party is Party.GRID else line} {party.value}".encode().ljust(32)


@dataclass(frozen=True)
class End:
    """A line as the grid or its bank holds it."""

    number: int
    session: Session
    correlations: LineCorrelations
    neutral: Neutral


class Banks:
    """Lines between the grid and so many banks, with the dealer's channels, for one job."""

    def __init__(self, banks: int, seed: int = 0, allowed: frozenset[Any] = ALL) -> None:
        self.count = banks
        self.peer, self.at_party, self.at_dealer = [], [], []
        for _ in range(banks):
            self.peer.append(dict(zip(Party, memory_pair(), strict=True)))
            pairs = {party: memory_pair() for party in Party}
            self.at_dealer.append({party: pair[0] for party, pair in pairs.items()})
            self.at_party.append({party: DealerEnd(pair[1]) for party, pair in pairs.items()})
        self.session = [
            {
                p: Session(p, self.peer[k][p], allowed=allowed, whom=f"the bank {k}" if p is Party.GRID else "the grid")
                for p in Party
            }
            for k in range(banks)
        ]
        self.neutral = [Neutral() for _ in range(banks)]
        nonces = [{p: nonce(k, p) for p in Party} for k in range(banks)]
        common = [{p: nonce(k, p, True) for p in Party} for k in range(banks)]
        keys, names = [{p: key(k, p) for p in Party} for k in range(banks)], [f"the bank {k}" for k in range(banks)]
        self.dealer = SeveralDealer(self.at_dealer, nonces, keys, common, names, _seeds(seed))

    def link(self, line: int, party: Party, given: DealtSeed, common: DealtSeed | None) -> DealerLink:
        """The dealer's line after the seeds. common: of the sums over banks, at the grid on the first line."""
        return self.at_party[line][party]

    def heard(self) -> Iterator[tuple[str, int, Round, Array]]:
        """All that was sent in the job: who heard it, on which line, and what."""
        for line in range(self.count):
            names = {Party.GRID: "grid", Party.BANK: f"bank {line}"}
            for party in Party:
                for whom, log in (
                    (names[party.other], self.peer[line][party].log),
                    (names[party], self.at_dealer[line][party].log),
                ):
                    yield from ((whom, line, label, values) for label, values in log)

    def addends(self) -> list[Words]:
        """All that each bank said to the grid of sums over banks."""
        logs = (line[Party.BANK].log for line in self.peer)
        return [np.concatenate([values for label, values in log if label.kind is Kind.MASKED_ADDEND]) for log in logs]

    def dealt_to_grid(self) -> int:
        """Bytes that the grid was dealt on all lines, without seeds."""
        logs = (line[Party.GRID].log for line in self.at_dealer)
        return sum(values.nbytes for log in logs for label, values in log if label.kind is not Kind.SEED)

    async def run(
        self,
        grid: Callable[[Hub, list[End]], Awaitable[T]],
        bank: Callable[[Hub, End], Awaitable[T]],
        plan: SeveralPlan | None = None,
    ) -> list[T]:
        """What the grid's end gives, then each bank's. Raises the first error of any."""

        async def at_grid() -> T:
            lines, links, common = list[End](), list[DealerLink](), None
            for k in range(self.count):
                end = self.at_party[k][Party.GRID]
                given = await take_seed(end)
                dealt = None if k else await take_common(end)
                links.append(self.link(k, Party.GRID, given, dealt))
                correlations = LineCorrelations(
                    Party.GRID, own_seed(given.seed, nonce(k, Party.GRID)), links[k], key(k, Party.GRID)
                )
                lines.append(End(k, self.session[k][Party.GRID], correlations, self.neutral[k]))
                common = dealt or common
            assert common is not None
            shared = HubCorrelations(Party.GRID, own_seed(common.seed, nonce(0, Party.GRID, True)), links[0])
            found = await grid(GridHub([e.session for e in lines], [e.correlations for e in lines], shared), lines)
            await self._over(Party.GRID)
            return found

        async def at_bank(k: int) -> T:
            end = self.at_party[k][Party.BANK]
            given, dealt = await take_seed(end), await take_common(end)
            brought = await take_nonces(end, nonce(k, Party.BANK, True), k, self.count)
            link = self.link(k, Party.BANK, given, dealt)
            correlations = LineCorrelations(Party.BANK, own_seed(given.seed, nonce(k, Party.BANK)), link, key(k, Party.BANK))
            shared = HubCorrelations(Party.BANK, own_seed(dealt.seed, brought), link)
            session = self.session[k][Party.BANK]
            line = End(k, session, correlations, self.neutral[k])
            found = await bank(
                BankHub(session, correlations, shared, k, [f"the bank {each}" for each in range(self.count)]), line
            )
            await self._over(Party.BANK, k)
            return found

        demands = [{p: self.at_party[k][p].demands() for p in Party} for k in range(self.count)]
        together: Mapping[type[Demand], Together] = {SumDemand: deal_sums}
        if plan is not None:
            kinds = LineDemand, LineEpochDemand
            together = {**together, **{kind: functools.partial(_training, plan, kind) for kind in kinds}}
        sides = [asyncio.create_task(at_grid()), *(asyncio.create_task(at_bank(k)) for k in range(self.count))]
        tasks: Sequence[asyncio.Task[Any]] = [*sides, asyncio.create_task(self.dealer.serve(demands, BASE, together))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [side.result() for side in sides]

    async def _over(self, party: Party, line: int | None = None) -> None:
        for k in range(self.count) if line is None else [line]:
            await self.at_party[k][party].asked.put(None)


def _training(plan: SeveralPlan, kind: type[Demand], masks: Any, asked: Any) -> Any:
    return together(plan, 1 << 30)[kind](masks, asked)


def several_plan(banks: int, **more: Any) -> SeveralPlan:
    sides = [{"who": f"wattscore://bank-{k}/bank-party", "dataset": "loans"} for k in range(banks)]
    return SeveralPlan.model_validate({"grid": {"dataset": "meters"}, "banks": sides, **more})


__all__ = ["Banks", "End", "Prg", "common_nonce", "several_plan"]
