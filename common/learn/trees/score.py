"""Scores of rows by trees that nobody holds: three messages, however many trees there are. PROTOCOL.md section 14."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from common.learn.dither import dither
from common.learn.learner import Telling
from common.learn.trees.choose import Levels, hidden_choice, offered, packed_paths, picked, unpacked_paths
from common.learn.trees.deal import ChoiceDemand, TreeScoreDemand
from common.learn.trees.forest import U_SCALE
from common.learn.trees.half import TreesHalf
from common.learn.trees.masks import ChoiceMasks, Short
from common.mpc.correlations.asked import Correlations
from common.mpc.correlations.source import Source
from common.mpc.fixedpoint import Reals
from common.mpc.narrow import Bytes, from_words
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.table import FeatureTable


async def open_scores(
    session: Session, correlations: Correlations, model: TreesHalf, table: FeatureTable, telling: Telling
) -> Reals | None:
    """The log-odds u of each row, (n,), at the bank, in steps of 2^-bits, at least 2^-11; None at the grid."""
    return await tell(session, model, table, await score_shares(session, correlations, model, table, telling), telling)


async def tell(session: Session, model: TreesHalf, table: FeatureTable, share: Short, telling: Telling) -> Reals | None:
    """u of these rows to the bank, as `open_scores` has it, of this party's share of it, (n,)."""
    drop = max(0, U_SCALE - telling.bits)
    if session.party is Party.GRID:
        if drop:
            share = share + dither(model.leaves.tobytes(), table.keys(), drop).astype(np.uint16)
        told = share >> np.uint16(drop)
        await session.send(telling.kind, np.ascontiguousarray(told).view(np.uint8).reshape(table.rows, 2))
        return None
    theirs = (await session.receive(telling.kind, np.uint8, (table.rows, 2))).view(np.uint16).ravel()
    # two shares rounded down are one step low on average
    total = (theirs + (share >> np.uint16(drop)) + np.uint16(drop > 0)) << np.uint16(drop)
    found: Reals = total.view(np.int16).astype(np.float64) * 2.0**-U_SCALE
    return found


async def score_shares(
    session: Session, correlations: Correlations, model: TreesHalf, table: FeatureTable, telling: Telling
) -> Short:
    """This party's share of u, (n,), in steps of 2^-11 modulo 2^16. Nobody hears of a leaf, nor of the other's path.

    1. exchange the masked path of each row through each tree: depth bits
    2. exchange masked leaves: those that the other could choose
    """
    shape = model.shape
    demand = TreeScoreDemand(telling.number, telling.dealt or table.rows, shape.trees, shape.depth)
    source = await correlations.source(demand)
    out: Short = np.empty(table.rows, np.uint16)
    for block, rows in demand.blocks():
        if rows.start >= table.rows:
            break
        scored = Block(session, source, model, demand, block, rows.stop - rows.start)
        part = slice(rows.start, min(rows.stop, table.rows))
        own = table.part(part.start, part.stop)
        out[part] = await scored.run(partial(model.paths, own), own.rows)
        session.reporter.progress(part.stop, table.rows)
    share: Short = out + np.uint16(model.start & 0xFFFF)
    return share


class Block:
    """Rows scored together; `dealt` of them have randomness, and no other rows take it afterwards."""

    def __init__(
        self, session: Session, source: Source, model: TreesHalf, demand: ChoiceDemand, block: int, dealt: int
    ) -> None:
        self._session, self._source, self._model, self._demand, self._block = session, source, model, demand, block
        self._dealt = dealt
        self._masks = [ChoiceMasks(source.prg, demand.masks(block, t), dealt, demand.shape) for t in range(demand.trees)]
        self._levels = [Levels.of(row >= 0) for row in model.splits]

    async def run(self, paths_of: Callable[[], Bytes], rows: int) -> Short:
        """This party's share of the leaves that rows reach, (rows,). paths_of: makes its part of their paths, (trees, rows)."""
        session, depth, trees = self._session, self._demand.depth, self._demand.trees
        work = trees * rows * (1 << depth)
        label = self._demand.label(self._block)
        words = await self._source.fetch(label.kind, label.number, (-(-trees * self._dealt * 2 // 8),))
        paths: Bytes = await session.compute(lambda: self._padded(paths_of()), work)

        def hide() -> Bytes:
            hidden = [hidden_choice(masks, path) for masks, path in zip(self._masks, paths, strict=True)]
            return np.concatenate([packed_paths(choice[:rows], depth) for choice in hidden])

        mine = await session.compute(hide, work)
        theirs = await session.exchange(Kind.MASKED_CHOICE, mine)

        def offer() -> tuple[Bytes, Short]:
            total, parts = np.zeros(rows, np.uint16), []
            for t, path in enumerate(paths):
                choice = self._padded(unpacked_paths(theirs[t * depth : (t + 1) * depth], rows)[None])[0]
                out, share = offered(self._masks[t], self._levels[t], self._model.leaves[t], path, choice)
                parts.append(out[:, :rows])
                total += share[:rows]
            return np.ascontiguousarray(np.concatenate(parts)).view(np.uint8).reshape(-1, 2 * rows), total

        offers, total = await session.compute(offer, work)
        entries = [levels.entries for levels in self._levels]
        received = await session.exchange(Kind.MASKED_LEAVES, offers, shape=(sum(entries), 2 * rows))

        def pick() -> Short:
            dealt = from_words(words, 2 * trees * self._dealt).view(np.uint16).reshape(trees, self._dealt)
            told, low, found = np.ascontiguousarray(received).view(np.uint16).reshape(-1, rows), 0, total
            for t, count in enumerate(entries):
                wide = np.zeros((count, self._dealt), np.uint16)
                wide[:, :rows] = told[low : low + count]
                found = found + picked(self._masks[t], self._levels[t], wide, dealt[t])[:rows]
                low += count
            return found

        return await session.compute(pick, work)

    def _padded(self, paths: Bytes) -> Bytes:
        """(k, rows) with zeros up to the rows that were dealt for."""
        return np.pad(paths, ((0, 0), (0, self._dealt - paths.shape[1])))
