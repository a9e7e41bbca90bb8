"""Reasons on shares: the plain choice in every row but ties, nothing to the grid, every message uniform, bytes as stated."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError, PeerProtocolError, PolicyError
from common.learn.groups import check_groups
from common.learn.linear import cost
from common.learn.linear.deal_reasons import ReasonsDemand, deal_reasons
from common.learn.linear.reasons import tell_groups
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import X_LIMIT
from common.mpc.narrow import Bytes
from common.mpc.session import Session
from common.party import Party
from tests.common.learn.linear.groups import DEALINGS, TIE, halves, plain, right, rows, tell
from tests.common.learn.telling import check_bytes, check_uniform
from tests.peers import Trio, coordinate


@pytest.mark.parametrize(
    ("columns", "count", "threshold", "most"), [(13, 8, 0.1, 2), (6, 3, 0.0, 1), (5, 1, 0.3, 2), (31, 30, 0.2, 2)]
)
async def test_the_bank_hears_the_plain_choice_in_every_row_but_ties(
    columns: int, count: int, threshold: float, most: int
) -> None:
    own = rows(4000, columns)
    groups = [None if k == columns - 1 else k % count for k in range(columns)]
    told, parts = await tell(Trio(), own, groups, count, threshold, most), plain(own, groups, count)
    assert right(told, parts, threshold).all()
    assert told.any() and (count < 3 or len(np.unique(told)) >= min(count, 3))


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 9), st.data(), st.integers(0, 1 << 20))
async def test_whatever_the_groups(columns: int, data: st.DataObject, seed: int) -> None:
    count = data.draw(st.integers(1, 6))
    groups = data.draw(st.lists(st.none() | st.integers(0, count - 1), min_size=columns, max_size=columns))
    own = rows(60, columns, seed)
    told = await tell(Trio(), own, groups, count, 0.25)
    assert right(told, plain(own, groups, count), 0.25).all()


async def test_a_group_without_columns_is_never_told() -> None:
    told = await tell(Trio(), rows(500, 4), [0, 0, 2, 2], 4, 0.01)
    assert set(np.unique(told)) <= {0, 1, 3}


async def test_asking_again_gives_the_same_answer_but_in_ties() -> None:
    own = rows(3000, 8)
    groups = [k % 4 for k in range(8)]
    one, two = [await tell(Trio(seed=seed), own, groups, 4, 0.1) for seed in (1, 2)]
    parts = np.column_stack([plain(own, groups, 4), np.full(own.rows, 0.1)])
    gaps = np.diff(np.sort(parts, axis=1), axis=1).min(axis=1)
    assert (gaps > TIE).mean() > 0.9
    assert (one == two)[gaps > TIE].all()


async def test_what_is_sent_and_dealt_is_what_is_stated() -> None:
    own, columns, count = rows(700, 7), 7, 5
    trio = Trio()
    await tell(trio, own, [0, 1, 2, 3, 4, 4, None], count, 0.1)
    check_bytes(trio, lambda party: cost.reasons(party, 700, columns, count, 2))


async def test_messages_are_uniform_whatever_the_rows() -> None:
    trios = [Trio() for _ in range(3)]
    for seed, trio in enumerate(trios):
        await tell(trio, rows(2000, 4, seed), [0, 1, 2, 2], 3, 100.0 if seed else 0.0)
    check_uniform(trios, 256)


def test_more_groups_than_are_ranked_are_refused_at_either_side() -> None:
    grid, bank = (SimpleNamespace(party=party) for party in Party)
    check_groups(grid, 30)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="31 different reasons are declared, and 30 can be ranked"):
        check_groups(grid, 31)  # type: ignore[arg-type]
    with pytest.raises(PeerProtocolError):
        check_groups(bank, 31)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [(0, 3, 2), (5, 0, 2), (5, 3, 0), (5, 3, 31), (5, 100_001, 2), (5, 2200, 30)])
def test_the_dealer_refuses_other_sizes(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(PeerProtocolError, match="reasons of no size"):
        next(deal_reasons({}, ReasonsDemand(*sizes)))


async def test_more_columns_and_texts_than_a_matrix_holds_are_refused_before_anything_is_sent() -> None:
    trio, wide = Trio(), np.zeros(2200, np.uint64)
    for party in Party:
        model: Any = SimpleNamespace(own=wide, other=wide)
        with pytest.raises(PolicyError, match="30 texts over 2200 prepared columns"):
            await tell_groups(trio.session[party], SimpleNamespace(), model, rows(5, 2), [], 30, 0.1, 2)  # type: ignore[arg-type]
        assert trio.peer[party].log == []


async def test_values_beyond_what_is_held_are_warned_of() -> None:
    own = rows(200, 3)
    models, weights = halves(own)
    wide: Any = SimpleNamespace(transform=lambda part: 100.0 * models[Party.BANK].fitted.transform(part))
    models[Party.GRID] = dataclasses.replace(models[Party.GRID], fitted=wide)
    trio, warned = Trio(), list[str]()
    reporter: Any = SimpleNamespace(warn=warned.append, progress=lambda done, total: None)
    trio.session[Party.GRID].reporter = reporter

    async def side(session: Session, correlations: DealtCorrelations) -> Bytes | None:
        return await tell_groups(session, correlations, models[session.party], own, [0, 0, 0], 1, 0.1, 1)

    told = (await coordinate(trio, side, more=DEALINGS))[Party.BANK]
    assert told is not None
    values = wide.transform(own)
    parts = np.clip(values, -X_LIMIT, X_LIMIT) @ weights
    inside = np.abs(parts) < X_LIMIT - 1
    assert right(told[inside], parts[inside, None], 0.1).all()
    beyond = (np.abs(values) > X_LIMIT).sum()
    assert warned == [f"{beyond} values of the grid lay beyond what reasons hold, and were held there"]
