"""A scorecard by hand: points of the bins a row falls into, the grid's part, and the base are what batch scoring wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bank_party.decision import bundle
from bank_party.decision.config import DecisionConfig
from bank_party.decision.scorecard import Scorecard
from common.features.column import MISSING_LEVEL
from common.party import Party
from common.stats.measures import sigmoid
from tests.common.stages.companies import Companies, frames
from tests.common.stages.test_counts import WOE


def by_hand(card: Scorecard, column: str, value: float) -> float:
    """The points that the printed card gives a value."""
    for attribute in card.attributes:
        if attribute.column == column and holds(attribute.label, value):
            return attribute.points
    raise AssertionError(f"no attribute of {column} takes {value}")


def holds(label: str, value: float) -> bool:
    if np.isnan(value) or label == MISSING_LEVEL:
        return bool(np.isnan(value)) and label == MISSING_LEVEL
    if label.startswith(("below ", "above ")):
        edge = float(label[6:])
        return value < edge if label[0] == "b" else value >= edge
    low, high = (float(part) for part in label.split(" to "))
    return low <= value < high


@pytest.mark.parametrize("calibration", ["platt", "none"])
async def test_the_points_of_every_scored_row_add_up_to_its_probability(tmp_path: Path, calibration: str) -> None:
    companies = Companies(tmp_path)
    companies.decision = DecisionConfig(min_grade_rows=10, calibration=calibration)  # type: ignore[arg-type]
    companies.write(frames(seed=1, monthly=False))
    await companies.run("job-1", companies.plan(**WOE))
    later = frames(seed=2, monthly=False)
    companies.write(later)
    await companies.run("score-1", companies.plan(kind="score", model="job-1"))
    found = pd.read_csv(companies.home(Party.BANK) / "scores" / "score-1.csv", index_col="id")
    rules = bundle.load_decision("job-1", companies.models(Party.BANK).folder("job-1"))
    bank = later[Party.BANK].set_index("firm").loc[found.index]
    card = rules.scorecard
    assert len(found) == 500 and card.columns == ("income", "debt")
    points = np.full(len(found), card.base)
    for column in card.columns:
        points += [by_hand(card, column, value) for value in bank[column]]
    # The remainder is all that the bank's own columns do not explain: it follows from u, and nobody sees the grid's part.
    own = (points - card.base) / card.rate + (card.base - card.offset + card.factor * rules.calibration.intercept) / card.rate
    points += card.rate * (found["u"].to_numpy() - own)
    np.testing.assert_allclose(sigmoid(card.log_odds(points)), found["probability"], rtol=1e-9)
    np.testing.assert_array_equal(np.rint(points), found["score"])
    assert points.std() > 5  # 20 points double the odds
