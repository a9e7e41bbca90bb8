"""What a training that nobody deals for can take from a stock that both parties have made. PROTOCOL.md section 21.

No row is part of it: products of the bits by which values are shifted, and, of the Fourier link, shares of phasors of random
angles. The keys that make them are drawn for that, and are gone when it is made.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

import numpy as np

from common.errors import LocalProtocolError
from common.learn.linear.quadratic import crossings
from common.learn.linear.steps import step_size
from common.learn.linear.undealt import draw_nonces
from common.mpc.correlations.asked import DealerLink
from common.mpc.fixedpoint import UNDEALT_SCALE, X_SCALE, Words
from common.mpc.lattice.carries import AT_ONCE, Carries, polynomials_of, share_carries
from common.mpc.lattice.embedding import BLOCK, NARROWED
from common.mpc.lattice.phasors import LinkPublic, Span, Waves, spans_of
from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.ring96 import WORDS
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.lattice.stored import STORED_BYTES, HeldAngles, OwnAngles
from common.mpc.prg import Prg, Purpose
from common.mpc.session import Array, Kind, Round, Session
from common.mpc.short import Short, dealt_place, dealt_shape
from common.party import Party
from common.plan.linear import Model

FOLDED_SCALE = UNDEALT_SCALE - X_SCALE + NARROWED
"""Of a residual's coefficients, in words: times columns that are divided by 2^NARROWED they are at the update's scale."""
SPARE_ROWS = 1.25
"""So many times the rows of a training a stock may be for: as many times what stands for 1 is larger in that."""
_HALF_WORD = np.uint64(32)


def shifted(model: Model, columns: dict[Party, int]) -> int:
    """How many values a training shifts."""
    every = model.iterations * sum(columns.values())
    if model.link != "taylor":
        return every
    return every + crossings({Party.GRID: columns[Party.GRID], Party.BANK: columns[Party.BANK] + 1})


def waves_of(model: Model, size: float, rows: int, stock_rows: int | None = None) -> Waves:
    """The link in a step of `size` over so many rows. stock_rows: for how many there are phasors already, if there are."""
    link = model.fourier()

    def one(count: float) -> float:
        return size / count * 2.0 ** (FOLDED_SCALE + 32)

    if stock_rows is None:
        return Waves(link.coefficients, link.odd, one(rows))
    limit = Waves(link.coefficients, link.odd, 1.0).limit
    given = 2.0 ** math.ceil(math.log2(one(stock_rows / SPARE_ROWS) / limit))
    return Waves(link.coefficients, link.odd, one(rows), given)


@dataclass(frozen=True)
class Place:
    """A span of a step's blocks, in the order in which they are made and used. shape: of its shares."""

    number: int
    span: Span
    shape: tuple[int, int, int]

    def angles(self, seed: bytes) -> Words:
        """A party's random angles, (blocks, N / 2) in 2^-64 of a turn, the upper half of a word each; of its seed alone."""
        blocks = self.span.last - self.span.first
        drawn = Prg(seed).half_words(Purpose.LATTICE_ANGLE, self.number, blocks * BLOCK)
        return drawn.astype(np.uint64).reshape(blocks, BLOCK) << _HALF_WORD


def places(model: Model, rows: int) -> list[Place]:
    """Those of all steps over so many rows; none of a link that takes no phasors."""
    if model.link != "fourier":
        return []
    spans, waves, steps = spans_of(rows), model.fourier().terms, model.iterations
    every = (span for _ in range(steps) for span in spans)
    return [Place(i, span, (span.last - span.first, waves, DEGREE)) for i, span in enumerate(every)]


def made_arrays(model: Model, rows: int, columns: dict[Party, int]) -> Iterator[tuple[Round, tuple[int, ...]]]:
    """Label and shape of each array of words that a stock holds, the same at both parties."""
    yield Round(Kind.LATTICE_BITS, 1), (AT_ONCE * polynomials_of(shifted(model, columns)),)
    for place in places(model, rows):
        yield Round(Kind.LATTICE_PHASORS, place.number + 2), dealt_shape(place.shape, STORED_BYTES)


async def make_ahead(
    session: Session, model: Model, rows: int, columns: dict[Party, int], seed: bytes
) -> AsyncGenerator[tuple[Round, Array]]:
    """Makes these together with the other party, in their order. seed: this party's, of which its angles and bits are drawn."""
    nonces = await draw_nonces(session)
    sampler, public = Sampler(Prg.fresh_seed()), {p: Public(nonces, p) for p in Party}
    carries = await share_carries(session, sampler, public[Party.GRID], shifted(model, columns), Sampler(seed))
    labels = (label for label, _ in made_arrays(model, rows, columns))
    yield next(labels), carries.products
    if not (every := places(model, rows)):
        return
    waves = waves_of(model, step_size(model), rows, rows)
    published = {p: LinkPublic(public[p], len(waves.coefficients)) for p in Party}
    making = _Making(session, sampler, published, waves, seed)
    asked, answered = deque[_Span](), deque[_Span]()
    # This order of posts and collects is the protocol: the next span's phasors, then the reply to the last one's.
    for turn in range(len(every) + 2):
        if turn < len(every):
            asked.append(await making.ask(every[turn]))
        if 0 < turn <= len(every):
            await making.answer(asked[0])
            answered.append(asked.popleft())
        if turn > 1:
            yield next(labels), await making.hear(answered.popleft())


@dataclass(frozen=True, repr=False)
class _Span:
    place: Place
    angles: Words
    own: OwnAngles
    shares: Words


class _Making:
    """Spans that are being made."""

    def __init__(self, session: Session, sampler: Sampler, public: dict[Party, LinkPublic], waves: Waves, seed: bytes) -> None:
        self._session, self._sampler, self._public, self._waves, self._seed = session, sampler, public, waves, seed

    async def ask(self, place: Place) -> _Span:
        """Posts phasors of this party's angles of its blocks: 12 N bytes, and 8 N a block and wave."""
        session, waves = self._session, self._waves
        own = OwnAngles(self._sampler, self._public[session.party])
        made = _Span(place, place.angles(self._seed), own, np.empty(place.shape, np.uint64))
        if place.span.count(session.party):
            part = made.angles[_within(place.span, session.party)]
            key = own.key()
            hidden = await session.compute(lambda: own.hidden(waves, part), part.size * len(waves.coefficients))
            await session.post(Kind.LATTICE_PHASORS, key)
            await session.post(Kind.LATTICE_PHASORS, hidden.reshape(-1, DEGREE))
        return made

    async def answer(self, made: _Span) -> None:
        """Posts the reply to the other's, 12 N bytes a block and wave."""
        session, owner, span = self._session, self._session.party.other, made.place.span
        if not (count := span.count(owner)):
            return
        waves, at = len(self._waves.coefficients), _within(span, owner)
        key = await session.collect(Kind.LATTICE_PHASORS, np.uint32, (WORDS, DEGREE))
        hidden = await session.collect(Kind.LATTICE_PHASORS, np.uint64, (count * waves, DEGREE))
        held = HeldAngles(self._sampler, self._public[owner])

        def work() -> Array:
            c, share = held.reply(self._waves, key, hidden.reshape(count, waves, DEGREE), made.angles[at])
            made.shares[at] = share
            return c.reshape(-1, DEGREE)

        await session.post(Kind.LATTICE_REPLY, await session.compute(work, hidden.size))

    async def hear(self, made: _Span) -> Words:
        """The shares of all its blocks, as they are stored."""
        session, span = self._session, made.place.span
        if count := span.count(session.party):
            waves, at = len(self._waves.coefficients), _within(span, session.party)
            reply = await session.collect(Kind.LATTICE_REPLY, np.uint32, (count * waves * WORDS, DEGREE))
            whole = reply.reshape(count, waves, WORDS, DEGREE)
            made.shares[at] = await session.compute(lambda: made.own.share(self._waves, whole), reply.size)
        return packed(made.shares)


def _within(span: Span, owner: Party) -> slice:
    """Its blocks, counted within the span."""
    return slice(owner.index, span.last - span.first, 2)


def packed(shares: Words) -> Words:
    """Words of 48 bits in 6 bytes each, filled up to words of 8."""
    place = dealt_place(shares.shape, STORED_BYTES)
    Short(place, shares.size, STORED_BYTES)[:] = shares.ravel()
    return place


class MadeAhead:
    """A stock that both parties made, as one of them uses it up: arrays in their order, each once."""

    def __init__(self, seed: bytes, stored: DealerLink, model: Model, rows: int, columns: dict[Party, int]) -> None:
        """rows, columns: for which it was made."""
        self._seed, self._stored, self._model, self._rows = seed, stored, model, rows
        self._labels = made_arrays(model, rows, columns)
        self._places = iter(places(model, rows))
        self._left: list[Place] = []

    async def carries(self, session: Session) -> Carries:
        """What values are shifted by."""
        label, _ = next(self._labels)
        products = await self._stored.receive(label)
        bits = Sampler(self._seed).bits(len(products) // AT_ONCE, AT_ONCE)
        return Carries(session, bits, products)

    def waves(self, size: float, rows: int) -> Waves:
        """The link in a step over so many rows, at the scale that phasors have here."""
        return waves_of(self._model, size, rows, self._rows)

    def step(self) -> list[Place]:
        """The spans of the next step. Raises LocalProtocolError where the last step's are not read, or there is none."""
        count = len(spans_of(self._rows))
        self._left = [place for _, place in zip(range(count), self._places, strict=False)] if not self._left else []
        if len(self._left) != count:
            raise LocalProtocolError("a stock is used out of order")
        return list(self._left)

    def angles(self, place: Place) -> Words:
        """This party's, (blocks, N / 2)."""
        return place.angles(self._seed)

    async def shares(self, place: Place) -> Words:
        """This party's shares, (blocks, waves, N) words of 48 bits."""
        if not self._left or self._left.pop(0) is not place:
            raise LocalProtocolError("a stock is used out of order", got=place.number)
        label, _ = next(self._labels)
        stored = await self._stored.receive(label)
        return Short(stored, math.prod(place.shape), STORED_BYTES)[:].reshape(place.shape)

    def __repr__(self) -> str:
        return "MadeAhead(seed hidden)"
