"""From held-out scores to the bank's decision rules: calibrate and cut on validation rows, measure on test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bank_party.decision import grades
from bank_party.decision.bundle import Coefficient, Decision, HeldOut
from bank_party.decision.calibrate import calibrate, calibration_error, reliability
from bank_party.decision.config import DecisionConfig
from bank_party.decision.scorecard import make_scorecard
from bank_party.decision.table import make_table
from common.features.bins import Column
from common.rows.table import FeatureTable
from common.stats.measures import sigmoid

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class Trained:
    """The bank's side of a fresh model: prepared columns (m), weights (m + 1,) with the intercept last, training means (m,).

    alone: the bank-only model's, in the same order; alone_error: its standard errors; shares: of the variance of u.
    """

    columns: Sequence[Column]
    weights: Vector
    means: Vector
    alone: Vector
    alone_error: Vector
    shares: Vector
    train: FeatureTable

    def coefficients(self) -> tuple[Coefficient, ...]:
        names = [*((c.name, c.source) for c in self.columns), ("(intercept)", "(intercept)")]
        columns = self.weights, self.alone, self.alone_error, self.shares
        return tuple(
            Coefficient(
                name=name,
                source=source,
                joint=joint,
                alone=alone,
                alone_error=error if np.isfinite(error) else None,
                share=share,
            )
            for (name, source), joint, alone, error, share in zip(names, *map(np.ndarray.tolist, columns), strict=True)
        )


@dataclass(frozen=True, repr=False)
class Scores:
    """Log-odds of held-out rows (n,): joint, the bank's part of it, the bank-only model's."""

    joint: Vector
    own: Vector
    alone: Vector


def build_rules(
    job: str, config: DecisionConfig, model: Trained, held: FeatureTable, scores: Scores, validation: Mask
) -> tuple[HeldOut, list[str]]:
    """The bundle, and warnings. held: the bank's held-out rows with labels; validation: which of them calibrate, (n,)."""
    assert held.label is not None  # noqa: S101
    y, u, warnings = held.label, scores.joint, []
    test = ~validation
    calibration = calibrate(u[validation], y[validation], config.calibration)
    if calibration.slope == 0:
        warnings.append("the joint score does not rank the validation rows: every row gets their overall rate")
    card = make_scorecard(config, calibration, model.columns, model.weights, model.means, model.train)
    p, score = calibration.probability(u), card.score(calibration.log_odds(u))
    starts = grades.cut(score[validation], y[validation], config.grades, config.min_grade_rows)
    exposure = _exposure(held, config, warnings)
    before, after = reliability(sigmoid(u)[test], y[test]), reliability(p[test], y[test])
    decision = Decision(
        config=config,
        calibration=calibration,
        scorecard=card,
        grades=grades.describe(score, p, y, validation, starts),
        table=make_table(config, p[test], score[test], y[test], scores.alone[test], exposure[test]),
        before=before,
        after=after,
        error_before=calibration_error(before),
        error_after=calibration_error(after),
        coefficients=model.coefficients(),
    )
    segments = _segments(held, config, warnings)
    bundle = HeldOut(
        job,
        held.ids,
        held.periods,
        y,
        u,
        scores.own,
        scores.alone,
        exposure,
        validation,
        decision,
        segments,
    )
    return bundle, warnings


def _exposure(held: FeatureTable, config: DecisionConfig, warnings: list[str]) -> Vector:
    """The exposure of each row, (n,); missing and negative ones as 0."""
    if config.exposure is None:
        return np.ones(held.rows)
    if config.exposure not in held.numeric:
        warnings.append(f"the exposure {config.exposure!r} is not a numeric column of this dataset: 1 is taken for each row")
        return np.ones(held.rows)
    return np.maximum(np.nan_to_num(held.numeric[config.exposure], nan=0.0), 0.0)


def _segments(held: FeatureTable, config: DecisionConfig, warnings: list[str]) -> dict[str, npt.NDArray[np.object_] | Vector]:
    found: dict[str, npt.NDArray[np.object_] | Vector] = {}
    for name in config.segments:
        if name in held.numeric:
            found[name] = held.numeric[name]
        elif name in held.categorical:
            found[name] = held.categorical[name]
        else:
            warnings.append(f"the segment {name!r} is not a column of this dataset")
    return found
