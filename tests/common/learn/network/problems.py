"""Small data of two sides on which a network does better than a line, and its training in one process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from common.features.options import Preparation
from common.learn.design import PreparedRows, prepare_rows
from common.learn.learner import Size, Telling
from common.learn.network import deal
from common.learn.network.deal import NetworkDemand, NetworkScoreDemand
from common.learn.network.deal_stopping import EpochDemand, deal_epoch
from common.learn.network.half import NetworkModel
from common.learn.network.learner import NetworkTask
from common.learn.network.scales import WEIGHT
from common.learn.network.score import Scorer, demand_of
from common.learn.network.train import TrainingInputs
from common.learn.network.weights import Weights
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import X_SCALE, Reals, Words, decode, encode
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.network import Network
from common.plan.train import TrainPlan
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from tests.common.learn.network.twin import Trained
from tests.common.stages.tables import table
from tests.peers import Trio, coordinate

DEALT: dict[Any, Any] = {NetworkScoreDemand: deal.deal_scores}


@dataclass(frozen=True)
class Problem:
    """grid (n, 3), bank (n, 3) with a last column of ones, label (n,)."""

    grid: Reals
    bank: Reals
    label: Reals

    @classmethod
    def made(cls, rows: int, seed: int = 0) -> Problem:
        rng = np.random.default_rng(seed)
        grid, bank = rng.standard_normal((rows, 3)), rng.standard_normal((rows, 2))
        u = 1.5 * grid[:, 0] * bank[:, 0] + grid[:, 1] - bank[:, 1] - 0.5
        label = (rng.random(rows) < 1 / (1 + np.exp(-u))).astype(float)
        exact = [np.round(block * 2.0**X_SCALE) / 2.0**X_SCALE for block in (grid, bank)]
        return cls(exact[0], np.column_stack([exact[1], np.ones(rows)]), label)

    def inputs(self, section: Network, party: Party) -> TrainingInputs:
        own, other = (self.grid, self.bank) if party is Party.GRID else (self.bank, self.grid)
        words = np.asfortranarray(encode(own, X_SCALE).view(np.int64).astype(np.int32))
        label = self.label if party is Party.BANK else None
        return TrainingInputs(section, words, other.shape[1], label, (*own.shape, other.shape[1]))

    def table(self, party: Party) -> FeatureTable:
        """One side's rows as a table, the bank's without the column of ones."""
        block = self.grid if party is Party.GRID else self.bank[:, :-1]
        return table([f"F{k}" for k in range(len(block))], **{f"{party.value}{j}": column for j, column in enumerate(block.T)})

    @cached_property
    def prepared(self) -> dict[Party, PreparedRows]:
        """The same, standardised."""
        found = {}
        for party in Party:
            rows = self.table(party)
            columns = {name: ColumnConfig(kind="numeric") for name in rows.order}
            found[party] = prepare_rows(rows, columns, Preparation(min_binary=0), rows.rows, 0.0, party, leverage=1.0)[0]
        return found

    def halves(self, shares: dict[Party, Weights], activation: Any = "sine") -> dict[Party, NetworkModel]:
        """Both halves of a model that scores these rows."""
        return {p: NetworkModel("job-1", p, self.prepared[p].fitted, shares[p], activation, {}, {}) for p in Party}


def plan_of(section: Network) -> TrainPlan:
    return TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "model": section})


async def trained(trio: Trio, problem: Problem, section: Network, size: Size | None = None) -> dict[Party, Weights]:
    """Both parties' shares. size: of what was dealt, if more."""

    async def protocol(session: Session, correlations: DealtCorrelations) -> Weights:
        inputs = problem.inputs(section, session.party)
        task = NetworkTask(problem.prepared[session.party], inputs, [])
        return (await (task.filled(size) if size else task).train(session, correlations)).weights

    return await coordinate(trio, protocol, more=dealt(section))


def dealt(section: Network) -> dict[Any, Any]:
    """How a training by this section, and scorings by what it leaves, are dealt."""
    plan = plan_of(section)
    return {
        NetworkDemand: lambda prg, demand: deal.deal_training(prg, demand, plan, 1 << 30),
        EpochDemand: lambda prg, demand: deal_epoch(prg, demand, plan, 1 << 30),
        **DEALT,
    }


def opened(shares: dict[Party, Weights], activation: str = "sine") -> Trained:
    """What nobody ever sees: the weights themselves."""
    grid, bank = shares[Party.GRID], shares[Party.BANK]

    def sum_of(first: Any, second: Any) -> Reals:
        return decode(np.ascontiguousarray(first + second), WEIGHT)

    return Trained(
        sum_of(grid.own, bank.other),
        sum_of(grid.other, bank.own),
        sum_of(grid.output, bank.output),
        float(sum_of(grid.intercept, bank.intercept)[0]),
        activation,
    )


async def scored(
    trio: Trio,
    problem: Problem,
    shares: dict[Party, Weights],
    bits: int = 5,
    dealt: int | None = None,
    activation: str = "sine",
) -> Reals:
    """u of the problem's rows, standardised, as the shares give it."""
    halves = problem.halves(shares, activation)

    async def protocol(session: Session, correlations: DealtCorrelations) -> Words:
        rows, telling = problem.table(session.party), Telling(Kind.SCORES, bits, dealt=dealt)
        half = halves[session.party]
        scorer = await Scorer.start(session, correlations, half, demand_of(half, telling, telling.dealt or rows.rows))
        share, held = await scorer.score(rows, at_once=True)
        assert held == 0
        return share

    found = await coordinate(trio, protocol, more=DEALT)
    return decode(found[Party.GRID] + found[Party.BANK], bits)


def random_shares(seed: int, columns: dict[Party, int], units: int) -> dict[Party, Weights]:
    """Uniform shares of weights of about 1."""
    rng = np.random.default_rng(seed)
    whole = [rng.normal(size=shape) for shape in ((columns[Party.GRID], units), (columns[Party.BANK], units), (units,), (1,))]
    words = [encode(values, WEIGHT) for values in whole]
    kept = [rng.integers(0, 2**64, values.shape, np.uint64) for values in words]
    rest = [a - b for a, b in zip(words, kept, strict=True)]
    return {Party.GRID: Weights(*kept), Party.BANK: Weights(rest[1], rest[0], *rest[2:])}
