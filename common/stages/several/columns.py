"""The columns that all banks bring, prepared alike and whitened by sums over the rows of all. PROTOCOL.md section 16."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from common.errors import DataError, PlanError, PolicyError
from common.features import pooled
from common.features.column import FittedColumn
from common.features.fit import FittedPreparation
from common.features.options import Preparation
from common.features.pooled import OwnColumn
from common.learn.design import INTERCEPT
from common.learn.leverage import strongest
from common.learn.linear.design import Prepared
from common.learn.trees.design import Prepared as Cut
from common.learn.whiten import whitener
from common.mpc.fixedpoint import Reals, decode, encode
from common.mpc.prg import Purpose
from common.mpc.session import Array, Kind
from common.mpc.several.hub import MOMENT_SCALE, BankHub, GridHub, means_to_banks, rounded_to_banks, to_banks
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

GRAM_BITS = 5  # second moments are opened in steps of 2^-GRAM_BITS
_SHIFT = MOMENT_SCALE - GRAM_BITS
_BLOCK = 1 << 14
_DIGEST = 32
_OTHER_UNIT = "column {!r} spreads a hundred times as far at one bank as at another: do all of them mean the same unit?"


@dataclass(frozen=True)
class Counts:
    """Rows of all banks, those of an enterprise at two banks twice: that train, that matched, that tell a correlation."""

    train: int
    matched: int
    taken: int


def to_keep(prepared: Prepared | Cut, counts: Counts, grid: int) -> tuple[dict[str, Array], dict[str, Any]]:
    """What a bank keeps of its columns as sums have made them, so that none is told twice. grid: the grid's columns."""
    told = {"told": np.array([counts.train, counts.matched, counts.taken, grid], np.uint64)}
    facts = {"fitted": prepared.fitted.model_dump_json(), "columns": list(prepared.columns)}
    return (told | {"whiten": prepared.whiten} if isinstance(prepared, Prepared) else told), facts


def kept(
    table: FeatureTable, columns: Mapping[str, ColumnConfig], arrays: Mapping[str, Array], facts: Mapping[str, Any]
) -> tuple[Prepared | Cut, Counts, int]:
    """The inverse of `to_keep`. columns: as declared or inferred."""
    fitted = FittedPreparation.model_validate_json(facts["fitted"])
    *counts, grid = (int(n) for n in arrays["told"])
    if "whiten" not in arrays:
        return Cut(fitted, table, Party.BANK, columns), Counts(*counts), grid
    return Prepared(fitted, table, Party.BANK, tuple(facts["columns"]), arrays["whiten"]), Counts(*counts), grid


async def grid_columns(hub: GridHub, *, whitened: bool) -> int:
    """The grid's part: how many columns of all banks are trained. It learns that, and at most how many were brought."""
    await compare(hub)
    brought = await told(hub)
    await to_banks(hub, np.zeros(2 * brought, np.uint64))
    await to_banks(hub, np.zeros((pooled.EXPONENTS + 1) * brought, np.uint64))
    kept = await told(hub)
    for _ in range(2):
        await means_to_banks(hub, np.zeros(kept))
    if whitened:
        await rounded_to_banks(hub, np.zeros(kept * (kept + 1) // 2, np.uint64), _SHIFT)
    await to_banks(hub, np.zeros(kept, np.uint64))
    return await told(hub)


async def compare(hub: GridHub) -> None:
    """Tells all banks whether they bring columns of the same names. Raises PlanError where they do not."""
    said = await hub.banks.each(Kind.SEEDS, np.uint8, (_DIGEST,))
    alike = all(np.array_equal(said[0], other) for other in said)
    await hub.session.send(Kind.SEEDS, np.array([alike], np.uint8))
    if not alike:
        raise _unlike()


async def told(hub: GridHub) -> int:
    return int((await hub.session.receive(Kind.SHAPE, np.uint64, (1,)))[0])


def _unlike() -> PlanError:
    return PlanError(
        "the banks do not bring columns of the same names, or not of the same kinds, with the same transforms and directions",
        remedy="Name in the plan, for each bank, the columns that all of them have: banks.columns. Each bank declares them"
        " alike, as numbers.",
    )


async def bank_columns(
    hub: BankHub,
    table: FeatureTable,
    columns: Mapping[str, ColumnConfig],
    options: Preparation,
    counts: Counts,
    train_rows: int,
    ridge: float | None,
    leverage: float,
) -> tuple[Prepared, list[str]]:
    """This bank's columns, and its intercept, in units that all banks share; warnings name the columns left out.

    ridge: what whitening allows for; None of a model whose columns are not whitened, of which no second moments are told.

    table: matched rows, the training rows first. columns: of which `agree` has said that they are all banks'. leverage: the
    largest of a training row. Raises PolicyError for rare ones that the plan refuses, DataError for what cannot be prepared.
    """
    own = await asyncio.to_thread(pooled.own_columns, table, columns, train_rows)
    await tell(hub, len(own))
    logs, several = np.split(decode(await to_banks(hub, encode(pooled.votes(own, columns), 0)), 0), 2)
    own = [one.logged(bool(log > 0.5)) for one, log in zip(own, logs, strict=True)]
    cells = np.concatenate([pooled.exponents(own).ravel(), [one.odd for one in own]])
    told = decode(await to_banks(hub, encode(cells, 0)), 0)
    deviations = told[: -len(own)].reshape(len(own), -1)
    units, apart = pooled.largest(deviations), pooled.far_apart(deviations)
    rare = told[-len(own) :] < options.min_binary
    kept = [j for j, unit in enumerate(units) if unit is not None and not rare[j]]
    warnings = _left_out(own, units, rare, options)
    warnings += [_OTHER_UNIT.format(own[j].name) for j in kept if apart[j]]
    await tell(hub, len(kept))
    chosen = [(own[j], unit, bool(several[j] < 0.5)) for j in kept if (unit := units[j]) is not None]
    fitted = await _fitted(hub, chosen, options, counts)
    names = [one.name for one, _, _ in chosen]
    prepared = Prepared(FittedPreparation(fitted=tuple(fitted)), table, Party.BANK, (*names, INTERCEPT), np.eye(len(names) + 1))
    gram = np.eye(len(names)) if ridge is None else await _gram(hub, prepared, counts, train_rows)
    dropped = await asyncio.to_thread(_votes, prepared, gram, counts, train_rows, leverage)
    votes = decode(await to_banks(hub, encode(dropped, 0)), 0)
    left = [j for j in range(len(names)) if votes[j] < 0.5]
    warnings += [f"left out {names[j]!r}: at one of the banks it singles out a row" for j in range(len(names)) if j not in left]
    await tell(hub, len(left))
    whiten = np.eye(len(left) + 1)
    if ridge is not None:
        whiten[:-1, :-1] = _whitener(gram[np.ix_(left, left)], ridge)
        whiten[-1, -1] = np.sqrt(counts.train / train_rows)
    final = FittedPreparation(fitted=tuple(fitted[j] for j in left))
    return Prepared(final, table, Party.BANK, (*(names[j] for j in left), INTERCEPT), whiten), warnings


async def agree(hub: BankHub, columns: Mapping[str, ColumnConfig], *, ordered: bool = False) -> None:
    """Raises PlanError where the banks' columns differ, before anything is summed. ordered: their directions matter too."""
    declared = [[name, one.kind, one.transform] for name, one in sorted(columns.items())]
    directions = [[name, one.monotone] for name, one in sorted(columns.items()) if ordered and one.monotone]
    named = json.dumps(declared + directions)
    key = hub.correlations.secret(Purpose.AGREED, 8).tobytes()
    digest = blake2b(named.encode(), key=key, digest_size=_DIGEST, person=b"wattscore.column").digest()
    await hub.session.send(Kind.SEEDS, np.frombuffer(digest, np.uint8))
    if not (await hub.session.receive(Kind.SEEDS, np.uint8, (1,)))[0]:
        raise _unlike()


async def tell(hub: BankHub, count: int) -> None:
    if not count:
        message = "no column of the banks is left to train on: each is constant, rare, or singles out a row"
        raise DataError(message, public=message, remedy="Declare other columns, log or clip them, or bring more rows.")
    await hub.session.send(Kind.SHAPE, np.array([count], np.uint64))


def _left_out(own: list[OwnColumn], units: list[int | None], rare: npt.NDArray[np.bool_], options: Preparation) -> list[str]:
    constant = [one.name for one, unit in zip(own, units, strict=True) if unit is None]
    few = [one.name for one, unit, less in zip(own, units, rare, strict=True) if unit is not None and less]
    if few and options.rare == "refuse":
        raise PolicyError(
            f"in columns {', '.join(map(repr, few))} fewer than {options.min_binary} rows of all banks differ from the rest",
            remedy="Set rare = 'drop', or leave the columns out.",
            public=f"{len(few)} columns of the banks have fewer than {options.min_binary} rows that differ from the rest",
        )
    reasons = (
        (constant, "the same value in every training row of each bank"),
        (few, f"fewer than {options.min_binary} rows at all banks differ from the rest"),
    )
    return [f"left out {', '.join(map(repr, names))}: {why}" for names, why in reasons if names]


async def _fitted(
    hub: BankHub, chosen: list[tuple[OwnColumn, int, bool]], options: Preparation, counts: Counts
) -> list[FittedColumn]:
    own, units = [one for one, _, _ in chosen], [unit for _, unit, _ in chosen]
    spread = await means_to_banks(hub, pooled.spreads(own, units, counts.train))
    deviations = np.sqrt(np.maximum(spread, 2.0**-MOMENT_SCALE)) * np.exp2(units)
    columns = [
        pooled.fitted(one, float(deviation), options.clip, free)
        for (one, _, free), deviation in zip(chosen, deviations, strict=True)
    ]
    mine = [pooled.clipped_spread(one, column, counts.train) for one, column in zip(own, columns, strict=True)]
    clipped = await means_to_banks(hub, np.array(mine))
    spreads = np.sqrt(np.maximum(clipped, 2.0**-MOMENT_SCALE))
    return [column.model_copy(update={"spread": float(s)}) for column, s in zip(columns, spreads, strict=True)]


async def _gram(hub: BankHub, prepared: Prepared, counts: Counts, train_rows: int) -> Reals:
    """The columns' second moments over the rows of all banks, (b, b), in steps of 2^-GRAM_BITS."""

    def own() -> Reals:
        return sum((part.T @ part for part in _parts(prepared, train_rows)), np.zeros((1, 1))) / counts.train

    products = await asyncio.to_thread(own)
    upper = np.triu_indices(len(products))
    told = decode(await rounded_to_banks(hub, encode(products[upper], MOMENT_SCALE), _SHIFT), GRAM_BITS)
    found = np.zeros_like(products)
    found[upper] = told
    return found + np.triu(found, 1).T


def _parts(prepared: Prepared, rows: int) -> Iterator[Reals]:
    """Training rows of the common columns, in blocks."""
    for low in range(0, rows, _BLOCK):
        yield prepared.matrix(low, min(rows, low + _BLOCK))[:, :-1]


def _whitener(gram: Reals, ridge: float) -> Reals:
    """Of rounded moments: no direction may be under-estimated, or a step could be too long there."""
    rounding = np.sqrt(len(gram)) * 2.0**-GRAM_BITS
    floor = rounding + max(0.0, -float(np.linalg.eigvalsh(gram)[0]))
    return whitener(gram + floor * np.eye(len(gram)), np.ones(len(gram), np.bool_), ridge)


def _votes(prepared: Prepared, gram: Reals, counts: Counts, train_rows: int, largest: float) -> Reals:
    """A one for each column without which no training row of this bank has a leverage above `largest`, (b,)."""
    kept, dropped = np.arange(len(gram)), np.zeros(len(gram))
    while len(kept):
        whiten = _whitener(gram[np.ix_(kept, kept)], 0.0)
        shares = strongest((part[:, kept] @ whiten for part in _parts(prepared, train_rows)), len(kept)) / counts.train
        if shares.sum() <= largest:
            break
        worst = int(shares.argmax())
        dropped[kept[worst]] = 1.0
        kept = np.delete(kept, worst)
    return dropped
