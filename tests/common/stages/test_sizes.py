"""Sizes of a training: both sides count the same rows, and these are enough for the columns and the batches."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from common.disclosure import Opened
from common.errors import PeerProtocolError, PolicyError, WattScoreError
from common.mpc.session import Kind
from common.party import Party
from common.plan.policy import Policy
from common.plan.train import Limits, TrainPlan
from common.stages.sizes import agree_on_sizes, check_course
from tests.common.stages.tables import LOW
from tests.peers import Trio

SIDES: dict[str, Any] = {"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}}


async def sizes(grid: tuple[int, int, int], bank: tuple[int, int, int], limits: Limits, trio: Trio | None = None) -> list[Any]:
    """What each party got or raised, grid first."""
    trio = trio or Trio()
    of = {Party.GRID: grid, Party.BANK: bank}
    calls = [agree_on_sizes(trio.session[party], *of[party], limits) for party in Party]
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_each_party_learns_the_others_number_of_columns() -> None:
    trio = Trio(frozenset({Opened.COUNTS}))
    assert await sizes((100, 70, 3), (100, 70, 5), LOW, trio) == [5, 3]
    assert all(trio.session[party].traffic.sent == {Kind.SHAPE: 24} for party in Party)


@pytest.mark.parametrize("other", [(101, 70, 3), (100, 71, 3)])
async def test_sizes_that_differ_are_the_peers_fault_on_both_sides(other: tuple[int, int, int]) -> None:
    for error in await sizes((100, 70, 3), other, LOW):
        assert type(error) is PeerProtocolError
        assert "[100, 70]" in str(error)
        assert str(list(other[:2])) in str(error)


@pytest.mark.parametrize(
    ("limits", "least"),
    [({"min_rows": 71}, 71), ({"rows_per_column": 20}, 160)],
    ids=["rows", "rows a column"],
)
async def test_too_few_rows_are_refused_with_the_numbers(limits: dict[str, int], least: int) -> None:
    for error in await sizes((100, 70, 3), (100, 70, 5), LOW.model_copy(update=limits)):
        assert type(error) is PolicyError
        assert isinstance(error, WattScoreError)
        assert error.message == "70 training rows are too few for 8 columns"
        assert f"expected at least {least}, got 70" in str(error)


async def test_just_enough_rows_pass() -> None:
    assert await sizes((200, 160, 3), (200, 160, 5), LOW.model_copy(update={"rows_per_column": 20})) == [5, 3]


def sgd(**model: Any) -> TrainPlan:
    return TrainPlan.model_validate({**SIDES, "model": {"optimiser": "sgd", "epochs": 10, **model}})


@pytest.mark.parametrize("weights", ["shared", "owned"])
@pytest.mark.parametrize(
    ("batch", "rows", "columns", "fits"),
    [
        (1000, 20_000, 50, True),
        (1000, 20_000, 51, False),
        (1020, 20_000, 51, True),
        (999, 1000, 5, False),
        (999, 999, 90, True),
    ],
)
def test_a_batch_of_few_rows_is_refused_whoever_holds_the_weights(
    weights: str, batch: int, rows: int, columns: int, fits: bool
) -> None:
    asked = sgd(weights=weights, batch=batch, **({"reveal": "owners"} if weights == "owned" else {}))
    if fits:
        return check_course(asked, rows, columns, Policy())
    with pytest.raises(PolicyError, match=f"a batch of {batch} is too small for {columns} columns"):
        check_course(asked, rows, columns, Policy())


@pytest.mark.parametrize(("epochs", "rows", "fits"), [(9, 1999, False), (10, 1999, True), (5, 2000, True), (4, 2000, False)])
def test_a_training_of_few_steps_is_refused_however_they_come_about(epochs: int, rows: int, fits: bool) -> None:
    asked = sgd(epochs=epochs, batch=1000)
    if fits:
        return check_course(asked, rows, 5, Policy())
    with pytest.raises(PolicyError, match="too few steps"):
        check_course(asked, rows, 5, Policy())
