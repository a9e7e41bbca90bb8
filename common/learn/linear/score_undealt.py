"""Scores of rows by a model that nobody holds, with nobody who deals: by products of `committed`. PROTOCOL.md section 21.

u = X_G w_G + X_B w_B. Each party multiplies its rows by its own share of its weights, and by the other's share, which it has
kept masked since training. One message a block each way; the sum is then cut to the grid of scores by cutting both shares.
Rows that the bank asks for take one message each way: it sends its own with what it asks, and the grid its own with its share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from common.errors import PeerProtocolError
from common.learn.dither import dither
from common.learn.linear.half import CommittedModel
from common.mpc.beside import one_ahead
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.fixedpoint import Reals, Words, decode
from common.mpc.lattice.committed import COMMITTED_SCALE, LIFT, CommittedProducts
from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.ring96 import WORDS, Long, flat, stacked
from common.mpc.lattice.rows import blocks_of
from common.mpc.product import forward
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.table import FeatureTable, Index

FLOOD_STEPS = 4  # a flood is of 2^-FLOOD_STEPS of a score's step, but for more columns than that hides at the finest
_NO_ROWS: Long = np.empty((0, WORDS, DEGREE), np.uint32)


class UndealtScorer:
    """Scores tables of rows by one closed model that was trained with nobody who deals, one after the other.

    The other party must score tables of as many rows in the same order.
    """

    scale = COMMITTED_SCALE

    def __init__(self, session: Session, model: CommittedModel, bits: int) -> None:
        """bits: scores are told in steps of 2^-bits."""
        self._session, self._model, self._step = session, model, COMMITTED_SCALE - bits
        self._products: CommittedProducts

    async def start(self) -> None:
        """Both tell the marks of what they masked and of what they keep: one round of 64 bytes.

        Raises PeerProtocolError where these are not of one training, word for word.
        """
        session, committed = self._session, self._model.committed

        def made() -> tuple[CommittedProducts, bytes]:
            return CommittedProducts(session.party, committed, self._step - FLOOD_STEPS), committed.marks

        self._products, mine = await session.compute(made, 2 * committed.masked.size)
        heard = await session.exchange(Kind.MODEL_MARKS, np.frombuffer(mine, np.uint8))
        half = len(mine) // 2
        if heard.tobytes() != mine[half:] + mine[:half]:
            raise PeerProtocolError(
                f"the two halves of model {self._model.job} are not those that training left: nothing was scored",
                remedy="See at both parties whether the model's folder was changed or put back; else train again.",
            )

    async def warm(self) -> None:
        """Nothing is made ahead."""

    async def score(self, table: FeatureTable) -> tuple[Words, int]:
        """This party's share of u at `scale`, (n,), u rounded up or down at random; how many own values were held at X_LIMIT.

        The grid adds a dither, as where there is a dealer. 12 N bytes each way for each block of N rows.
        """
        session, out, held = self._session, np.empty(table.rows, np.uint64), 0
        parts = [slice(low, min(table.rows, low + MATRIX_BLOCK)) for low in range(0, table.rows, MATRIX_BLOCK)]
        width = len(self._model.own)
        hiding = (session.begin(partial(self._hide, table, part), 16 * width * (part.stop - part.start)) for part in parts)
        async with one_ahead(hiding) as coming:
            for part in parts:
                count = part.stop - part.start
                mine, beyond, hidden = await coming()
                held += beyond
                await session.post(Kind.LATTICE_ROWS, flat(hidden))
                heard = await self._heard(count)
                theirs = await session.compute(partial(self._products.share, heard, count), 16 * heard.size)
                out[part] = self._cut(mine + theirs, self._dither(table, part))
                session.reporter.progress(part.stop, table.rows)
        return out, held

    async def ask(self, table: FeatureTable, at: Index, count: int) -> tuple[Asked, int]:
        """Rows that the bank asks for, which it sends with its request; as `learner.RowScores.ask`. 12 N bytes.

        And how many own values were held at X_LIMIT.
        """
        session, width = self._session, len(self._model.own)
        words, held = np.empty((0, width), np.uint64), 0
        if table.rows:
            words, held = await session.compute(lambda: self._model.whitened(table), table.rows * width)
        if session.party is Party.BANK:
            hidden, mine = await session.compute(partial(self.shared, words), 16 * words.size)
            await session.post(Kind.LATTICE_ROWS, flat(hidden))
            return Asked(self, words, at, _NO_ROWS, mine), held
        heard = await self._heard(count)

        def answer() -> Asked:
            theirs = self._products.share(heard, count)[at] + self._dither(table, slice(None))
            hidden, mine = self.shared(words) if len(words) else (_NO_ROWS, theirs)
            return Asked(self, words, at, hidden, mine, theirs)

        return await session.compute(answer, 16 * (words.size + heard.size)), held

    def shared(self, words: Words) -> tuple[Long, Words]:
        """Own rows, (n, m), as they are sent, and this party's share of what they give, (n,)."""
        hidden, mine = self._products.multiplied(words)
        return hidden, mine + (forward(words, self._model.own) << np.uint64(LIFT))

    async def tell(self, share: Words, hidden: Long, kind: Kind) -> None:
        """At the grid: its rows as they are sent, and its share of u, with a dither: 12 N bytes, and 8 a row."""
        await self._session.post(Kind.LATTICE_ROWS, flat(hidden))
        await self._session.send(kind, self._cut(share, np.zeros(1, np.uint64)))

    async def hear(self, mine: Words, kind: Kind) -> Reals:
        """At the bank: u of rows of which this is its share by its own, (k,)."""
        session, count = self._session, len(mine)
        heard = await self._heard(count)
        told = await session.receive(kind, np.uint64, (count,))
        theirs = await session.compute(partial(self._products.share, heard, count), 16 * heard.size)
        return decode(self._cut(mine + theirs, np.zeros(1, np.uint64)) + told, self.scale)

    async def _heard(self, count: int) -> Long:
        """So many rows of the other's as they were sent, (blocks, WORDS, N)."""
        return stacked(await self._session.collect(Kind.LATTICE_ROWS, np.uint32, (blocks_of(count) * WORDS, DEGREE)))

    def _hide(self, table: FeatureTable, part: slice) -> tuple[Words, int, Long]:
        """This party's share of what its own rows give, (n,), how many values were held, and the rows as they are sent."""
        words, held = self._model.whitened(table.part(part.start, part.stop))
        hidden, mine = self.shared(words)
        return mine, held, hidden

    def _cut(self, share: Words, plus: Words) -> Words:
        """A share, and this at the grid, without its low bits. One more at the bank: both lose a step in all, or none, in
        proportion."""
        step = np.uint64(self._step)
        if self._session.party is Party.BANK:
            return (share >> step) + np.uint64(1) << step
        return share + plus >> step << step

    def _dither(self, table: FeatureTable, part: slice) -> Words:
        """At the grid, uniform in a step, (n,): a hash of the row under a key that it has."""
        if self._session.party is Party.BANK:
            return np.zeros(1, np.uint64)
        return dither(self._model.own.tobytes(), table.keys(part), self._step)


@dataclass(repr=False)
class Asked:
    """Rows that the bank asks for, at one party. PROTOCOL.md section 21.

    words: of own rows, (n, m), at their places `at` among those asked for. hidden: at the grid, its rows as they are sent, if
    all of them are. mine: what own rows give, (n,). theirs: at the grid, what the bank's give, and a dither, (n,).
    """

    scorer: UndealtScorer
    words: Words
    at: Index
    hidden: Long
    mine: Words
    theirs: Words = field(default_factory=lambda: np.zeros(0, np.uint64))

    async def open(self, session: Session, kept: Index, kind: Kind) -> Reals | None:
        """As `learner.Request.open`."""
        if session.party is Party.BANK:
            return await self.scorer.hear(self.mine[kept], kind)
        which = np.searchsorted(self.at, kept)
        hidden, mine = self.hidden, self.mine
        if len(which) < len(self.at):  # of rows that may not be scored nothing is sent
            words = self.words[which]
            hidden, mine = await session.compute(lambda: self.scorer.shared(words), 16 * words.size)
        await self.scorer.tell(mine + self.theirs[which], hidden, kind)
        return None
