"""Scores of rows by a model that nobody holds: three messages a block of rows, and one share at the end. PROTOCOL.md section 6.

u = X_G w_G + X_B w_B, the weights shared between the two. As in a training step each party hides its share of the other's
weights, and its own rows, by masks the dealer knows; the products are then local up to mask times mask, which the truncation
that cuts u to the grid of scores takes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import numpy as np

from common.learn.linear.deal import PRODUCT_SCALE, ScoreDemand
from common.learn.linear.half import ClosedModel, LinearModel, PartyModel
from common.mpc.correlations.asked import Correlations, TruncationPart
from common.mpc.fixedpoint import Reals, Words, decode, encode
from common.mpc.product import forward
from common.mpc.session import Kind, Session
from common.mpc.truncate import masked, shifted
from common.party import Party
from common.rows.hashes import hash_rows
from common.rows.table import FeatureTable

Dither = Callable[[slice], Words]


@dataclass(repr=False)
class _Opened:
    """A block whose share of c is on its way."""

    rows: slice
    part: TruncationPart
    mine: Words


async def open_scores(
    session: Session,
    correlations: Correlations,
    model: LinearModel,
    table: FeatureTable,
    kind: Kind,
    bits: int,
    number: int,
) -> Reals | None:
    """The log-odds u of each row, (n,), at the bank, in steps of 2^-bits; None at the grid, which sends `kind`.

    number: of this scoring in its job. Of an opened model the bank's own part is not rounded.
    """
    if isinstance(model, PartyModel):
        return await _add_parts(session, model, table, kind, bits)
    share, held = await score_shares(session, correlations, model, table, number, bits)
    if held:
        session.reporter.warn(f"{held} values of the {session.party.value} lay beyond what scoring holds, and were held there")
    if session.party is Party.GRID:
        await session.send(kind, share)
        return None
    return decode(share + await session.receive(kind, np.uint64, (table.rows,)), bits)


async def _add_parts(session: Session, model: PartyModel, table: FeatureTable, kind: Kind, bits: int) -> Reals | None:
    """Of a model whose weights each side holds: the grid sends its part of u, rounded. One message, 8 n bytes."""
    part = await session.compute(lambda: model.partial_scores(table), table.rows * len(model.weights))
    if session.party is Party.GRID:
        await session.send(kind, encode(part, bits))
        return None
    return part + decode(await session.receive(kind, np.uint64, (table.rows,)), bits)


async def score_shares(
    session: Session, correlations: Correlations, model: ClosedModel, table: FeatureTable, number: int, bits: int
) -> tuple[Words, int]:
    """This party's share of u at 2^-bits, (n,), u rounded up or down at random; how many own values were held at X_LIMIT.

    The grid adds a dither of a step's width that is the same whenever this model scores this row: rounding at random would
    else tell finer bits to whoever has a row scored again and again, and takes the mean.

    1. exchange the masked shares of the other's weights, once: 8 m_other bytes
    2. for each block of rows, exchange the masked rows, 8 m_own bytes a row; u is then local, off by what the dealer knows
    3. exchange the masked u, 8 bytes a row: the truncation to 2^-bits
    Blocks go through these one behind the other, so that the network works while this side computes.
    """
    own, other = len(model.own), len(model.other)
    grid, bank = (own, other) if session.party is Party.GRID else (other, own)
    demand = ScoreDemand(number, table.rows, grid, bank, bits)
    await correlations.order(demand)
    mask = correlations.weight_mask(demand.key, other)
    point = model.own + await session.exchange(Kind.MASKED_WEIGHTS, model.other - mask, shape=(own,))
    dither = partial(_dither, model, table, bits) if session.party is Party.GRID else _none
    out: Words = np.empty(table.rows, np.uint64)
    waiting, sent, opened, held = deque(demand.blocks()), deque[tuple[int, slice, Words]](), deque[_Opened](), 0
    while waiting or sent or opened:
        arriving, ready = bool(sent), bool(opened)
        if waiting:
            key, rows = waiting.popleft()
            hide = partial(_hide, correlations, model, table, key, rows)
            words, beyond, hidden = await session.compute(hide, (rows.stop - rows.start) * own)
            held += beyond
            await session.post(Kind.MASKED_MATRIX, hidden)
            sent.append((key, rows, words))
        if arriving:
            opened.append(await _open(session, correlations, point, mask, dither, *sent.popleft()))
        if ready:
            block = opened.popleft()
            c = block.mine + await session.collect(Kind.MASKED_UPDATE, np.uint64, block.mine.shape)
            out[block.rows] = shifted(session.party, block.part, c, PRODUCT_SCALE - bits)
            session.reporter.progress(block.rows.stop, table.rows)
    return out, held


def _dither(model: ClosedModel, table: FeatureTable, bits: int, rows: slice) -> Words:
    """Uniform in half a step either way, at PRODUCT_SCALE, (n,), by a hash of the row under a key that only the grid has."""
    key = blake2b(model.own.tobytes(), digest_size=32, person=b"wattscore.dither").digest()
    step = PRODUCT_SCALE - bits
    return (hash_rows(table.keys(rows), key=key) >> np.uint64(64 - step)) - np.uint64(1 << (step - 1))


def _none(rows: slice) -> Words:
    return np.zeros(rows.stop - rows.start, np.uint64)


def _hide(
    correlations: Correlations, model: ClosedModel, table: FeatureTable, key: int, rows: slice
) -> tuple[Words, int, Words]:
    """Own rows of a block, (n, m) column-major, how many values were held, and the rows as they are sent, (m, n)."""
    words, held = model.whitened(table.part(rows.start, rows.stop))
    return words, held, words.T - correlations.matrix_mask(key, *words.shape)


async def _open(
    session: Session, correlations: Correlations, point: Words, mask: Words, dither: Dither, key: int, rows: slice, words: Words
) -> _Opened:
    theirs = await session.collect(Kind.MASKED_MATRIX, np.uint64, (len(mask), len(words)))
    part = await correlations.truncation(key, len(words))
    mine = await session.compute(
        lambda: masked(session.party, part, forward(words, point) + forward(theirs.T, mask) + dither(rows)),
        words.size + theirs.size,
    )
    await session.post(Kind.MASKED_UPDATE, mine)
    return _Opened(rows, part, mine)
