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


def prepared_sides(split: Split, section: Network, coding: Coding) -> tuple[dict[Party, Matched], dict[Party, Any], Vector]:
    """Both sides' rows, their columns as a network takes them, and all rows' columns together as a line does, (n, m)."""
    rows = {p: Matched(p, split.tables[p], split.columns[p], split.train, room=room(split.train, 20)) for p in Party}
    options, count = Preparation(coding=coding), len(split.label)
    prepared = {p: NetworkLearner().prepare(section, rows[p], options, 1.0)[0] for p in Party}
    line = (
        prepare_rows(split.tables[p], split.columns[p], options, split.train, 0.0, p, room=rows[p].room)[0].matrix(0, count)
        for p in Party
    )
    return rows, prepared, np.column_stack([*line])


def multiplied(prepared: dict[Party, Any], rows: int) -> dict[Party, Vector]:
    """The values that are multiplied, as a sine of many columns tells them apart from what they are rounded from."""
    unit = 2.0**-X_SCALE
    return {p: np.rint(prepared[p].matrix(0, rows) / unit) * unit for p in Party}


def _measured(split: Split, section: Network, coding: Coding) -> dict[str, Any]:
    learner, truth = NetworkLearner(), split.label[split.train :]
    rows, prepared, of_line = prepared_sides(split, section, coding)
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
    x = multiplied(prepared, len(split.label))
    train, test = ({p: m[part] for p, m in x.items()} for part in (slice(0, split.train), slice(split.train, None)))
    label = split.label[: split.train]
    begin = time.process_time()
    alone = twin.train(section, train[Party.GRID], train[Party.BANK], label)
    spent = time.process_time() - begin
    exact = alone.scores(test[Party.GRID], test[Party.BANK])
    found["twin"] = _quality(exact, truth, spent)
    known = weights.scores(test[Party.GRID], test[Party.BANK])
    found["training_off"], found["scoring_off"] = float(np.abs(known - exact).max()), float(np.abs(u - known).max())
    pooled = np.column_stack([prepared[p].matrix(0, len(split.label)) for p in Party])
    for name, fit, of in (("relu_adam", _adam, pooled), ("line", fit_line, of_line)):
        begin = time.process_time()
        model = fit(section, of[: split.train], label)
        spent = time.process_time() - begin
        p = model.predict_proba(of[split.train :])[:, 1]
        found[name] = _quality(np.log(p / (1 - p)), truth, spent)
    return found


def _adam(section: Network, x: Vector, label: Vector) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((section.hidden,), batch_size=256, learning_rate_init=3e-3, max_iter=20, alpha=1e-2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, label)


def fit_line(section: Network, x: Vector, label: Vector) -> Any:
    """scikit-learn's logistic regression of the linear model's default penalty."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1 / (len(label) * 1e-4), max_iter=500).fit(x, label)


def _quality(u: Vector, truth: Vector, seconds: float) -> dict[str, float]:
    return {"auc": auc(truth, u), "logloss": logloss(truth, sigmoid(u)), "seconds": seconds}
