"""The stock from which rows are scored as they are asked for. PROTOCOL.md section 10."""

from __future__ import annotations

from contextlib import AsyncExitStack, nullcontext

from common.learn.learner import Half, Request, Telling
from common.learn.learners import begin_scores, check_on_request, scored_undealt, takes_stock
from common.mpc.fixedpoint import Reals
from common.mpc.session import Kind
from common.plan.score import ScorePlan
from common.rows.table import FeatureTable, Index
from common.stages.ahead import ASKED, scores_ahead, usable
from common.stages.job import PartyJob
from common.stages.reasons import AskedReasons

_ENDLESS = 1 << 62  # rows, where none takes what can be used up


class Supply:
    """The stock that rows are scored from: the next one where the last does not do. Both parties count alike."""

    def __init__(
        self, job: PartyJob, plan: ScorePlan, model: Half, stack: AsyncExitStack, reasons: AskedReasons | None = None
    ) -> None:
        self._job, self._plan, self._model, self._stack, self.reasons = job, plan, model, stack, reasons
        self.left = 0  # rows that the stock in use still serves

    def waiting(self) -> list[int]:
        """How many rows each of the stocks behind it serves, as they lie on disk."""
        model, plan = self._model, self._plan
        if not takes_stock(model):
            return []
        return [label.rows for label in usable(self._job.home.stocks, model, plan.on_request, plan.score_bits)]

    async def make_room(self, rows: int) -> None:
        """From here on so many rows can be scored. Raises PolicyError where no stock serves them."""
        if self.left >= rows:
            return
        check_on_request(self._model)  # before a stock is spent
        await self._stack.aclose()
        job, model, bits = self._job, self._model, self._plan.score_bits
        telling, correlations, label = Telling(Kind.SCORES, bits), job.correlations, None
        if takes_stock(model):
            least = max(rows, self._plan.on_request)
            texts = 0 if self.reasons is None else self.reasons.texts
            ahead = scores_ahead(job.session, job.shelf, job.home.key, model, least, bits, ASKED, reasons=texts)
            async with nullcontext() if job.desk is None else job.desk.taking():
                correlations, label = await self._stack.enter_async_context(ahead)
            assert label is not None  # noqa: S101  (where others have all it has failed)
            telling = Telling(Kind.SCORES, bits, dealt=label.rows)
        self.left = label.rows if label is not None else (_ENDLESS if scored_undealt(model) else self._plan.on_request)
        self._scores = await begin_scores(job.session, correlations, model, self.left, telling)
        await self._scores.warm()
        if self.reasons is not None:
            await self.reasons.take(correlations, self.left, 0 if label is None else label.reasons)

    @property
    def untold(self) -> str:
        """Why rows have no reasons of the grid though the plan asks for them."""
        return self.reasons.untold if self.reasons is not None else ""

    async def ask(self, table: FeatureTable, at: Index, count: int) -> Request:
        """See `RowScores.ask`."""
        request = await self._scores.ask(table, at, count)
        self.left -= request.taken
        return request

    async def open(self, request: Request, kept: Index) -> Reals | None:
        if not request.taken:
            self.left -= len(kept)
        return await request.open(kept)
