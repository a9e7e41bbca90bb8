"""The hold-out: the same rows whatever their order, the stated shares, and a mask that costs a bit a row."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.disclosure import Opened
from common.errors import LocalProtocolError, PolicyError
from common.mpc.session import Kind
from common.party import Party
from common.plan.train import Split
from common.rows.table import FeatureTable
from common.stages.split import Mask, _smallest, agree, draw, training_first
from tests.common.stages.tables import rows, table
from tests.peers import Trio


def labelled(count: int, bad: int, periods: bool = False) -> FeatureTable:
    """`count` rows of which the first `bad` have the label 1."""
    months = [24000 + k % 12 for k in range(count)] if periods else None
    return table([f"F{k}" for k in range(count)], months, label=np.arange(count) < bad)


def held(data: FeatureTable, split: Split) -> set[tuple[str, int]]:
    return set(rows(data, np.flatnonzero(draw(data, split))))


def any_labels(table: FeatureTable, test: Mask) -> None:
    """A bank that any split is right for."""


def no_labels(table: FeatureTable, test: Mask) -> None:
    raise PolicyError("too few labels")


async def agreed(
    bank: FeatureTable, split: Split, check: Callable[[FeatureTable, Mask], None] = any_labels, trio: Trio | None = None
) -> tuple[Mask, Mask]:
    """The mask at the grid, whose own table has no label, and at the bank."""
    trio = trio or Trio()
    grid = table([str(i) for i in bank.ids], None if bank.periods is None else bank.periods.tolist())
    mine = asyncio.create_task(agree(trio.session[Party.GRID], grid, split, no_labels))  # which it is not asked
    try:
        theirs = await agree(trio.session[Party.BANK], bank, split, check)
        return await mine, theirs
    finally:
        mine.cancel()


@settings(max_examples=50)
@given(data=st.data(), seed=st.integers(0, 2**63 - 1), stratify=st.booleans(), periods=st.booleans())
def test_the_same_rows_are_held_out_whatever_their_order(data: st.DataObject, seed: int, stratify: bool, periods: bool) -> None:
    one = labelled(40, 13, periods)
    two = one.take(np.array(data.draw(st.permutations(range(40)))))
    split = Split(test=0.3, seed=seed, stratify=stratify)
    assert held(one, split) == held(two, split)


@pytest.mark.parametrize("test", [0.1, 0.25, 0.3, 0.5, 0.9])
def test_each_class_is_held_out_by_its_share(test: float) -> None:
    data = labelled(1000, 70)
    mask = draw(data, Split(test=test))
    assert data.label is not None
    assert int(mask[data.label == 1].sum()) == round(test * 70)
    assert int(mask[data.label == 0].sum()) == round(test * 930)


def test_without_strata_the_share_is_of_all_rows() -> None:
    data = labelled(1000, 70)
    assert int(draw(data, Split(test=0.3, stratify=False)).sum()) == 300
    assert held(data, Split(stratify=False)) != held(data, Split(stratify=True))


def test_seed_id_and_period_each_change_the_draw() -> None:
    data = labelled(200, 50)
    assert held(data, Split(seed=1)) == held(data, Split(seed=1)) != held(data, Split(seed=2))
    renamed = table([f"G{k}" for k in range(200)], label=data.label)
    monthly = table([f"F{k}" for k in range(200)], [7] * 200, label=data.label)
    masks = {draw(d, Split()).tobytes() for d in (data, renamed, monthly)}
    assert len(masks) == 3


def test_the_draw_does_not_follow_the_order_of_ids() -> None:
    mask = draw(labelled(1000, 500), Split(test=0.5))
    assert 200 < int(mask[:500].sum()) < 300
    assert int(np.abs(np.diff(mask.astype(int))).sum()) > 400


@pytest.mark.parametrize("count", [16, 17, 23, 1000])
async def test_both_parties_get_the_same_mask_at_a_bit_a_row(count: int) -> None:
    trio = Trio(frozenset({Opened.SPLIT}))
    bank = labelled(count, count // 3)
    mine, theirs = await agreed(bank, Split(), trio=trio)
    np.testing.assert_array_equal(mine, theirs, strict=True)
    np.testing.assert_array_equal(theirs, draw(bank, Split()), strict=True)
    assert trio.session[Party.BANK].traffic.sent == {Kind.SPLIT: -(-count // 8)}
    assert trio.session[Party.GRID].traffic.sent == {}
    assert trio.session[Party.GRID].opened == trio.session[Party.BANK].opened == {Opened.SPLIT}


@settings(max_examples=200, deadline=None)
@given(rows=st.integers(20, 300), ones=st.integers(1, 299), share=st.floats(0.05, 0.5))
def test_how_many_rows_are_held_out_says_nothing_of_their_labels(rows: int, ones: int, share: float) -> None:
    """Of rows rounded class by class, a share of a half told whether the number of overdue rows is even."""
    bad = min(ones, rows - 1)
    test, label = draw(labelled(rows, bad), Split(test=share)), labelled(rows, bad).outcomes
    assert test.sum() == round(share * rows)
    assert abs(int(test[label == 1.0].sum()) - share * bad) <= 0.5 + 1e-9
    assert abs(int(test[label == 0.0].sum()) - share * (rows - bad)) <= 1 + 1e-9


async def test_nothing_is_said_to_the_grid_when_the_bank_refuses() -> None:
    trio = Trio()
    with pytest.raises(PolicyError):
        await agreed(labelled(20, 0), Split(), no_labels, trio=trio)
    assert trio.peer[Party.BANK].log == []


def test_who_does_not_know_every_label_cannot_repeat_the_draw() -> None:
    data = labelled(200, 50)
    assert data.label is not None
    guess = data.label.copy()
    guess[[0, 199]] = guess[[199, 0]]
    for split in (Split(), Split(stratify=False)):
        right, wrong = draw(data, split), draw(table([f"F{k}" for k in range(200)], label=guess), split)
        assert int((right != wrong)[1:-1].sum()) > 20  # another draw altogether, not one that differs where the guess is wrong


def test_a_table_without_labels_is_not_split() -> None:
    with pytest.raises(LocalProtocolError, match="only the bank"):
        draw(table(["A"]), Split())


def firms(count: int, months: int) -> FeatureTable:
    ids = [f"F{k // months}" for k in range(count * months)]
    periods = [24000 + k % months for k in range(count * months)]
    return table(ids, periods, label=np.arange(count * months) % 7 == 0)


@pytest.mark.parametrize("stratify", [True, False])
def test_by_enterprise_no_enterprise_is_on_both_sides(stratify: bool) -> None:
    data = firms(200, 6)
    mask = draw(data, Split(by="enterprise", test=0.25, stratify=stratify))
    names = np.array(data.ids.tolist())
    assert not set(names[mask]) & set(names[~mask])
    assert len(set(names[mask])) == pytest.approx(50, abs=1)
    assert data.label is not None
    ever = set(names[data.label == 1])
    if stratify:
        assert len(ever & set(names[mask])) == round(0.25 * len(ever))
    shuffled = data.take(np.random.default_rng(2).permutation(data.rows))
    again = draw(shuffled, Split(by="enterprise", test=0.25, stratify=stratify))
    assert {str(i) for i in np.array(shuffled.ids.tolist())[again]} == set(names[mask])


def test_by_time_the_last_months_are_held_out() -> None:
    data = firms(50, 6)
    mask = draw(data, Split(by="time", months=2))
    assert data.periods is not None
    np.testing.assert_array_equal(mask, data.periods >= 24004)
    with pytest.raises(PolicyError, match="last 6 months"):
        draw(data, Split(by="time", months=6))


async def test_both_parties_hold_out_the_same_months() -> None:
    mine, theirs = await agreed(firms(50, 6), Split(by="time", months=1))
    np.testing.assert_array_equal(mine, theirs)
    assert theirs.sum() == 50


@pytest.mark.parametrize("other", [{"stratify": False}, {"test": 0.31}, {"by": "enterprise"}, {"months": 4}])
def test_another_option_of_the_split_is_another_draw(other: dict[str, object]) -> None:
    """Two cuts of one order would show the grid the labels of the rows between them."""
    data = labelled(1000, 70)
    one, two = draw(data, Split(test=0.3)), draw(data, Split.model_validate({"test": 0.3, **other}))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.12


@given(
    order=st.lists(st.sampled_from([0, 1, 2, 2**48 - 1, 2**48, 2**48 + 1, 2**63, 2**64 - 1]), min_size=1, max_size=60),
    bad=st.integers(0, 2**60),
    share=st.floats(0.01, 0.99),
    stratify=st.booleans(),
    some=st.sampled_from([7, 60, 1 << 20]),
)
def test_the_smallest_hashes_of_each_class_and_of_one_hash_the_first_rows(
    order: list[int], bad: int, share: float, stratify: bool, some: int
) -> None:
    hashes, label = np.array(order, np.uint64), np.array([float(bad >> k & 1) for k in range(len(order))])
    split = Split(test=share, stratify=stratify)
    held = round(share * len(order))
    ones = round(share * float(label.sum()))
    wanted = [(label == 1.0, ones), (label == 0.0, held - ones)] if stratify else [(label >= 0.0, held)]
    test = np.zeros(len(order), np.bool_)
    for members, count in wanted:
        rows = np.flatnonzero(members)
        test[rows[np.argsort(hashes[rows], kind="stable")[:count]]] = True
    with patch("common.stages.split._SOME", some):
        assert _smallest(hashes, label, split).tolist() == test.tolist()
        places = np.arange(len(order)) * 3
        assert training_first(places, test).tolist() == places[np.argsort(test, kind="stable")].tolist()
