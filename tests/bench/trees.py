"""Boosted trees on shares beside their float twin and scikit-learn's, on the same splits of a real table, in one process."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from common.features.options import Preparation
from common.features.pieces import room
from common.learn.learner import Matched, Size
from common.learn.trees.deal import TreesDemand
from common.learn.trees.design import Prepared, below, prepare
from common.learn.trees.half import TreesHalf
from common.learn.trees.learner import TreeLearner, TreesTrained
from common.learn.trees.make import deal_trees, make_forest
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.session import Session
from common.party import Party
from common.plan.train import TrainPlan
from common.plan.trees import Trees
from common.rows.declare import ColumnConfig
from common.rows.table import FeatureTable, Ids
from common.stats.measures import auc, logloss, sigmoid
from tests.bench.peers import Xgboost
from tests.bench.tree_worlds import WORLDS
from tests.common.learn.trees import twin
from tests.peers import Trio, coordinate

Vector = npt.NDArray[np.float64]
_BANK = ("LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE")
_LABEL, _ID = "default.payment.next.month", "ID"


@dataclass(frozen=True)
class Split:
    """Both sides' rows, those that train first."""

    tables: dict[Party, FeatureTable]
    label: Vector
    train: int

    @property
    def columns(self) -> dict[Party, dict[str, ColumnConfig]]:
        return {
            p: {name: ColumnConfig(kind="numeric" if name in table.numeric else "categorical") for name in table.order}
            for p, table in self.tables.items()
        }

    @property
    def pooled(self) -> Vector:
        """Numbers, and a column of 0 and 1 for each level of a category."""
        found = [values for table in self.tables.values() for values in table.numeric.values()]
        for table in self.tables.values():
            for values in table.categorical.values():
                found += [(values == level).astype(np.float64) for level in sorted(set(values))]
        return np.column_stack(found)


def bench_trees(splits: Iterable[Split], section: Trees, xgboost: Xgboost | None = None, draws: int = 1) -> dict[str, Any]:
    """For each split held-out AUC and log-loss, processor seconds, and means.

    draws: of candidates; the twin's figures are means of as many, by as many seeds from the section's on.
    """
    each = [_measured(split, section, xgboost, draws) for split in splits]
    names = ("secure", "twin", "scikit_learn", *(["xgboost"] if xgboost else []))
    means = {n: {m: float(np.mean([one[n][m] for one in each])) for m in ("auc", "logloss", "seconds")} for n in names}
    first = {name: each[0][name] for name in ("label_bits", "rows")}
    return {"section": section.model_dump(), **first, "means": means, "each": each}


def split_table(table: pd.DataFrame, seed: int, rows: int | None = None) -> Split:
    """A tenth three times held out, as many of each class as of all; the payment history is the grid's."""
    draw, label = np.random.default_rng(seed), table[_LABEL].to_numpy(np.float64)
    test = np.zeros(len(label), np.bool_)
    for kind in (0.0, 1.0):
        at = np.flatnonzero(label == kind)
        test[draw.permutation(at)[: round(0.3 * len(at))]] = True
    train = draw.permutation(np.flatnonzero(~test))[:rows]
    order = np.concatenate([train, np.flatnonzero(test)])
    sides = {
        Party.GRID: [name for name in table.columns if name not in (*_BANK, _LABEL, _ID)],
        Party.BANK: list(_BANK),
    }
    ids = Ids.of([str(k) for k in order])
    tables = {
        p: FeatureTable(
            ids,
            None,
            {name: table[name].to_numpy(np.float64)[order] for name in names},
            {},
            label[order] if p is Party.BANK else None,
            tuple(names),
        )
        for p, names in sides.items()
    }
    return Split(tables, label[order], len(train))


def split_world(name: str, seed: int, train: int, held: int) -> Split:
    """Rows of one of WORLDS, whose columns are the grid's and the bank's by turns."""
    rng = np.random.default_rng(seed)
    drawn = WORLDS[name](rng, train + held)
    label = (rng.random(train + held) < sigmoid(drawn.u)).astype(np.float64)
    ids = Ids.of([str(k) for k in range(train + held)])
    tables = {}
    for p in Party:
        names = [*drawn.numeric, *drawn.levels][p.index :: 2]
        numeric = {name: drawn.numeric[name] for name in names if name in drawn.numeric}
        levels = {n: np.array([f"L{k:02d}" for k in drawn.levels[n]], object) for n in names if n in drawn.levels}
        tables[p] = FeatureTable(ids, None, numeric, levels, label if p is Party.BANK else None, tuple(names))
    return Split(tables, label, train)


def _measured(split: Split, section: Trees, xgboost: Xgboost | None, draws: int) -> dict[str, Any]:
    halves, seconds, cells = asyncio.run(_secure(split, section))
    held = {p: table.part(split.train, table.rows) for p, table in split.tables.items()}
    truth = split.label[split.train :]
    place = halves[Party.GRID].paths(held[Party.GRID]) | halves[Party.BANK].paths(held[Party.BANK])
    leaves = (halves[Party.GRID].leaves + halves[Party.BANK].leaves).view(np.int16) / 2.0**11
    u = np.take_along_axis(leaves, place.astype(np.intp), 1).sum(0) + halves[Party.BANK].start / 2.0**11
    found: dict[str, Any] = {"rows": {"train": split.train, "test": len(truth)}}
    found["secure"] = {**_quality(u, truth), "seconds": seconds}
    size = Size(split.train, len(cells[Party.GRID]), len(cells[Party.BANK]) + 1)
    found["label_bits"] = TreeLearner().label_bits(section, size)
    begin, out = time.process_time(), {p: below(halves[p].fitted, held[p]) for p in Party}
    drawn = [section.model_copy(update={"seed": section.seed + more}) for more in range(draws)]
    twins = [_quality(grow_twin(split, one, cells, out), truth) for one in drawn]
    found["twin"] = {name: float(np.mean([twin[name] for twin in twins])) for name in twins[0]}
    found["twin"]["seconds"] = (time.process_time() - begin) / draws
    begin = time.process_time()
    u = _scikit_learn(split)
    found["scikit_learn"] = {**_quality(u, truth), "seconds": time.process_time() - begin}
    if xgboost is not None:
        with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as folder:
            fitted = xgboost.fit(split.pooled, split.label, split.train, section, Path(folder))
        found["xgboost"] = {name: fitted[name] for name in ("auc", "logloss")} | {"seconds": fitted["seconds"]["processor"]}
    return found


def prepared_sides(split: Split, section: Trees) -> tuple[dict[Party, Matched], dict[Party, Prepared]]:
    """Both sides' rows, and their thresholds."""
    rows = {p: Matched(p, split.tables[p], split.columns[p], split.train, room=room(split.train, 20)) for p in Party}
    return rows, {p: prepare(section, rows[p], Preparation())[0] for p in Party}


async def _secure(split: Split, section: Trees) -> tuple[dict[Party, TreesHalf], float, dict[Party, Any]]:
    """Both halves, processor seconds of all three roles together, and the thresholds' rows."""
    learner = TreeLearner()
    rows, prepared = prepared_sides(split, section)
    size = Size(split.train, *(len(prepared[p].columns) for p in Party))
    plan = TrainPlan.model_validate({"grid": {"dataset": "t"}, "bank": {"dataset": "t"}, "model": section.model_dump()})

    async def side(session: Session, correlations: DealtCorrelations) -> TreesTrained:
        p = session.party
        task = learner.task(section, prepared[p], rows[p], size.columns(p.other))
        return await task.train(session, correlations)

    begin = time.process_time()
    trained = await coordinate(Trio(), side, more={TreesDemand: lambda prg, demand: deal_trees(prg, demand, plan, 0)})
    seconds = time.process_time() - begin
    halves: dict[Party, Any] = {p: trained[p].half("bench", split.columns[p], {}) for p in Party}
    cells = {p: below(prepared[p].fitted, split.tables[p].part(0, split.train)) for p in Party}
    return halves, seconds, cells


def grow_twin(split: Split, section: Trees, cells: dict[Party, Any], held: dict[Party, Any]) -> Vector:
    """u of the held-out rows, (n,), by trees in floats. cells, held: thresholds' rows of those that train and of the others."""
    size = Size(split.train, len(cells[Party.GRID]), len(cells[Party.BANK]) + 1)
    forest, label = make_forest(section, size), split.label[: split.train]
    trees, _ = twin.grow(forest, cells, label)
    first = twin.start_of(label) / 2.0**11
    return np.asarray(first + np.sum([tree.leaves[tree.places(held)] for tree in trees], axis=0))


def _scikit_learn(split: Split) -> Vector:
    """Its gradient boosting at the best of its usual settings on this table: 50 trees, a rate of 0.1, 31 leaves."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_iter=50, learning_rate=0.1, early_stopping=False, random_state=0)
    x = split.pooled
    found: Vector = model.fit(x[: split.train], split.label[: split.train]).decision_function(x[split.train :])
    return found


def _quality(u: Vector, truth: Vector) -> dict[str, float]:
    return {"auc": auc(truth, u), "logloss": logloss(truth, sigmoid(u))}
