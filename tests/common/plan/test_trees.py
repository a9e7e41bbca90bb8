"""What a plan's section of boosted trees says where its author did not."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from common.plan.trees import Trees


@pytest.mark.parametrize(
    ("said", "abreast"),
    [
        ({}, 2),
        ({"trees": 60, "rate": 0.25}, 2),
        ({"trees": 59}, 1),
        ({"rate": 0.26}, 1),
        ({"abreast": 1}, 1),
        ({"trees": 20, "rate": 0.4, "abreast": 3}, 3),
    ],
)
def test_two_are_grown_side_by_side_of_many_with_a_slow_rate_and_a_plan_that_says_keeps_its_word(
    said: dict[str, Any], abreast: int
) -> None:
    section = Trees.model_validate({"kind": "trees", **said})
    assert section.abreast == abreast
    assert section.model_dump()["abreast"] == abreast  # so the other side, which reads it again, has no rule to agree with
    assert Trees.model_validate(section.model_dump()) == section


@pytest.mark.parametrize("said", [{"trees": 0}, {"rate": math.nan}, {"trees": "many", "rate": "slow"}, {"abreast": 17}])
def test_what_is_wrong_is_told_of_the_field_that_is(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        Trees.model_validate({"kind": "trees", **said})
    assert {error["loc"][0] for error in raised.value.errors()} == set(said)
