"""What the grid does with what a job gives it alone: it charges its book before scores leave, and says which texts are told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from common.errors import LocalProtocolError, PolicyError
from common.home.outcome import Challenge
from common.learn.learner import Half
from common.mpc.fixedpoint import Reals
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.train import TrainPlan
from common.rows.table import FeatureTable
from common.stages.job import Heard, Kept, Made, PartyJob
from common.stages.reasons import Named, Texts
from grid_party.home import GridHome
from grid_party.ledger import Ledger


@dataclass(frozen=True)
class Account:
    """The ledger of scored rows, and how many models may score one of them."""

    ledger: Ledger
    limit: int

    def charge(self, table: FeatureTable, model: str) -> None:
        self.ledger.charge(table, model, self.limit)


@dataclass(frozen=True)
class GridRole:
    """The grid's side of a job."""

    home: GridHome
    party = Party.GRID

    def budget(self, columns: int) -> Account:
        """The budget of a model of so many columns: after as many models as columns, their scores could be solved for a row."""
        return Account(self.home.ledger, min(self.home.policy.scores_per_row, max(1, columns // 2)))

    def charge_counts(self, table: FeatureTable, job: str) -> None:
        raise LocalProtocolError("the grid has no labels to count")

    async def before_training(self, job: PartyJob, held: FeatureTable, columns: int, champion: Half | None) -> None:
        """May the held-out rows be scored by a model of so many columns, and by the champion after that?"""
        self._check_columns(columns)
        account = self.budget(columns)
        await asyncio.to_thread(account.ledger.check, held, job.id, account.limit)
        if champion is not None:
            account = self.budget(len(champion.columns))
            await asyncio.to_thread(account.ledger.check, held, champion.job, account.limit - 1)

    def _check_columns(self, columns: int) -> None:
        """A joint score is one equation in the grid's columns: with very few, it is the columns."""
        if columns < self.home.policy.min_columns:
            raise PolicyError(
                f"{columns} trained columns of the grid are too few: the joint score would tell them",
                expected=f"at least {self.home.policy.min_columns}",
                got=columns,
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
            job.warn("the plan asks for reasons, and no column of this dataset declares one: none are told")
        return Texts(texts, self.home.policy.reason_threshold)

    async def scored(self, job: PartyJob, model: Half, table: FeatureTable, u: Reals | None, named: Named | None) -> None:
        pass

    def compare(self, plan: PromotePlan, candidate: str, champion: str) -> Challenge | None:
        return None
