"""A job of several banks at a party: at the grid a line to each of them, at a bank its own. PROTOCOL.md section 16."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from common.daemon.account import Account
from common.daemon.conduct import Running, chain_of
from common.daemon.dealer_line import dealer_line
from common.daemon.matching import choose_match
from common.daemon.meet import Meeting
from common.daemon.report_message import ProgressReporter
from common.daemon.settings import PartySettings
from common.disk.data_folder import Name
from common.disk.scratch import Scratch
from common.errors import LocalProtocolError, PlanError, PolicyError
from common.home.audit import AuditLog, What
from common.home.dealt import Common, Heard, Opening
from common.home.home import Home
from common.home.outcome import Outcome
from common.home.unfinished import Points
from common.learn.dealings import MESSAGES
from common.mpc.beside import side_by_side
from common.mpc.correlations.dealt import DealtSeed, take_seed
from common.mpc.seeds import fresh_nonce
from common.mpc.session import Channel, Openings, Session, Way
from common.mpc.several.heard import Transcript
from common.mpc.several.hub import BankHub, GridHub, Hub, HubCorrelations, LineCorrelations
from common.mpc.several.lines import Lines
from common.mpc.several.seeds import take_common, take_nonces
from common.party import Identity, Party
from common.plan.job_stages import ORDER, Stage
from common.plan.read import AnyPlan
from common.plan.request import Plan, Request
from common.plan.several import SeveralPlan
from common.rows.featurefile import declared
from common.stages.course import Course
from common.stages.job import HubJob, PartyJob, Role, StageReporter
from common.stages.seeds import agree_on_seeds
from common.stages.several.alone import run_alone, run_at_hub
from common.stages.several.bank import run_at_bank
from common.stages.several.grid import run_at_grid
from common.stages.several.leave import check as check_leaving
from common.stages.several.leave import go_back
from common.wire import party_pb2 as wire
from common.wire.client import Connection
from common.wire.dealing import DealerChannel
from common.wire.party_pb2 import Report
from common.wire.peer import FrameChannel
from common.wire.peer_pb2 import Fault


def check_banks(plan: SeveralPlan, settings: PartySettings, own: Identity, points: Points) -> None:
    """Raises PolicyError for a plan of several banks with one that this party's configuration does not name for it.

    Raises JobStateError where the job was begun with other banks and cannot go on with these. points: kept of it here.
    """
    settings.policy.check_banks(plan, own)
    unknown = [str(who) for who in plan.identities if who != own and who not in settings.others]
    if unknown and own not in plan.identities:
        raise PolicyError(
            f"the grid knows no bank {', '.join(unknown)}", remedy="Its operator lists banks in its configuration: more_banks."
        )
    check_leaving(points, plan.identities, alone=plan.alone)


def without(plan: AnyPlan, names: Sequence[str]) -> tuple[AnyPlan, tuple[Identity, ...]]:
    """The plan that an offer is of, where the coordinator leaves banks out of it, by name; and these.

    Raises PlanError where the plan does not let it.
    """
    left_out = tuple(Identity.parse(name) for name in names)
    if not left_out:
        return plan, ()
    if not isinstance(plan, SeveralPlan):
        raise PlanError("a bank was left out of a plan of one")
    return plan.without(left_out), left_out


def open_session(
    audit: AuditLog,
    party: Party,
    job: str,
    running: Running,
    reporter: StageReporter,
    peer: Channel,
    whom: str = "the other party",
) -> Session:
    """A session over a channel to another party, named as errors name it; all of a job enter what they open in one account."""

    def enter(way: Way, first: Openings) -> None:
        value, kind, direction = way
        audit.add(What.OPEN, job, value=value.value, kind=kind, way=direction, rows=first.rows, bits=first.bits)

    session = Session(party, running.watch.channel(peer), reporter, allowed=running.plan.allowed, enter=enter, whom=whom)
    running.session = running.session or session
    return session


def check_bank(plan: Request, party: Party, settings: PartySettings, own: Identity | None) -> None:
    """Raises PolicyError for a plan with a bank that this one is not, or that the grid does not know."""
    named = plan.bank_named
    if named is not None and named != own and (party is Party.BANK or named not in settings.others):
        raise PolicyError(f"the plan names the bank {named}, which is none here", remedy="Name another one, in with_bank.")


def check_asker(plan: Request, party: Party, settings: PartySettings, client: str) -> None:
    """Raises PolicyError at the grid where another than the bank that the plan is of asks for a job without the coordinator."""
    if party is Party.GRID and client != str(plan.bank_named or settings.peer.who):
        text = "the plan is of another bank than the one that asks"
        raise PolicyError(text, remedy="Name the bank that asks, in with_bank; the bank's own commands do.")


def banks_of(plan: Request) -> tuple[Identity, ...]:
    """The banks that a plan names; none where it is about the first one."""
    if isinstance(plan, SeveralPlan):
        return plan.identities
    return () if plan.bank_named is None else (plan.bank_named,)


def side_of(plan: AnyPlan, party: Party, own: Identity | None) -> Plan | None:
    """The plan as this party's own dataset is concerned; None of one that has none, or where it adds up for banks alone.

    Raises PolicyError for one of several banks without this one.
    """
    if not isinstance(plan, SeveralPlan):
        return plan if isinstance(plan, Plan) else None
    if party is Party.GRID:
        return None if plan.alone else plan.line(0)
    if own not in plan.identities:
        raise PolicyError(f"the plan's banks do not include {own}", remedy="Name this bank in it, by its identity.")
    return plan.line(plan.identities.index(own))


def lines_of(plan: AnyPlan, party: Party, own: Identity | None) -> list[tuple[Plan, Identity | None]]:
    """The same for each other party that has to do with the dataset: at the grid each bank, by name, of several."""
    if isinstance(plan, SeveralPlan) and party is Party.GRID and not plan.alone:
        return [(plan.line(place), who) for place, who in enumerate(plan.identities)]
    side = side_of(plan, party, own)
    return [] if side is None else [(side, None)]


Through = Callable[[Course, Callable[[], Awaitable[Outcome]]], Awaitable[Report]]
"""Of where all may go on, and what computes the outcome from there: the report."""


@dataclass(frozen=True)
class Dealt:
    """A line to the dealer, and what this party brings to its seed there and to the one of the sums over banks."""

    channel: DealerChannel
    nonce: bytes
    common: bytes


@dataclass
class SeveralJob:
    """One such job at one party."""

    id: str
    plan: SeveralPlan
    running: Running
    settings: PartySettings
    home: Home
    role: Role
    own: Identity
    meeting: Meeting
    coordinator: Connection | None
    reporter: ProgressReporter
    _peers: list[FrameChannel] = field(default_factory=list)  # lines to the other parties, as they come up

    async def run(self, through: Through, fault: Callable[[BaseException], Fault]) -> Report:
        """The whole of it, raising the first error, which the other parties are told as `fault` says."""
        self.reporter.stage(Stage.CONNECT)
        points, alone = self.home.unfinished.points(self.id), self.plan.alone
        await asyncio.to_thread(go_back, points, self.plan.identities, alone=alone)
        async with AsyncExitStack() as open_:
            try:
                if self.role.party is Party.GRID:
                    return await self._at_grid(open_, through)
                return await self._at_bank(open_, through, self.plan.identities.index(self.own))
            except (Exception, asyncio.CancelledError) as error:
                self.running.through()
                told = fault(error)
                await asyncio.gather(*(peer.abort(told) for peer in self._peers))
                raise
            finally:
                await asyncio.to_thread(self.running.keep_heard, self.home.dealt)
                for peer in self._peers:
                    await peer.stop()

    async def _at_bank(self, open_: AsyncExitStack, through: Through, place: int) -> Report:
        dealer = await self._join(open_, place)
        session = await self._meet(place)
        self.reporter.met(ORDER[self.plan.kind][1])
        given, seed = await self._seed(session, dealer)
        common = await take_common(dealer.channel)
        nonce = await take_nonces(dealer.channel, dealer.common, place, len(self.plan.banks))
        link = await self._heard(place, dealer, given, common)
        correlations = LineCorrelations(Party.BANK, seed, link, self.home.key)
        shared = HubCorrelations(Party.BANK, await agree_on_seeds(session, common, nonce, self.home.seeds), link)
        hub = BankHub(session, correlations, shared, place, [f"bank {who.org}" for who in self.plan.identities])
        course = self._course(hub, hub.heard)
        job, plan = self._job(place, session, correlations, Outcome(), self._scratch(), course), self.plan.line(place)
        if self.plan.alone:
            return await through(course, lambda: run_alone(job, plan, self.plan, hub))
        return await through(course, lambda: run_at_bank(job, plan, self.plan, hub, place))

    async def _at_grid(self, open_: AsyncExitStack, through: Through) -> Report:
        banks = range(len(self.plan.banks))
        dealers = await side_by_side(self._join(open_, place) for place in banks)
        sessions = await side_by_side(self._meet(place) for place in banks)
        self.reporter.met(ORDER[self.plan.kind][1])
        for session in sessions[1:]:
            session.openings = sessions[0].openings  # one account of what the job opened
        pairs = zip(sessions, dealers, strict=True)
        seeded = await side_by_side(self._seed(session, dealer) for session, dealer in pairs)
        common = await take_common(dealers[0].channel)
        links = [await self._heard(k, dealers[k], seeded[k][0], None if k else common) for k in banks]
        lines = [LineCorrelations(Party.GRID, seeded[k][1], links[k], self.home.key) for k in banks]
        seed = await agree_on_seeds(Lines(sessions), common, dealers[0].common, self.home.seeds)
        hub = GridHub(sessions, lines, HubCorrelations(Party.GRID, seed, links[0]))
        outcome, scratch, course = Outcome(), self._scratch(), self._course(hub)
        if self.plan.alone:
            sums = HubJob(self.id, hub.session, self.reporter, outcome, course)
            return await through(course, lambda: run_at_hub(sums, sessions, hub))
        jobs = [self._job(k, sessions[k], lines[k], outcome, scratch, course) for k in banks]
        return await through(course, lambda: run_at_grid(jobs, self.plan.line(0), self.plan, hub))

    def _course(self, hub: Hub, heard: Transcript | None = None) -> Course:
        banks, left_out = (tuple(map(str, who)) for who in (self.plan.identities, self.running.left_out))
        return Course(hub.session, self.home.unfinished.points(self.id), self.running.attempt, banks, left_out, heard)

    async def _seed(self, session: Session, dealer: Dealt) -> tuple[DealtSeed, bytes]:
        """What is dealt to make the seed of a line of, and that seed."""
        given = await take_seed(dealer.channel)
        return given, await agree_on_seeds(session, given, dealer.nonce, self.home.seeds)

    async def _heard(self, place: int, dealer: Dealt, given: DealtSeed, common: DealtSeed | None) -> Heard:
        """The dealer's line after the seeds, of which an auditor can be told."""
        shared = None if common is None else Common.of(common, dealer.common)
        about = (self.id, self.running.attempt, self.role.party, self.plan.canonical())
        opening = Opening.of(*about, given, dealer.nonce, place + 1, shared)
        heard = Heard(opening, dealer.channel, MESSAGES)
        await self.running.hears(heard, self.home.dealt)
        return heard

    async def _join(self, open_: AsyncExitStack, place: int) -> Dealt:
        if self.coordinator is None:
            raise LocalProtocolError("a job of several banks needs a coordinator, which deals")
        nonce, common = fresh_nonce(), fresh_nonce()
        attempt, lanes = self.running.attempt, min(self.running.dealt_lanes, self.home.policy.lanes)
        join = wire.Join(job=self.id, nonce=nonce, key=self.home.key, attempt=attempt, line=place + 1, common=common)
        line = dealer_line(self.coordinator, self.running.coordinator, join, lanes)
        self.running.begun(channel := await open_.enter_async_context(line))
        return Dealt(channel, nonce, common)

    async def _meet(self, place: int) -> Session:
        """The session with one bank, or with the grid."""
        if self.role.party is Party.GRID:
            bank = self.plan.identities[place]
            whom, who = f"the bank {bank.org}", "" if bank == self.settings.peer.who else str(bank)
        else:
            bank, whom, who = None, "the grid", ""
        account = Account(self.home.audit, self.id, whom, self.home.command, who, self._pins(bank))
        digest, attempt = self.plan.digest(), self.running.attempt
        channel = await self.meeting.meet(self.id, digest, self.running.peer, account, attempt, bank)
        self._peers.append(channel)
        self.running.begun(channel)
        return open_session(self.home.audit, self.role.party, self.id, self.running, self.reporter, channel, whom)

    def _pins(self, bank: Identity | None) -> dict[str, str]:
        """The grants of the line to this bank; at a bank those of the job."""
        if bank is None:
            return dict(self.running.pins)
        own = f" ({bank.org})"
        return {name.removesuffix(own): pin for name, pin in self.running.pins.items() if name.endswith(own)}

    def _scratch(self) -> Scratch:
        return Scratch(self.settings.data / Name.SCRATCH, self.settings.memory_mib << 20)

    def _job(
        self,
        place: int,
        session: Session,
        correlations: LineCorrelations,
        outcome: Outcome,
        scratch: Scratch,
        course: Course,
    ) -> PartyJob:
        plan = self.plan.line(place)
        assert self.running.dataset is not None  # noqa: S101  (the offer was looked at)
        dataset = declared(self.running.dataset)
        chain = chain_of(self.plan.identities[place], self.settings, self.role.party)
        lanes, running = min(self.running.match_lanes, self.home.policy.lanes), self.running
        about = (running.coordinator, running.attempt, place + 1, lanes, running.begun)
        match = choose_match(plan, self.id, self.coordinator, *about)
        return PartyJob(
            self.id, plan, dataset, session, correlations, self.reporter, self.home, self.role, match, scratch, outcome,
            course=course, chain=chain, client=self.running.client, agreed=self.plan, place=place,
            consents=self.running.consents,
            check_grant=self.running.check_grant,
            scores_per_row=self.running.scores_per_row,
        )  # fmt: skip
