"""Products each of which is opened once: exact or one above at every place of a chain, at the edges, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.mpc.chained import Chained, Times, cut, deal_cut, deal_multiplied, hides, multiplied, triangle
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.dealer import Dealer, Dealt, Parts, Prgs
from common.mpc.fixedpoint import as_words
from common.mpc.prg import Prg, Purpose
from common.mpc.ring128 import Doubles, add, signed, subtract
from common.mpc.session import Kind, Session
from common.mpc.several.dealer import AtGrid
from common.party import Party
from tests.common.mpc.problems import halves, run
from tests.common.mpc.test_ring128 import RING, doubles, whole
from tests.common.mpc.test_truncate import EDGES, VALUES
from tests.peers import Trio

Integers = list[list[int]]
SHIFT = 18


def signed_of(values: Doubles) -> list[int]:
    return [value - RING if value >= RING // 2 else value for value in whole(values)]


def matrix(values: Integers) -> Doubles:
    return signed(as_words(np.array(values, np.int64)))


def opened_as(values: Doubles, prg: Prgs, number: int) -> tuple[Doubles, dict[Party, Doubles], Doubles]:
    """What both hold of a shared matrix: opened less its mask, shares of it, and the mask."""
    count = values.shape[0] * values.shape[1]
    mask = hides(prg, number, count).reshape(values.shape)
    shares = {p: prg[p].words(Purpose.OPERAND, number, 2 * count).reshape(values.shape) for p in Party}
    return subtract(values, mask), shares, mask


def summed(held: dict[Party, Chained]) -> Doubles:
    grid, bank = held[Party.GRID], held[Party.BANK]
    assert np.array_equal(grid.parts[0], bank.parts[0])
    return add(add(grid.parts[0], grid.parts[1]), bank.parts[1])


async def chain(trio: Trio, a: Integers, b: Integers) -> tuple[Doubles, Doubles, Doubles]:
    """A B, its shifted square beside A^T A, and the sum of the former two: three products in two rounds."""
    prg = trio.dealer.expanded
    first, second = (opened_as(matrix(values), prg, number) for number, values in enumerate((a, b)))

    def wanted(x: Chained, y: Chained) -> list[Times]:
        return [Times(x, y, SHIFT)]

    def then(x: Chained, found: Chained) -> list[Times]:
        return [Times(found, found, SHIFT), Times(x.transposed, x, SHIFT, symmetric=True)]

    async def side(session: Session, correlations: DealtCorrelations) -> list[Chained]:
        x, y = (Chained((told, shares[session.party])) for told, shares, _ in (first, second))
        (found,) = await multiplied(session, correlations, 2, wanted(x, y))
        return [found, *await multiplied(session, correlations, 3, then(x, found)), found + y]

    def dealing() -> Iterator[Dealt]:
        x, y = (Chained((mask,)) for *_, mask in (first, second))
        dealt, (found,) = deal_multiplied(prg, Parts(), 2, wanted(x, y))
        yield dealt
        yield deal_multiplied(prg, Parts(), 3, then(x, found))[0]

    async def deal(dealer: Dealer) -> None:
        await dealer.deal(dealing())

    found = await trio.run(side, deal)
    made, square, gram, added = (summed({p: found[p][at] for p in Party}) for at in range(4))
    assert np.array_equal(added, add(made, matrix(b)))
    return made, square, gram


def close(found: list[int], exact: list[int]) -> bool:
    return {a - (b >> SHIFT) for a, b in zip(found, exact, strict=True)} <= {0, 1}


@settings(max_examples=40)
@given(st.integers(1, 4), st.data())
def test_each_product_is_exact_or_one_above(size: int, data: st.DataObject) -> None:
    entry = st.one_of(st.integers(-(2**30), 2**30), st.sampled_from([0, 1, -1, 2**30, -(2**30)]))
    row = st.lists(entry, min_size=size, max_size=size)
    a, b = (data.draw(st.lists(row, min_size=size, max_size=size)) for _ in range(2))
    made, square, gram = run(chain(Trio(), a, b))
    exact = [sum(x * y for x, y in zip(line, column, strict=True)) for line in a for column in zip(*b, strict=True)]
    assert close(signed_of(made), exact)
    lines = [signed_of(line) for line in made]
    exact = [sum(x * y for x, y in zip(line, c, strict=True)) for line in lines for c in zip(*lines, strict=True)]
    assert close(signed_of(square), exact)
    turned = list(zip(*a, strict=True))
    assert close(signed_of(gram), [sum(x * y for x, y in zip(one, two, strict=True)) for one in turned for two in turned])
    assert np.array_equal(gram, gram.swapaxes(0, 1))


async def test_cost() -> None:
    trio = Trio()
    await chain(trio, [[1, 2, 3]] * 3, [[4, 5, 6]] * 3)
    values = 9 + 9 + triangle(3)
    for party in Party:
        assert trio.session[party].traffic.rounds == 2
        assert trio.session[party].traffic.sent == {Kind.MASKED_OPERAND: 16 * values}
        dealt = Counter[Kind]()
        for label, words in trio.to_party[party].log:
            dealt[label.kind] += words.nbytes
        assert dealt == {Kind.SEED: 96, Kind.DEALT_TRUNCATION: 8 * values}


@settings(max_examples=40)
@given(st.lists(VALUES, min_size=1, max_size=20), st.sampled_from([1, 24, 30, 44, 46, 61]), st.integers(0, 2**32))
def test_what_is_cut_is_exact_or_one_above_modulo_two_to_the_128(values: list[int], shift: int, seed: int) -> None:
    rng, x = np.random.default_rng(seed), as_words(np.array([*values, *EDGES], np.int64))
    offset = rng.integers(0, 2**64, len(x), dtype=np.uint64)
    shares = halves(x - offset, rng)

    async def side(session: Session, correlations: DealtCorrelations) -> Doubles:
        return await cut(session, correlations, 5, shares[session.party], shift)

    async def deal(dealer: Dealer) -> None:
        # the parties' words lack the offset, which is then in what the dealer takes off
        await dealer.deal(iter([deal_cut(dealer.expanded, Parts(), 5, offset, shift)]))

    found = run(Trio().run(side, deal))
    both = signed_of(add(found[Party.GRID], found[Party.BANK]))
    assert {got - (value >> shift) for got, value in zip(both, [*values, *EDGES], strict=True)} <= {0, 1}


@pytest.mark.parametrize("parts", [Parts(), AtGrid()], ids=["halved", "at the grid"])
def test_shares_of_doubles_carry(parts: Parts) -> None:
    prg = {party: Prg(bytes([party.index]) * 32) for party in Party}
    owner = prg[Party.BANK if isinstance(parts, AtGrid) else Party.GRID]
    expanded = int(owner.words(Purpose.TRUNCATION_BODY, 7, 1)[0])
    for low in (0, 1, expanded - 1, expanded, expanded + 1, 2**64 - 1):
        value = doubles([low + (5 << 64)])
        held = parts.held(prg, parts.doubles(prg, 7, value))
        shares = [np.stack(held[party], axis=-1) for party in Party]
        assert np.array_equal(add(*shares), value)
