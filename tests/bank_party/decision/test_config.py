"""The section [decision]: defaults, and cut-offs in the wrong order or of the wrong unit."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bank_party.decision.config import DecisionConfig


def test_the_defaults_are_the_stated_ones() -> None:
    config = DecisionConfig()
    assert (config.pdo, config.base_score, config.base_odds, config.calibration) == (20, 600, 50, "platt")
    assert (config.validation, config.grades, config.cutoff) == (0.4, 10, "probability")
    assert (config.approve, config.decline) == (0.05, 0.15)


@pytest.mark.parametrize(
    "wrong",
    [
        {"approve": 0.2},
        {"decline": 600},
        {"approve": 0.0},
        {"cutoff": "score", "approve": 500, "decline": 560},
        {"validation": 1.0},
        {"pdo": 0},
        {"base_odds": 0},
        {"calibration": "beta"},
        {"cut_off": "score"},
    ],
)
def test_what_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DecisionConfig.model_validate(wrong)
    DecisionConfig.model_validate({"cutoff": "score", "approve": 560, "decline": 560})
