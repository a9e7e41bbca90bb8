"""The columns of several banks: one unit for all, own means, and what is left out at all of them alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.errors import DataError, PlanError
from common.features.options import Preparation
from common.learn.linear.design import Prepared
from common.mpc.session import Kind
from common.mpc.several.hub import BankHub, GridHub
from common.party import Party
from common.rows.declare import ColumnConfig
from common.rows.table import FeatureTable, Ids
from common.stages.several.columns import Counts, agree, bank_columns, grid_columns
from tests.banks import Banks, End

PLAIN = ColumnConfig(kind="numeric", transform="none")
ROWS = (600, 300, 900)


def table(bank: int, columns: dict[str, Any]) -> FeatureTable:
    ids = Ids.of([f"E{bank}{i:05d}" for i in range(ROWS[bank])])
    label = np.arange(ROWS[bank]) % 3 == 0
    return FeatureTable(ids, None, columns, {}, label.astype(float), tuple(columns))


def values(bank: int) -> dict[str, Any]:
    rng = np.random.default_rng(bank)
    z = rng.standard_normal((ROWS[bank], 3))
    return {
        "amount": 1e7 * bank + 1e6 * (z[:, 0] + 0.5 * z[:, 1]),
        "share": 1e-4 * z[:, 1],
        "flag": (z[:, 2] > 1.0).astype(float),
        "rare": (np.arange(ROWS[bank]) < 5).astype(float),
        "same": np.full(ROWS[bank], 3.0 + bank),
    }


async def prepared(
    tables: list[FeatureTable],
    columns: list[list[str]] | None = None,
    leverage: float = 0.2,
    *,
    whitened: bool = True,
    banks: Banks | None = None,
) -> tuple[int, list[tuple[Prepared, list[str]]]]:
    train = [n * 2 // 3 for n in ROWS[: len(tables)]]
    counts, ridge = Counts(sum(train), sum(ROWS[: len(tables)]), sum(train)), 1e-4 if whitened else None

    async def at_bank(hub: BankHub, end: End) -> tuple[Prepared, list[str]]:
        own = tables[end.number]
        names = list(own.numeric) if columns is None else columns[end.number]
        declared = dict.fromkeys(names, PLAIN)
        await agree(hub, declared)
        return await bank_columns(hub, own, declared, Preparation(), counts, train[end.number], ridge, leverage)

    async def at_grid(hub: GridHub, _: list[End]) -> Any:
        return await grid_columns(hub, whitened=whitened)

    count, *found = await (banks or Banks(len(tables))).run(at_grid, at_bank)  # type: ignore[arg-type]
    return count, found


async def test_columns_have_one_unit_at_all_banks_and_each_banks_own_mean() -> None:
    tables = [table(k, values(k)) for k in range(3)]
    count, found = await prepared(tables)
    assert count == 3
    train = [n * 2 // 3 for n in ROWS]
    parts = [one.matrix(0, rows) for (one, _), rows in zip(found, train, strict=True)]
    for one, _ in found:
        assert one.columns == ("amount", "flag", "share", "(intercept)") and one.party is Party.BANK
        assert [c.deviation for c in one.fitted.fitted] == [c.deviation for c in found[0][0].fitted.fitted]
        assert np.array_equal(one.whiten[:-1, :-1], found[0][0].whiten[:-1, :-1])
    assert all(np.abs(part[:, :-1].mean(axis=0)).max() < 1e-9 for part in parts)
    pooled = np.concatenate(parts)[:, :-1]
    assert np.abs(pooled.std(axis=0) - 1.0).max() < 1e-4


async def test_whitened_columns_are_safe_to_step_on_and_nearly_white() -> None:
    tables = [table(k, values(k)) for k in range(3)]
    _, found = await prepared(tables)
    train = [n * 2 // 3 for n in ROWS]
    parts = []
    for k, ((one, _), rows) in enumerate(zip(found, train, strict=True)):
        x = one.matrix(0, rows) @ one.whiten
        intercepts = np.zeros((rows, 3))
        intercepts[:, k] = x[:, -1]
        parts.append(np.column_stack([x[:, :-1], intercepts]))
    every = np.concatenate(parts)
    moments = np.linalg.eigvalsh(every.T @ every / len(every))
    assert moments[-1] <= 1.0 + 1e-9 and moments[0] > 0.8


async def test_of_columns_that_are_not_whitened_no_second_moments_are_told() -> None:
    tables = [table(bank, values(bank)) for bank in range(3)]
    banks, plain = Banks(3), Banks(3)
    count, white = await prepared(tables, banks=banks)
    again, found = await prepared(tables, whitened=False, banks=plain)
    assert count == again
    for (one, _), (other, _) in zip(white, found, strict=True):
        assert one.fitted == other.fitted and np.array_equal(other.whiten, np.eye(count + 1))
    told = [[v.nbytes for label, v in b.peer[0][Party.GRID].log if label.kind is Kind.POOLED_SHARE] for b in (banks, plain)]
    assert sum(told[0]) - sum(told[1]) == 8 * count * (count + 1) // 2 and len(told[0]) == len(told[1]) + 1
    assert not [label for label, _ in plain.peer[0][Party.BANK].log if label.kind is Kind.MASKED_UPDATE]


async def test_what_is_rare_or_constant_is_left_out_at_all_with_a_word_to_each() -> None:
    _, found = await prepared([table(k, values(k)) for k in range(3)])
    for _, warnings in found:
        assert any("'rare'" in text and "fewer than 50 rows" in text for text in warnings)
        assert any("'same'" in text and "same value" in text for text in warnings)


async def test_a_column_of_another_unit_at_one_bank_is_pointed_out_to_all() -> None:
    tables = [table(k, values(k)) for k in range(3)]
    assert not any("unit" in text for _, warnings in (await prepared(tables))[1] for text in warnings)
    tables[1].numeric["amount"] = tables[1].numeric["amount"] / 1e3  # type: ignore[index]
    for _, warnings in (await prepared(tables))[1]:
        assert [text for text in warnings if "unit" in text] == [
            "column 'amount' spreads a hundred times as far at one bank as at another: do all of them mean the same unit?"
        ]


async def test_a_column_that_is_one_companys_at_one_bank_is_left_out_at_all() -> None:
    tables = [table(k, values(k)) for k in range(3)]
    tables[1].numeric["spike"] = np.r_[1.0, 1e-7 * np.random.default_rng(0).standard_normal(ROWS[1] - 1)]  # type: ignore[index]
    for k in (0, 2):
        tables[k].numeric["spike"] = 1e-7 * np.random.default_rng(k).standard_normal(ROWS[k])  # type: ignore[index]
    count, found = await prepared(tables, leverage=0.02)
    assert count == len(found[0][0].columns) - 1
    assert all("spike" not in one.columns for one, _ in found)


async def test_banks_with_other_columns_hear_that_and_not_which() -> None:
    tables = [table(k, values(k)) for k in range(2)]
    with pytest.raises(PlanError, match="columns of the same names") as caught:
        await prepared(tables, [["amount", "share"], ["amount", "flag"]])
    assert "flag" not in str(caught.value)


async def test_a_category_is_refused_by_its_owner() -> None:
    own = table(0, {"amount": np.ones(ROWS[0])})
    with pytest.raises(DataError, match="'kind' is a category"):
        await _with_category(own)


async def _with_category(own: FeatureTable) -> None:
    async def at_bank(hub: BankHub, end: End) -> Any:
        declared = {"kind": ColumnConfig(kind="categorical")}
        await agree(hub, declared)
        return await bank_columns(hub, own, declared, Preparation(), Counts(400, 600, 400), 400, 1e-4, 0.2)

    async def at_grid(hub: GridHub, _: list[End]) -> Any:
        return await grid_columns(hub, whitened=True)

    await Banks(2).run(at_grid, at_bank)
