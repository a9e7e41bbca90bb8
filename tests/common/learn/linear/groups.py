"""A closed linear model by groups of the grid's columns, and what is plainly right to be told of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from common.features.contributions import contributions
from common.features.options import Preparation
from common.learn.linear.deal_reasons import ReasonsDemand, deal_reasons
from common.learn.linear.design import prepare
from common.learn.linear.half import ClosedModel
from common.learn.linear.reasons import tell_groups
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import WEIGHT_SCALE, Reals, encode
from common.mpc.narrow import Bytes
from common.mpc.session import Session
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from tests.common.stages.tables import table
from tests.peers import Trio, coordinate, tagged_shares

Groups = Sequence[int | None]
DEALINGS: Any = {ReasonsDemand: lambda prg, demand: deal_reasons(prg, demand)}
TIE = 2.0**-8


def rows(count: int, columns: int, seed: int = 1) -> FeatureTable:
    """Columns of which neighbours are alike, so that whitening mixes them."""
    draw = np.random.default_rng(seed)
    health = draw.standard_normal(count)
    values = {f"c{k}": 0.8 * health * (k % 3) + draw.standard_normal(count) for k in range(columns)}
    return table([f"F{k}" for k in range(count)], **values)


def halves(own: FeatureTable, seed: int = 2) -> tuple[dict[Party, ClosedModel], Reals]:
    """Both halves of a closed model by the grid's rows, and weights of its prepared columns in plain floats."""
    draw = np.random.default_rng(seed)
    columns = {name: ColumnConfig(kind="numeric") for name in own.numeric}
    ready, _ = prepare(own, columns, Preparation(min_binary=0), own.rows, 1e-3, Party.GRID, leverage=1.0)
    plain = draw.normal(size=len(ready.columns))
    words, kept = encode(plain, WEIGHT_SCALE), draw.integers(0, 2**64, len(plain), np.uint64)
    other = draw.integers(0, 2**64, 2, np.uint64)
    held = tagged_shares({Party.GRID: other, Party.BANK: words - kept}, draw)
    grid = ClosedModel("job-1", Party.GRID, ready.fitted, ready.whiten, kept, held[Party.GRID], {}, {})
    bank = ClosedModel("job-1", Party.BANK, ready.fitted, np.eye(2), other, held[Party.BANK], {}, {})
    return {Party.GRID: grid, Party.BANK: bank}, ready.whiten @ plain


async def tell(trio: Trio, own: FeatureTable, groups: Groups, count: int, threshold: float, most: int = 2) -> Bytes:
    models, _ = halves(own)

    async def side(session: Session, correlations: DealtCorrelations) -> Bytes | None:
        party = session.party
        known = groups if party is Party.GRID else ()
        return await tell_groups(session, correlations, models[party], own, known, count, threshold, most)

    found = await coordinate(trio, side, more=DEALINGS)
    told = found[Party.BANK]
    assert found[Party.GRID] is None and told is not None
    return told


def right(told: Bytes, parts: Reals, threshold: float, tie: float = TIE) -> Bytes:
    """Whether each row's codes are the plain choice; values apart by no more than `tie` may stand for each other."""
    above = np.column_stack([np.full(len(parts), threshold), parts])  # code 0 is the threshold
    ranked = np.sort(np.where(parts > threshold, parts, threshold), axis=1)[:, ::-1]
    fine = np.ones(len(parts), np.bool_)
    for k in range(told.shape[1]):
        best = ranked[:, k] if k < parts.shape[1] else np.full(len(parts), threshold)
        fine &= np.abs(np.take_along_axis(above, told[:, k : k + 1].astype(int), 1)[:, 0] - best) <= tie
    if told.shape[1] == 2:
        fine &= (told[:, 0] != told[:, 1]) | (told[:, 0] == 0)
    return fine.astype(np.uint8)


def plain(own: FeatureTable, groups: Groups, count: int) -> Reals:
    models, weights = halves(own)
    matrix = models[Party.GRID].fitted.transform(own)
    return contributions(matrix, weights, np.zeros(len(weights)), groups, count)
