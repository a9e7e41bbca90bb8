"""A network on shares beside its float twin, ReLU with Adam, and a line, on the same splits of a real table, in one process."""

from __future__ import annotations

import asyncio
import time
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.features.options import Preparation
from common.features.pieces import room
from common.learn.design import prepare_rows
from common.learn.learner import Matched, Telling
from common.learn.network import deal
from common.learn.network.deal import NetworkDemand, NetworkScoreDemand
from common.learn.network.deal_stopping import EpochDemand, deal_epoch
from common.learn.network.learner import NetworkLearner
from common.learn.network.weights import Weights
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import X_SCALE, Reals
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.network import Network
from common.plan.train import TrainPlan
from common.stats.measures import auc, logloss, sigmoid
from tests.bench.trees import Split, split_table
from tests.common.learn.network import twin
from tests.common.learn.network.problems import opened
from tests.peers import Trio, coordinate

Vector = npt.NDArray[np.float64]
Coding = Literal["auto", "linear"]


def bench_network(path: Path, seeds: int, section: Network, coding: Coding) -> dict[str, Any]:
    """For each split held-out AUC and log-loss of each, processor seconds of each training, and means.

    training_off: how far u by the trained weights is from u by the twin's, at most. scoring_off: how far u as shares give it,
    in steps of 1/32, is from u by the weights that they share.
    """
    table = pd.read_csv(path)
    each = [_measured(split_table(table, seed), section, coding) for seed in range(seeds)]
    names = ("secure", "twin", "relu_adam", "line")
    means = {n: {m: float(np.mean([one[n][m] for one in each])) for m in each[0][n]} for n in names}
    return {
        "section": section.model_dump(),
        "coding": coding,
        "rows": each[0]["rows"],
        "means": means,
        "training_off": max(one["training_off"] for one in each),
        "scoring_off": max(one["scoring_off"] for one in each),
        "each": each,
    }


def _measured(split: Split, section: Network, coding: Coding) -> dict[str, Any]:
    learner, truth = NetworkLearner(), split.label[split.train :]
    rows = {p: Matched(p, split.tables[p], split.columns[p], split.train, room=room(split.train, 20)) for p in Party}
    options = Preparation(coding=coding)
    prepared = {p: learner.prepare(section, rows[p], options, 1.0)[0] for p in Party}
    plan = TrainPlan.model_validate({"grid": {"dataset": "t"}, "bank": {"dataset": "t"}, "model": section.model_dump()})
    held = {p: table.part(split.train, table.rows) for p, table in split.tables.items()}
    seconds: dict[Party, float] = {}

    async def side(session: Session, correlations: DealtCorrelations) -> tuple[Reals | None, Weights]:
        p = session.party
        task = learner.task(section, prepared[p], rows[p], len(prepared[p.other].columns))
        trained = await task.train(session, correlations)
        seconds[p] = time.process_time()
        half = trained.half("bench", split.columns[p], {})
        return await learner.open_scores(session, correlations, half, held[p], Telling(Kind.TEST_SCORES, 5)), trained.weights

    begin = time.process_time()
    dealt: Any = {
        NetworkDemand: lambda prg, demand: deal.deal_training(prg, demand, plan, 1 << 30),
        EpochDemand: lambda prg, demand: deal_epoch(prg, demand, plan, 1 << 30),
        NetworkScoreDemand: deal.deal_scores,
    }
    told = asyncio.run(coordinate(Trio(), side, more=dealt))
    u, weights = told[Party.BANK][0], opened({p: told[p][1] for p in Party}, section.activation)
    assert u is not None
    found: dict[str, Any] = {"rows": {"train": split.train, "test": len(truth)}}
    found["columns"] = {p.value: len(prepared[p].columns) for p in Party}
    found["secure"] = _quality(u, truth, max(seconds.values()) - begin)
    unit = 2.0**-X_SCALE  # the twin takes the values that are multiplied, as a sine of many columns tells them apart
    x = {p: np.rint(prepared[p].matrix(0, split.train + len(truth)) / unit) * unit for p in Party}
    train, test = ({p: m[part] for p, m in x.items()} for part in (slice(0, split.train), slice(split.train, None)))
    label = split.label[: split.train]
    begin = time.process_time()
    alone = twin.train(section, train[Party.GRID], train[Party.BANK], label)
    spent = time.process_time() - begin
    exact = alone.scores(test[Party.GRID], test[Party.BANK])
    found["twin"] = _quality(exact, truth, spent)
    known = weights.scores(test[Party.GRID], test[Party.BANK])
    found["training_off"], found["scoring_off"] = float(np.abs(known - exact).max()), float(np.abs(u - known).max())
    of_line = {
        p: prepare_rows(split.tables[p], split.columns[p], options, split.train, 0.0, p, room=rows[p].room)[0] for p in Party
    }
    for name, fit, of in (("relu_adam", _adam, prepared), ("line", _line, of_line)):
        pooled = np.column_stack([of[p].matrix(0, split.train + len(truth)) for p in Party])
        begin = time.process_time()
        model = fit(section, pooled[: split.train], label)
        spent = time.process_time() - begin
        p = model.predict_proba(pooled[split.train :])[:, 1]
        found[name] = _quality(np.log(p / (1 - p)), truth, spent)
    return found


def _adam(section: Network, x: Vector, label: Vector) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((section.hidden,), batch_size=256, learning_rate_init=3e-3, max_iter=20, alpha=1e-2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, label)


def _line(section: Network, x: Vector, label: Vector) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1 / (len(label) * 1e-4), max_iter=500).fit(x, label)


def _quality(u: Vector, truth: Vector, seconds: float) -> dict[str, float]:
    return {"auc": auc(truth, u), "logloss": logloss(truth, sigmoid(u)), "seconds": seconds}
