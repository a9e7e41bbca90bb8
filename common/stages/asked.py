"""Rows scored as the bank asks for them, in one session that stays warm. PROTOCOL.md section 10.

At its start the grid shows its rows as points, which the bank hides once more, both take a stock, and the masked weights are
exchanged. A request is then

1. the number of rows, at most `MOST`, a point of each, and by a linear model the bank's masked rows
2. of each whether the grid holds it, whether its books let it be scored, and whether it has newer rows by now
3. of those that may be: the grid's masked rows and shares, or messages each way as the model's kind has them, and where the
   plan says so the grid's reasons

Once a stock is used up, both take the next one. What was asked for is watched and filed when the bank ends the job.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.errors import DataError, LocalProtocolError, PeerProtocolError, PolicyError
from common.learn.learner import Half
from common.learn.learners import takes_stock
from common.match.agree import MatchLimits
from common.match.lookup import Asking, Listed
from common.mpc.fixedpoint import Reals
from common.mpc.session import Kind
from common.party import Party
from common.plan.score import ScorePlan
from common.rows.dataset import Loaded
from common.rows.formats.paths import Stamp, stamp_of
from common.rows.given import Given
from common.rows.origin import Mask
from common.rows.table import FeatureTable, Index
from common.stages.align import check_once, common_months, row_names
from common.stages.desk import Answer, Desk, Remains, Warm
from common.stages.job import PartyJob
from common.stages.reasons import AskedReasons, Named
from common.stages.supply import Supply

_log = logging.getLogger(__name__)

MOST = 1000  # rows of one request
_MAY, _NEWER = 1, 3  # the grid's books let these rows be scored; and it has newer ones, for a session that begins now
_REFUSES, _ABSENT = 0, 4  # they do not; it holds no such row
_SAYS = frozenset((_MAY, _NEWER, _REFUSES, _ABSENT))
_REFUSED = "the grid's books let it not be scored: too many models have scored it, or too many rows were in a day"


@dataclass(repr=False)
class _Scored:
    """Rows that were scored, by place, and at the bank u of each and codes of reasons; of a row scored again the last."""

    u: dict[int, float] = field(default_factory=dict)
    codes: dict[int, list[int]] = field(default_factory=dict)

    def add(self, rows: Index, u: Reals | None, named: Named | None = None) -> None:
        self.u.update(zip(rows.tolist(), [0.0] * len(rows) if u is None else u.tolist(), strict=True))
        if named is not None:
            self.codes.update(zip(rows.tolist(), named.codes.tolist(), strict=True))

    def places(self) -> Index:
        return np.array(sorted(self.u), np.int64)

    def scores(self) -> Reals:
        return np.array([self.u[row] for row in sorted(self.u)], np.float64)

    def named(self, texts: tuple[str, ...]) -> Named:
        return Named(np.array([self.codes[row] for row in sorted(self.u)], np.uint8), texts)


async def serve_requests(
    job: PartyJob, plan: ScorePlan, model: Half, table: FeatureTable, read: Stamp
) -> tuple[FeatureTable, Reals | None, Named | None]:
    """Scores what the bank asks for until it ends the job; the rows that were, and at the bank u and reasons of each.

    read: the files of `table`, as they were before it was read.

    Raises PolicyError once no stock is left that both hold, DataError where rows are asked for by id and one has several.
    """
    for way in (job.session.said, job.session.taken):
        way.stop()  # requests are compared with nothing
    limits = MatchLimits(max_ids=job.home.policy.max_ids, min_matched=1)
    rows, by_period = np.arange(table.rows), "period" in plan.keys
    if by_period:
        rows = await common_months(job.session, table)
    else:
        await asyncio.to_thread(check_once, table)
    names, scored, unfiled = row_names(table, rows, by_period=by_period), _Scored(), 0
    reasons = None
    if plan.grid_reasons:
        reasons = await AskedReasons.begin(job.session, model, job.role.reasons(job, model), plan.grid_reasons)
    async with AsyncExitStack() as stack:
        supply = Supply(job, plan, model, stack, reasons)
        if job.party is Party.GRID:
            listed = await Listed.show(job.session, names, job.id.encode(), limits)
            await _Grid(job, model, table, rows, listed, supply, scored, read).run()
        else:
            if job.desk is None:
                raise LocalProtocolError("rows are to be asked for, and nobody here does")
            asking = await Asking.hear(job.session, job.id.encode(), limits)
            places = dict(zip(names.to_pylist(), rows.tolist(), strict=True))
            bank = _Bank(job, model, table, places, asking, supply, scored, job.desk)
            await bank.run()
            unfiled = bank.unfiled
    found = await asyncio.to_thread(table.take, scored.places(), job.scratch)
    job.count(matched_ids=len(found.ids.used()), matched_rows=found.rows + unfiled)
    if job.party is Party.GRID:
        return found, None, None
    return found, scored.scores(), scored.named(reasons.named) if reasons is not None and found.rows else None


class _Grid:
    """The grid's end of the conversation."""

    def __init__(
        self,
        job: PartyJob,
        model: Half,
        table: FeatureTable,
        rows: Index,
        listed: Listed,
        supply: Supply,
        scored: _Scored,
        read: Stamp,
    ) -> None:
        self._job, self._model, self._table, self._rows = job, model, table, rows
        self._listed, self._supply, self._scored = listed, supply, scored
        self._read, self._looked = read, time.monotonic()
        self._told = 0  # rows of which the bank has heard whether they are held, and nothing else

    async def run(self) -> None:
        session, requests = self._job.session, self._job.requests
        await self._supply.make_room(1)
        while count := int((await requests.next(session.receive(Kind.SHAPE, np.uint64, (1,))))[0]):
            if count > MOST:
                raise PeerProtocolError(f"the bank asks for {count} rows at once", expected=f"at most {MOST}")
            await self._supply.make_room(count)
            places = await self._listed.answer(count)
            at = np.flatnonzero(places >= 0)
            await self._score(self._rows[places[at]], at, count)

    async def _score(self, rows: Index, at: Index, count: int) -> None:
        """rows: those held, (n,), at their places `at` among the `count` asked for."""
        part, refused, committed = self._table.take(rows), list[PolicyError](), None
        may = np.ones(part.rows, np.bool_)
        try:
            if part.rows:  # the books first: they wait for the disk while this side computes
                committed = await self._job.charge_ahead(part, self._model)
        except PolicyError as error:
            may = await self._charged_apart(part, error, refused)
        request = await self._supply.ask(part, at, count)
        if committed is not None:
            await committed
        if refused:
            text = "job %s: %d of %d rows were asked for and not scored: %s"
            _log.warning(text, self._job.id, len(refused), len(rows), refused[0])
        self._allow_told(count - int(may.sum()))
        said = np.full(count, _ABSENT, np.uint8)
        said[at] = np.where(may, _NEWER if await self._newer() else _MAY, _REFUSES)
        reasons, rest = self._supply.reasons, None
        async with self._job.session.together():
            await self._job.session.post(Kind.ASKED, said)
            if may.any():
                await self._supply.open(request, at[may])
                self._scored.add(rows[may], None)
                if reasons is not None:
                    rest = await reasons.tell(part if may.all() else part.take(np.flatnonzero(may)))
        if rest is not None:
            await rest()

    def _allow_told(self, rows: int) -> None:
        """Raises PolicyError where a session tells of more rows whether they are held, and no rate counts it, than a match."""
        self._told, most = self._told + rows, self._job.home.policy.max_ids
        if self._told > most:
            raise PolicyError(
                f"{self._told} rows of this session were asked for and not scored",
                expected=f"at most {most} (max_ids)",
                remedy="Begin another session, and ask for rows that both sides hold; see the grid's log for those it refused.",
            )

    async def _newer(self) -> bool:
        """Whether the file of this session's rows is another one by now; looked at once a second."""
        if self._read and (now := time.monotonic()) >= self._looked + 1.0:
            self._looked = now
            if await asyncio.to_thread(stamp_of, self._job.dataset.path) != self._read:
                self._read = ()
        return not self._read

    async def _charged(self, part: FeatureTable, refused: list[PolicyError]) -> Mask:
        """Which rows the rates of the client and the budget of rows allow, (n,). Both are on disk before anything leaves.

        All at once where all may be, else by halves; refused: gets why, of each that may not.
        """
        try:
            await (await self._job.charge_ahead(part, self._model))
        except PolicyError as error:
            return await self._charged_apart(part, error, refused)
        return np.ones(part.rows, np.bool_)

    async def _charged_apart(self, part: FeatureTable, why: PolicyError, refused: list[PolicyError]) -> Mask:
        """The same of rows that may not be charged all at once, and why."""
        if part.rows == 1:
            refused.append(why)
            return np.zeros(1, np.bool_)
        half = part.rows // 2
        parts = [await self._charged(part.part(*ends), refused) for ends in ((0, half), (half, part.rows))]
        return np.concatenate(parts)


class _Bank:
    """The bank's end. places: of its own rows, by name."""

    def __init__(
        self,
        job: PartyJob,
        model: Half,
        table: FeatureTable,
        places: dict[str, int],
        asking: Asking,
        supply: Supply,
        scored: _Scored,
        desk: Desk,
    ) -> None:
        self._job, self._model, self._table, self._places = job, model, table, places
        self._asking, self._supply, self._scored, self._desk = asking, supply, scored, desk
        self._decide = job.role.decider(model)
        self.unfiled = 0  # rows scored that came with requests, or were asked for beside others
        self._stale = False  # whether the grid has newer rows than those of this session

    async def run(self) -> None:
        await self._supply.make_room(1)
        job = self._job
        self._desk.ready(
            Warm(
                job.id,
                self._model.job,
                self._places,
                self._supply.left,
                self._supply.waiting,
                takes_stock(self._model),
                Given(self._model.source, job.dataset.missing),
            )
        )
        ahead = asyncio.create_task(self._asking.hide_ahead(self._places))
        try:
            await self._answer_all()
        finally:
            ahead.cancel()
        await job.session.send(Kind.SHAPE, np.zeros(1, np.uint64))

    async def _answer_all(self) -> None:
        """Until nothing more is asked for."""
        while (names := await self._job.requests.next(self._desk.ask())) is not None:
            if not 0 < len(names) <= MOST:
                raise LocalProtocolError("a request is of few rows", expected=f"1 to {MOST}", got=len(names))
            given = self._desk.given
            answers: dict[str, Answer] = {}
            if given is None:
                known = [name for name in dict.fromkeys(names) if name in self._places]
                answers = await self._score(known, self._table, self._places) if known else {}
            elif (left_out := await asyncio.to_thread(self._not_allowed, given)) is not None:
                answers = {name: Answer(name, refused=left_out) for name in names}
            else:
                answers = await self._score(names, given, {name: place for place, name in enumerate(names)})
            nobody = "this side's dataset has no such row, in months that both have"
            told = [answers.get(name) or Answer(name, refused=nobody) for name in names]
            await self._desk.hear(told, Remains(self._supply.left, self._stale, self._supply.untold))

    def _not_allowed(self, given: FeatureTable) -> str | None:
        """Why rows that came with a request may not be used, as the dataset's could not: beyond a grant, or nobody agreed."""
        job = self._job
        try:
            if job.check_grant is not None:
                job.check_grant(Loaded(given, dict(self._model.source)))
            if job.consents is not None:
                job.consents.join(given.ids.levels)
        except (PolicyError, DataError) as error:
            return str(error)
        return None

    async def _score(self, names: Sequence[str], table: FeatureTable, at: Mapping[str, int]) -> dict[str, Answer]:
        """The answers about rows of `table`, each at its place there."""
        session, count = self._job.session, len(names)
        rows = np.array([at[name] for name in names], np.int64)
        part = table.take(rows)
        try:
            rated = await self._job.rate_ahead(part, self._model.job)  # the disk writes while the grid computes
        except PolicyError as error:
            return {name: Answer(name, refused=str(error)) for name in names}
        try:
            async with session.together():
                await session.post(Kind.SHAPE, np.array([count], np.uint64))
                await self._supply.make_room(count)
                await self._asking.ask(names)
                request = await self._supply.ask(part, np.arange(count), count)
            said = (await session.receive(Kind.ASKED, np.uint8, (count,))).tolist()
        except BaseException:  # a row that always stalls would else be counted, and was never told
            await rated.lost(part)
            raise
        if not _SAYS.issuperset(said):
            raise PeerProtocolError("the grid said of a row what is no answer", expected="0, 1, 3 or 4", got=max(said))
        self._stale |= _NEWER in said
        answers = {
            name: Answer(name, refused="the grid holds no such row" if code == _ABSENT else _REFUSED)
            for name, code in zip(names, said, strict=True)
            if code in (_ABSENT, _REFUSES)
        }
        may = np.array([code in (_MAY, _NEWER) for code in said], np.bool_)
        kept, found = np.flatnonzero(may), names
        if len(kept) < count:
            await rated.give_back(part.take(np.flatnonzero(~may)))
            if not len(kept):
                return answers
            part, rows, found = part.take(kept), rows[kept], [names[k] for k in kept.tolist()]
        u = await self._supply.open(request, kept)
        assert u is not None  # noqa: S101
        named = None
        if (reasons := self._supply.reasons) is not None:
            named = Named(await reasons.hear(part), reasons.named)
        decided = self._decide(part, u, named)
        await rated.kept
        self._file(found, rows if table is self._table else rows[:0], u, named)
        values = zip(*map(_plain, decided.values()), strict=True)
        return answers | {
            name: Answer(name, dict(zip(decided, row, strict=True))) for name, row in zip(found, values, strict=True)
        }

    def _file(self, names: Sequence[str], rows: Index, u: Reals, named: Named | None) -> None:
        """rows: places of `names` in the dataset, (n,); none where they came with a request."""
        if len(rows) and (decoys := self._desk.decoys):
            kept = np.array([name not in decoys for name in names], np.bool_)
            rows, u, named = rows[kept], u[kept], None if named is None else Named(named.codes[kept], named.texts)
        if len(rows):
            self._scored.add(rows, u, named)
        self.unfiled += len(names) - len(rows)


def _plain(column: Any) -> list[Any]:
    """The values of a column as JSON has them: of all rows at once, each by itself takes forty times as long."""
    if hasattr(column, "dictionary_decode"):
        column = column.dictionary_decode()  # as it stands, each value is looked up by a call of its own
    for convert in ("to_pylist", "tolist"):
        if hasattr(column, convert):
            return list(getattr(column, convert)())
    return list(column)
