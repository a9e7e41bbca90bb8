"""The thresholds of several banks: the same at each, near the quantiles of all rows together, each bin of rows enough."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from common.errors import DataError, PlanError
from common.features.options import Preparation
from common.features.pooled_cuts import KEY_BITS, ROUNDS, Search, asked, keys_of, name_of, value_of
from common.learn.trees.design import Prepared, below
from common.mpc.session import Kind
from common.mpc.several.hub import BankHub, GridHub
from common.plan.trees import Trees
from common.rows.declare import ColumnConfig
from common.rows.table import FeatureTable
from common.stages.several.columns import Counts, agree
from common.stages.several.cuts import bank_cuts, grid_cuts
from tests.banks import Banks, End
from tests.common.stages.several.test_columns import PLAIN, ROWS, table

SECTION, OPTIONS = Trees(kind="trees", bins=8), Preparation()
TRAIN = [n * 2 // 3 for n in ROWS]


def values(bank: int) -> dict[str, Any]:
    """Skewed columns: amounts on other levels at each bank, few whole numbers, missing values, a constant, a rare flag."""
    rng = np.random.default_rng(bank)
    z = rng.standard_normal((ROWS[bank], 3))
    gaps = np.where(rng.random(ROWS[bank]) < 0.3, np.nan, z[:, 2])
    return {
        "amount": np.exp(2.0 * z[:, 0] + bank),
        "far": 1e6 + z[:, 1],
        "few": np.clip(np.round(z[:, 1]), -2, 2) + 0.0,
        "gaps": gaps,
        "rare": (np.arange(ROWS[bank]) < 5).astype(float),
        "same": np.full(ROWS[bank], -3.0),
    }


async def cut(
    tables: list[FeatureTable], declared: dict[str, ColumnConfig] | None = None, room: int = 0, banks: Banks | None = None
) -> tuple[int, list[tuple[Prepared, list[str]]]]:
    counts = Counts(sum(TRAIN[: len(tables)]), sum(ROWS[: len(tables)]), sum(TRAIN))

    async def at_bank(hub: BankHub, end: End) -> tuple[Prepared, list[str]]:
        own = tables[end.number]
        columns = declared or dict.fromkeys(own.numeric, PLAIN)
        await agree(hub, columns, ordered=True)
        return await bank_cuts(hub, SECTION, own, columns, OPTIONS, counts, TRAIN[end.number], len(tables), room)

    async def at_grid(hub: GridHub, _: list[End]) -> Any:
        return await grid_cuts(hub, SECTION)

    count, *found = await (banks or Banks(len(tables))).run(at_grid, at_bank)  # type: ignore[arg-type]
    return count, found


def test_keys_are_in_the_order_of_values_and_missing_ones_below_all() -> None:
    rng = np.random.default_rng(0)
    some = np.sort(
        np.concatenate([rng.standard_normal(500) * 10.0 ** rng.integers(-300, 300, 500), [0.0, -1.5, 1.5, 1e308, -1e308]])
    )
    keys = keys_of(some)
    assert (np.diff(keys.astype(np.int64)) >= 0).all() and keys[0] > 1 and int(keys[-1]) < 1 << KEY_BITS
    assert keys_of(np.array([np.nan, -np.nan, -0.0, 0.0])).tolist() == [0, 0, 1 << 39, 1 << 39]
    back = np.array([value_of(int(key)) for key in keys])
    assert (keys_of(back) == keys).all() and (back <= some).all()
    assert np.allclose(back, some, rtol=2.0**-27)
    assert [name_of(value_of(int(keys_of(np.array([x]))[0]) + (x < 0))) for x in (-2.0, 0.0, 2.5)] == ["<=-2", "<0", "<2.5"]


async def test_thresholds_are_the_same_at_all_banks_and_near_the_quantiles_of_all_rows() -> None:
    tables = [table(k, values(k)) for k in range(3)]
    count, found = await cut(tables)
    names = [one.columns for one, _ in found]
    assert names[0] == names[1] == names[2] and count == len(names[0]) - 1
    assert [one.cells for one in found[0][0].fitted.fitted] == [one.cells for one in found[2][0].fitted.fitted]  # type: ignore[union-attr]
    every = np.concatenate([below(one.fitted, one.table.part(0, n)) for (one, _), n in zip(found, TRAIN, strict=True)], axis=1)
    shares = {name: float(row.mean()) for name, row in zip(names[0], every, strict=False)}
    for column in ("amount", "far"):
        mine = sorted(share for name, share in shares.items() if name.startswith(column))
        assert len(mine) == 7 and np.abs(np.array(mine) - np.arange(1, 8) / 8).max() < 0.08, (column, mine)
    few = {name: share for name, share in shares.items() if name.startswith("few")}
    pooled = np.concatenate([t.numeric["few"][:n] for t, n in zip(tables, TRAIN, strict=True)])
    assert len(few) == 4 and np.allclose(sorted(few.values()), [(pooled <= k).mean() for k in (-2, -1, 0, 1)])
    gaps = [share for name, share in shares.items() if name.startswith("gaps")]
    assert "gaps=(missing)" in shares and min(gaps) == shares["gaps=(missing)"] == pytest.approx(0.3, abs=0.05)
    assert min(min(share, 1.0 - share) for share in shares.values()) * sum(TRAIN) >= 50
    assert all("'rare'" in " ".join(said) and "'same'" in " ".join(said) for _, said in found)


async def test_fewer_rows_take_fewer_bins() -> None:
    tables = [table(k, values(k)) for k in range(3)]
    whole, _ = await cut(tables)
    fewer, found = await cut(tables, room=12)
    assert 5 <= fewer <= 12 < whole and len({one.columns for one, _ in found}) == 1


async def test_how_much_is_said_does_not_depend_on_the_rows() -> None:
    flat = {name: np.zeros(ROWS[0]) for name in values(0)} | {"amount": np.arange(ROWS[0]) % 2.0}
    sizes = []
    for first in (values(0), flat):
        banks = Banks(2)
        await cut([table(0, first), table(1, values(1))], banks=banks)
        sizes.append(
            [values.shape for label, values in banks.peer[0][next(iter(banks.peer[0]))].log if label.kind is Kind.POOLED_SHARE]
        )
    assert sizes[0] == sizes[1] == [(6 * asked(number, 8),) for number in range(ROUNDS)]


async def test_edges_between_which_no_row_lies_are_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded at random each, they would together tell the rows below them to far less than a step."""
    heard: dict[int, float] = {}

    def told(self: Search, edges: Any, shares: Any) -> None:
        heard.update(zip(edges, shares, strict=True))
        original(self, edges, shares)

    original = Search.told
    monkeypatch.setattr(Search, "told", told)
    tables = [table(k, {"few": values(k)["few"]}) for k in range(3)]
    await cut(tables)
    below = {edge: share for edge, share in heard.items() if -1.0 < value_of(edge) <= 0.0}
    assert len(below) > 20 and len(set(below.values())) == 1
    pooled = np.concatenate([t.numeric["few"][:n] for t, n in zip(tables, TRAIN, strict=True)])
    share = float((pooled < 0.0).mean())
    assert 0 < abs(next(iter(below.values())) - share) <= 2.0**-9


async def test_what_is_told_of_a_value_that_few_rows_have_is_no_more_than_of_its_cell() -> None:
    """A cell of few rows is not parted: where a lone value lies is told to as many bits as the cells around it have."""
    search = Search(8)
    rows = np.sort(keys_of(np.concatenate([np.linspace(0.0, 1.0, 4000), [777.0]])))
    for number in range(ROUNDS):
        edges = search.ask(number)
        assert len(edges) == asked(number, 8)
        search.told(edges, (np.searchsorted(rows, np.array(edges, np.uint64)) / len(rows)).tolist())
    lone = int(keys_of(np.array([777.0]))[0])
    known = sorted(search.shares)
    above = next(edge for edge in known if edge > lone)
    assert value_of(known[known.index(above) - 1]) <= 2.0 and (above == 1 << KEY_BITS or value_of(above) > 1e3)


def test_a_cell_of_fewer_rows_than_half_a_bin_must_have_is_not_parted() -> None:
    """Of few rows a bin by their number is of fewer than the plan says a bin has: its rows' values would be told one by one."""
    values = np.sort(np.random.default_rng(3).standard_normal(200))
    keys, search, parted = keys_of(values), Search(50, 50 / 200), []
    for number in range(ROUNDS):
        cells, edges = np.array(sorted(search.shares), np.uint64), search.ask(number)
        below = np.searchsorted(keys, np.append(cells, np.uint64(1 << KEY_BITS)))
        parted += np.diff(below)[np.searchsorted(cells, [edge for edge in edges if edge > 1], side="right") - 1].tolist()
        search.told(edges, (np.searchsorted(keys, np.array(edges, np.uint64)) / len(keys)).tolist())
    assert len(parted) > 60 and min(parted) > 25
    cuts, apart = search.cuts(50)
    bins = np.diff([0, *np.searchsorted(values, cuts), 200])
    assert len(bins) >= 3 and bins.min() >= 50 and not apart


def test_a_bank_does_not_say_where_few_of_its_rows_lie_in_a_cell_that_others_have_parted() -> None:
    """Another bank says what it likes, and so has any cell parted: here those around one row, down to a single value."""
    values = np.sort(np.concatenate([np.linspace(0.0, 1.0, 600), [776.9, 777.1, 777.3]]))
    keys, search, few = keys_of(values), Search(8, 0.05), 6
    lone, said = int(keys_of(np.array([777.1]))[0]), {0: 0, 1 << KEY_BITS: len(keys)}
    for number in range(ROUNDS):
        edges = search.ask(number)
        found = search.below(keys, edges, few)
        truth = np.searchsorted(keys, np.array(edges, np.uint64))
        assert (truth - few < found).all() and (found <= truth).all()
        said |= dict(zip(edges, found.tolist(), strict=True))
        search.told(edges, [0.9 * (edge > lone) for edge in edges])
    known = sorted(said)
    assert min(b - a for a, b in itertools.pairwise(known)) == 1  # it was asked to the last bit
    rises = [(a, b) for a, b in itertools.pairwise(known) if said[b] > said[a] and value_of(a) > 1.5]
    assert rises and all(said[b] - said[a] == 3 and value_of(b) > 1e3 * value_of(a) for a, b in rises)


async def test_where_many_rows_of_one_bank_have_a_value_three_of_another_are_not_told_to_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: dict[int, dict[int, int]] = {}

    def spied(self: Search, keys: Any, edges: Any, few: int) -> Any:
        found = original(self, keys, edges, few)
        said.setdefault(len(keys), {}).update(zip(edges, found.tolist(), strict=True))
        return found

    original = Search.below
    monkeypatch.setattr(Search, "below", spied)
    spread = np.linspace(0.0, 1.0, ROWS[0])
    spread[[10, 20, 30]] = 777.125
    await cut([table(0, {"x": spread}), table(1, {"x": np.where(np.arange(ROWS[1]) % 2, 777.125, 0.5)})])
    close = {bank: [count for edge, count in told.items() if 777.0 < value_of(edge) < 777.25] for bank, told in said.items()}
    assert len(close[TRAIN[0]]) > 20 and len(set(close[TRAIN[0]])) == 1 and len(set(close[TRAIN[1]])) == 2


async def test_a_category_and_columns_of_other_directions_are_refused() -> None:
    tables = [table(k, {"few": values(k)["few"]}) for k in range(2)]
    with pytest.raises(DataError, match="with several banks columns are numbers"):
        await cut(tables, {"few": ColumnConfig(kind="categorical")})
    rising = ColumnConfig(kind="numeric", monotone="increasing")
    with pytest.raises(PlanError, match="declared monotone"):
        await cut(tables, {"few": rising})

    others = [rising, ColumnConfig(kind="categorical")]

    async def at_bank(hub: BankHub, end: End) -> None:
        await agree(hub, {"few": others[0] if end.number else PLAIN}, ordered=True)

    async def at_grid(hub: GridHub, _: list[End]) -> Any:
        return await grid_cuts(hub, SECTION)

    while others:
        with pytest.raises(PlanError, match=r"same kinds, with the same transforms and directions") as told:
            await Banks(2).run(at_grid, at_bank)  # type: ignore[arg-type]
        assert "bank declares them alike" in str(told.value)
        others.pop(0)
