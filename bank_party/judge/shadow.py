"""A model beside the champion on rows without an outcome: how far apart their scores are, and whom they decide otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bank_party.decision.scores import read_decided
from common.stats.psi import divergence

_BINS = 10


@dataclass(frozen=True)
class Shadow:
    """Of `rows` that both have scored. psi: between the two models' probabilities, over tenths of the champion's.

    rank: Spearman's correlation of their log-odds; None where one gives all rows the same. otherwise: the share of rows that
    are decided otherwise. approved, champion_approved: shares.
    """

    champion: str
    rows: int
    psi: float
    rank: float | None
    otherwise: float
    approved: float
    champion_approved: float


def compare(champion: str, mine: pd.DataFrame, theirs: pd.DataFrame) -> Shadow | None:
    """None where they have no row in common. Each argument: id, period if there is one, u, probability, decision."""
    keys = [name for name in ("id", "period") if name in mine and name in theirs]
    both = pd.merge(mine, theirs, on=keys, suffixes=("", "_champion"))
    if both.empty:
        return None
    before, after = (both[name].to_numpy(np.float64) for name in ("probability_champion", "probability"))
    cuts = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(cuts, p, side="right"), minlength=len(cuts) + 1) for p in (before, after)]
    one, two = (both[name].rank().to_numpy(np.float64) for name in ("u_champion", "u"))
    rank = float(np.corrcoef(one, two)[0, 1]) if min(np.ptp(one), np.ptp(two)) > 0 else None
    return Shadow(
        champion=champion,
        rows=len(both),
        psi=divergence(*counts),
        rank=rank,
        otherwise=float((both["decision"] != both["decision_champion"]).mean()),
        approved=float((both["decision"] == "approve").mean()),
        champion_approved=float((both["decision_champion"] == "approve").mean()),
    )


def compare_files(champion: str, mine: Path, theirs: Path) -> Shadow | None:
    """The comparison of two files of scores. Raises DataError for one that is none."""
    return compare(champion, read_decided(mine), read_decided(theirs))
