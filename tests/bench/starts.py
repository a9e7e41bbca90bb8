"""A network's float twin from several starts, each alone and some averaged, beside a line and boosted trees, in plaintext."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from common.party import Party
from common.plan.network import Network
from common.stats.measures import auc, logloss, sigmoid
from tests.bench.network import Vector, fit_line, multiplied, prepared_sides
from tests.bench.trees import Split
from tests.common.learn.network import twin


def bench_starts(splits: Iterable[Split], section: Network, starts: int) -> dict[str, Any]:
    """By how much AUC is above and log-loss below the line's on held-out rows: means over splits, and their standard errors.

    one: a network, the mean of all starts; two: the mean log-odds of two, from starts 0 and 1, 2 and 3, and so on; all: of all.
    trees: scikit-learn's, of small steps and few leaves, on columns that are not prepared. starts: at least two.
    """
    each = [_measured(split, section, starts) for split in splits]
    found: dict[str, Any] = {"section": section.model_dump(), "starts": starts, "splits": len(each)}
    for name in each[0]:
        gains = np.array([one[name] for one in each])
        error = gains.std(axis=0, ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.full(2, np.nan)
        for place, measure in enumerate(("auc", "logloss")):
            found.setdefault(name, {})[measure] = {"mean": float(gains[:, place].mean()), "error": float(error[place])}
    return found


def _measured(split: Split, section: Network, starts: int) -> dict[str, tuple[float, float]]:
    _, prepared, of_line = prepared_sides(split, section, "auto")
    x, cut = multiplied(prepared, len(split.label)), split.train
    train, test = ({p: m[part] for p, m in x.items()} for part in (slice(0, cut), slice(cut, None)))
    label, truth = split.label[:cut], split.label[cut:]
    scores = []
    for seed in range(starts):
        alone = twin.train(section.model_copy(update={"seed": seed}), train[Party.GRID], train[Party.BANK], label)
        scores.append(alone.scores(test[Party.GRID], test[Party.BANK]))
    u = np.array(scores)
    pairs = [u[at : at + 2].mean(axis=0) for at in range(0, starts - 1, 2)]
    line = fit_line(section, of_line[:cut], label).decision_function(of_line[cut:])
    least, most = logloss(truth, sigmoid(line)), auc(truth, line)

    def gain(several: Iterable[Vector]) -> tuple[float, float]:
        measured = [(auc(truth, one) - most, least - logloss(truth, sigmoid(one))) for one in several]
        return float(np.mean([one[0] for one in measured])), float(np.mean([one[1] for one in measured]))

    return {"one": gain(u), "two": gain(pairs), "all": gain([u.mean(axis=0)]), "trees": gain([_trees(split)])}


def _trees(split: Split) -> Vector:
    """The best of some settings of its gradient boosting on eight other splits of UCI's table."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.03, max_leaf_nodes=15, min_samples_leaf=50, l2_regularization=10.0,
        early_stopping=False, random_state=0,
    )  # fmt: skip
    x = split.pooled
    with threadpool_limits(1):  # threads that wait for each other thousands of times stand still on a busy machine
        found: Vector = model.fit(x[: split.train], split.label[: split.train]).decision_function(x[split.train :])
    return found
