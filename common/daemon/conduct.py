"""How an accepted job is run at one party, of whatever kind it is, once both parties have met."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from common.daemon.agreed import watch_consents
from common.daemon.granted import AllInForce
from common.daemon.matching import choose_match
from common.daemon.report_message import ProgressReporter
from common.daemon.settings import PartySettings
from common.daemon.spread import Spread
from common.disk.data_folder import Name
from common.disk.scratch import Scratch
from common.errors import LocalProtocolError, WattScoreError
from common.home.dealt import DealtBook, Heard
from common.home.home import Home
from common.home.outcome import Outcome
from common.home.unfinished import Alone
from common.mpc.beside import to_the_end
from common.mpc.correlations.asked import DealerLink
from common.mpc.correlations.dealt import DealtCorrelations, NoDealer
from common.mpc.prg import Prg
from common.mpc.session import Session
from common.party import Identity, Party
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan
from common.plan.request import Plan
from common.process.metrics import JobWatch
from common.rows.consent import Consents
from common.rows.dataset import Loaded
from common.rows.declare import DatasetConfig
from common.rows.featurefile import declared
from common.stages.course import Course
from common.stages.desk import Desk, Requests
from common.stages.job import PartyJob, Role
from common.stages.pipeline import run
from common.stages.predeal import predeal
from common.stages.promote import promote
from common.wire import party_pb2 as wire
from common.wire.client import Connection
from common.wire.peer import Counter, FrameChannel

Dealt = tuple[DealerLink, bytes]


@dataclass
class Running:
    """A job this party has accepted."""

    plan: AnyPlan
    client: str
    watch: JobWatch
    dataset: DatasetConfig | None = None  # as it was declared when the job was accepted
    consents: Consents | None = None  # of that dataset
    grant: AllInForce | None = None  # of that dataset
    pins: Mapping[str, str] = field(default_factory=dict)  # the grants that it rests on, as `Grants.check` says them

    async def watch_rows(self, whose: str, stop: Callable[[WattScoreError], None]) -> None:
        """Stops it once the use of its rows is not allowed any more."""
        await watch_consents(self.consents, whose, stop, self.grant)

    @property
    def check_grant(self) -> Callable[[Loaded], None] | None:
        return None if self.grant is None else self.grant.check

    @property
    def scores_per_row(self) -> int | None:
        """Of that grant."""
        return None if self.grant is None else self.grant.scores_per_row

    @property
    def dealt(self) -> list[str]:
        """A hash of what was asked of the dealer and dealt, on each line."""
        return [heard.opening.digest for heard in self.heard]

    async def hears(self, link: Heard, book: DealtBook) -> None:
        """From now on this line of a dealer is noted. What came first is on disk, also if this process is killed.

        One that is stopped waits for that: what is kept at its end is of the same file, and is to be the last.
        """
        self.heard.append(link)
        await to_the_end(asyncio.to_thread(book.keep, link.opening))

    @property
    def ends(self) -> bool:
        """Whether it was told to stop, or is at its end of itself."""
        return self.ending or self.cause is not None

    def keep_heard(self, book: DealtBook) -> None:
        """Of each line, what an auditor would be given."""
        for heard in self.heard:
            book.keep(heard.opening)

    def report(self, job: str, send: Callable[[wire.FromParty], Awaitable[None]]) -> ProgressReporter:
        """What tells how far it is, the coordinator and the people of this party."""
        counters = (self.peer, self.coordinator)
        self.reporter = ProgressReporter(job, send, counters, self.watch.stage, self.attempt)
        return self.reporter

    task: asyncio.Task[None] | None = None
    reporter: ProgressReporter | None = None
    cause: WattScoreError | None = None  # why it was told to stop
    session: Session | None = None
    heard: list[Heard] = field(default_factory=list)  # of the dealer, on each line
    attempt: int = 0  # how often the job was interrupted before
    dealt_lanes: int = 1  # the most streams over which the coordinator deals
    match_lanes: int = 1  # and over which it takes tags
    left_out: tuple[Identity, ...] = ()  # banks of the plan without which it goes on
    entered: bool = False  # its end is in the audit log
    direct: bool = False  # no coordinator has offered it
    alone: Alone | None = None  # then: what tells other processes of this party that it runs
    requests: Requests = field(default_factory=Requests)  # of a session that scores on request
    desk: Desk | None = None  # at the bank, of a job whose rows are asked for: where
    begun: Callable[[FrameChannel], None] = lambda line: None  # told each line to another process that the attempt has
    met: Callable[[FrameChannel], None] = lambda line: None  # told the other party's
    through: Callable[[], None] = lambda: None  # told that its work is done, or has failed: what is left is to say so
    ending: bool = False  # that is so
    peer: Counter = field(default_factory=Counter)
    coordinator: Counter = field(default_factory=Counter)
    workers_mib: float = 0.0  # that workers had for it beside this process

    def weigh(self, mib: float) -> None:
        self.workers_mib = max(self.workers_mib, mib)


def chain_of(bank: Identity | None, settings: PartySettings, party: Party) -> str:
    """Which chain of the registry's moves is that with this bank: at the grid one for each, that of its peer without a name."""
    return "" if party is Party.BANK or bank in (None, settings.peer.who) else str(bank)


class Conduct:
    """What a party brings to all of its jobs."""

    def __init__(
        self,
        role: Role,
        settings: PartySettings,
        home: Home,
        coordinator: Connection | None,
        own: Identity | None = None,
    ) -> None:
        self._party, self._role, self._settings, self._home = role.party, role, settings, home
        self._coordinator, self._own = coordinator, own

    async def outcome(
        self,
        job: str,
        running: Running,
        session: Session,
        course: Course,
        dealt: Dealt | None,
        reporter: ProgressReporter,
        spread: Spread | None = None,
    ) -> Outcome:
        """dealt: the dealer, and the seed made of what it dealt; None where all randomness is in a stock, or none is dealt.
        spread: how runs of rows are computed apart, where they may be.
        """
        plan = running.plan
        if isinstance(plan, PredealPlan) and plan.undealt:
            shelf = self._home.stocks.of(chain_of(plan.bank_named, self._settings, self._party))
            return await predeal(job, plan, session, None, Prg.fresh_seed(), shelf, reporter, self._home.key)
        if dealt is None:  # the seeds of a stock were looked at when it was dealt
            correlations = DealtCorrelations(self._party, Prg.fresh_seed(), NoDealer(), self._home.key)
            return await self._run(job, running, session, course, correlations, reporter)
        dealer, seed = dealt
        chain = chain_of(plan.bank_named, self._settings, self._party)
        if isinstance(plan, PredealPlan):
            keep = partial(running.keep_heard, self._home.dealt)
            return await predeal(job, plan, session, dealer, seed, self._home.stocks.of(chain), reporter, self._home.key, keep)
        if isinstance(plan, PromotePlan):
            return await promote(job, plan, session, self._home, self._role, reporter, chain)
        correlations = DealtCorrelations(self._party, seed, dealer, self._home.key)
        correlations.spread = spread
        return await self._run(job, running, session, course, correlations, reporter)

    async def _run(
        self,
        job: str,
        running: Running,
        session: Session,
        course: Course,
        correlations: DealtCorrelations,
        reporter: ProgressReporter,
    ) -> Outcome:
        """A training or scoring job."""
        plan = running.plan
        if not isinstance(plan, Plan):
            raise LocalProtocolError("only training and scoring have rows")
        assert running.dataset is not None  # noqa: S101  (the offer was looked at)
        dataset = declared(running.dataset)
        sharing = correlations.spread is not None and correlations.spread.elsewhere
        scratch = Scratch(self._settings.data / Name.SCRATCH, self._settings.memory_mib << 20, sharing=sharing)
        lanes = min(running.match_lanes, self._home.policy.lanes)
        about = (running.coordinator, running.attempt)
        match = choose_match(plan, job, self._coordinator, *about, lanes=lanes, begun=running.begun)
        parts = (job, plan, dataset, session, correlations, reporter, self._home, self._role, match, scratch)
        bank = plan.bank_named or (self._settings.peer.who if self._party is Party.GRID else self._own)
        chain = chain_of(plan.bank_named, self._settings, self._party)
        whose = partial(PartyJob, *parts, client=running.client, bank=str(bank), chain=chain)
        return await run(
            whose(
                course=course,
                direct=running.direct,
                desk=running.desk,
                requests=running.requests,
                consents=running.consents,
                check_grant=running.check_grant,
                scores_per_row=running.scores_per_row,
            )
        )
