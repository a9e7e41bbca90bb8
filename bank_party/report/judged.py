"""All figures of the bank's report that come from held-out rows, computed once; charts and tables show these and no others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bank_party.decision.bundle import HeldOut
from bank_party.report import parts
from bank_party.report.bootstrap import Bands, bootstrap
from bank_party.report.curves import Curve, Histogram, Lift, curve, histogram, lifts
from bank_party.report.parts import Part, Shares
from common.stats import measures
from common.stats.measures import delong
from common.stats.metrics import Interval, Metrics


@dataclass(frozen=True, repr=False)
class Judged:
    """Ranking is of all held-out rows; what a calibration or grade shows is of test rows, and stands in `HeldOut.decision`."""

    joint: Metrics
    alone: Metrics
    difference: Interval
    bands: Bands
    joint_curve: Curve
    alone_curve: Curve
    joint_lifts: tuple[Lift, ...]
    alone_lifts: tuple[Lift, ...]
    scores: Histogram
    months: tuple[Part, ...]
    segments: dict[str, tuple[Part, ...]]
    shares: Shares | None
    parts_psi: float  # of scores, test rows against validation rows
    parts_chance: float  # what that exceeds once in a million
    approved: tuple[tuple[float, float, float], ...]


def judge(held: HeldOut) -> Judged:
    y, u, v = held.label, held.u_joint, held.u_bank
    score = held.decision.scorecard.exact(held.decision.calibration.log_odds(u))
    who = np.asarray(pd.factorize(held.ids.codes)[0], np.intp)
    parts_psi, parts_chance = parts.score_psi(u[held.validation], u[~held.validation])
    return Judged(
        joint=measures.evaluate(y, u),
        alone=measures.evaluate(y, v),
        difference=delong(y, u, v),
        bands=bootstrap(y, u, v, who),
        joint_curve=curve(y, u),
        alone_curve=curve(y, v),
        joint_lifts=lifts(y, u),
        alone_lifts=lifts(y, v),
        scores=histogram(score, y),
        months=parts.by_month(held),
        segments={name: parts.by_segment(held, name) for name in held.segments},
        shares=parts.shares(held),
        parts_psi=parts_psi,
        parts_chance=parts_chance,
        approved=parts.approved_rates(held),
    )
