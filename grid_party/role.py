"""What the grid does with what a job gives it alone: it charges its book before scores leave, and says which texts are told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from common.errors import LocalProtocolError, PolicyError
from common.home.outcome import Challenge
from common.learn.learner import Half
from common.mpc.beside import to_the_end
from common.mpc.fixedpoint import Reals
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.train import TrainPlan
from common.rows.table import FeatureTable
from common.stages.job import Beginning, Decider, Heard, Kept, Made, PartyJob
from common.stages.reasons import Named, Texts
from common.stages.split import Mask
from grid_party.home import GridHome
from grid_party.ledger import Ledger

_NO_REASONS = "the plan asks for reasons, and no column of this dataset declares one: none are told"


@dataclass(frozen=True)
class Account:
    """The ledger of scored rows, how many models may score one of them, and under which name a scoring is entered.

    scoring: of scores that tell something new each time, the job that tells them; empty where the same model again is free.
    """

    ledger: Ledger
    limit: int
    scoring: str = ""

    def name(self, model: str) -> str:
        return model if self.scoring in ("", model) else f"{model}/{self.scoring}"

    def check(self, table: FeatureTable, model: str) -> None:
        """Raises PolicyError if `charge` would of rows that are not asked for one by one; nothing is charged."""
        self.ledger.check(table, self.name(model), self.limit)

    def charge(self, table: FeatureTable, model: str, *, asked: bool = False) -> None:
        if asked and self.scoring:
            self.ledger.charge_again(table, model, self.limit)
        else:
            self.ledger.charge(table, self.name(model), self.limit)


@dataclass(frozen=True)
class GridRole:
    """The grid's side of a job."""

    home: GridHome
    party = Party.GRID

    def budget(self, model: Half, job: str, granted: int | None = None) -> Account:
        """The account of a scoring by `model` in this job."""
        return self._account(len(model.fitted.sources), "" if model.repeats else job, granted)

    def _account(self, sources: int, scoring: str = "", granted: int | None = None) -> Account:
        """The budget of a model of so many source columns: after as many models, their scores could be solved for a row.

        A column in ten bins is one: what a score tells of each of its indicators it tells of that column.
        """
        most = min(self.home.policy.scores_per_row, max(1, sources // 2))
        return Account(self.home.ledger, most if granted is None else min(most, granted), scoring)

    def charge_labels(self, table: FeatureTable, job: str, what: str, bits: float, *, again: bool = True) -> None:
        raise LocalProtocolError("the grid has no labels to tell of")

    def tells(self, rows: FeatureTable, job: str, what: str, bits: float) -> bool:
        raise LocalProtocolError("the grid has no metrics to tell of")

    def check_labels(self, job: PartyJob, table: FeatureTable, test: Mask) -> None:
        raise LocalProtocolError("the grid has no labels to look at")

    async def check_training(self, job: PartyJob, plan: TrainPlan, beginning: Beginning) -> None:
        """May the held-out rows be scored by this model, and by the champion after that? And may those that train?"""
        sources = len(beginning.prepared.fitted.sources)
        self._check_sources(sources)
        account, held = self._account(sources, granted=job.scores_per_row), beginning.held()
        await asyncio.to_thread(account.ledger.check, held, job.id, account.limit)
        if beginning.champion is not None:
            rival = self.budget(beginning.champion, job.id, job.scores_per_row)
            await asyncio.to_thread(rival.ledger.check, held, rival.name(beginning.champion.job), rival.limit - 1)
        if not plan.model.closed:
            await asyncio.to_thread(account.check, beginning.trained(), job.id)

    async def before_training(self, job: PartyJob, plan: TrainPlan, beginning: Beginning) -> None:
        """Where the bank is told its own weights, the rows that train are charged: those held out are when they are scored.

        Of columns that mark single companies a weight is as good as a score.
        """
        if not plan.model.closed:
            account = self._account(len(beginning.prepared.fitted.sources), granted=job.scores_per_row)
            rows = beginning.trained()

            def charge() -> None:
                account.charge(rows, job.id)
                job.charged("scores_per_row", rows.rows)

            await to_the_end(asyncio.to_thread(charge))

    def _check_sources(self, sources: int) -> None:
        """Raises PolicyError for few source columns: a joint score is one equation in them, and with very few it is these."""
        if sources < self.home.policy.min_columns:
            raise PolicyError(
                f"{sources} columns of the grid are too few, however they are coded: the joint score would tell them",
                expected=f"at least {self.home.policy.min_columns}",
                got=sources,
                remedy="Train on more of the grid's columns.",
            )

    async def trained(self, job: PartyJob, plan: TrainPlan, made: Made, heard: Heard | None) -> Kept:
        return Kept()

    def before_scoring(self, model: Half) -> None:
        pass

    def reasons(self, job: PartyJob, model: Half) -> Texts:
        """The texts of reasons as the dataset declares them today, or as they were when the model was trained."""
        texts = {name: job.dataset.columns.get(name, column).reason for name, column in model.source.items()}
        if not any(texts.values()):
            job.warn(_NO_REASONS, public=_NO_REASONS)
        return Texts(texts, self.home.policy.reason_threshold)

    async def scored(self, job: PartyJob, model: Half, table: FeatureTable, u: Reals | None, named: Named | None) -> None:
        pass

    def decider(self, model: Half) -> Decider:
        raise LocalProtocolError("the grid decides nothing")

    def compare(self, plan: PromotePlan, candidate: str, champion: str) -> Challenge | None:
        return None
