"""The options' bounds."""

from __future__ import annotations

from typing import Any

import pytest

from common.config import validate
from common.errors import PlanError
from common.features.options import Preparation


@pytest.mark.parametrize(
    "raw", [{"clip": 0}, {"min_binary": -1}, {"collinear": 1}, {"collinear": 0}, {"rare": "keep"}, {"clips": 4}]
)
def test_options_out_of_bounds_are_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=next(iter(raw))):
        validate(Preparation, raw, "plan", PlanError)


def test_defaults() -> None:
    assert Preparation().model_dump() == {
        "clip": 4.0,
        "rare": "drop",
        "min_binary": 50,
        "collinear": 1e-6,
        "coding": "auto",
        "bins": 10,
        "monotone": False,
        "min_bin_rows": 50,
        "min_bin_class": 5,
    }
    assert all(field.description for field in Preparation.model_fields.values())
