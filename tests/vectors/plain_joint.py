"""The joint matrix of section 6 in plain Python: what is dealt for it, and message by message."""

from __future__ import annotations

import itertools
from collections.abc import Generator

from tests.vectors.plain import (
    BANK,
    DOUBLINGS,
    GRID,
    HALF,
    OPERAND,
    RING,
    SETUP,
    TRUNCATION,
    TRUNCATION_BODY,
    TRUNCATION_TOP,
    Matrix,
    Pairs,
    Side,
    Vector,
    cut,
    joined,
    m_of,
    matrix_mask,
    plus,
    product,
    public_of,
    truncated,
    truncation_sent,
    turned,
    words,
)

BIG = RING * RING
Wanted = list[tuple[str, str, str, int, bool]]  # the name of a product, of its factors, the shift, and whether half is opened


def mean_factors(n: int) -> tuple[int, int]:
    """k and s by which products of columns over few rows become means."""
    s = max(range(512, 1024), key=lambda s: s * (2**26 // (n * s)))
    return 2**26 // (n * s), s


def doubles(flat: Vector) -> Vector:
    return [low + RING * high for low, high in zip(flat[::2], flat[1::2], strict=True)]


def flat_of(values: Vector) -> Vector:
    return [part for value in values for part in (value % RING, value // RING)]


def big(a: Matrix, b: Matrix) -> Matrix:
    """A B modulo 2^128."""
    columns = turned(b)
    return [[sum(x * y for x, y in zip(row, column, strict=True)) % BIG for column in columns] for row in a]


def shared(seeds: dict[str, bytes], number: int, values: Vector) -> dict[str, Vector]:
    """What D deals, so that shares of values are had modulo 2^128."""
    low = words(seeds[GRID], TRUNCATION_BODY, number, len(values))
    high = words(seeds[BANK], TRUNCATION_TOP, number, len(values))
    return {
        BANK: [(value % RING - part) % RING for value, part in zip(values, low, strict=True)],
        GRID: [
            (value // RING - part - (mine > value % RING)) % RING for value, part, mine in zip(values, high, low, strict=True)
        ],
    }


def share_of(party: str, seed: bytes, number: int, dealt: Vector) -> Vector:
    low = words(seed, TRUNCATION_BODY, number, len(dealt)) if party == GRID else dealt
    high = dealt if party == GRID else words(seed, TRUNCATION_TOP, number, len(dealt))
    return [a + RING * b for a, b in zip(low, high, strict=True)]


def half_of(matrix: Matrix) -> Vector:
    return [value for i, row in enumerate(matrix) for value in row[i:]]


def mirrored(half: Vector, size: int) -> Matrix:
    values, found = iter(half), [[0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i, size):
            found[i][j] = found[j][i] = next(values)
    return found


def rounds() -> Generator[Wanted, None, None]:
    """Which products each round has; 'Ct' is C turned round."""
    yield [("P", "Ct", "C", 30, True), ("Q", "C", "N", 24, False)]
    for k in range(DOUBLINGS):
        more = [("+N", "N", "P", 18, True), ("+Q", "Q", "P", 18, False)]
        yield more + ([("P", "P", "P", 18, True)] if k < DOUBLINGS - 1 else [])
    yield [("R", "Q", "Ct", 24, True)]


def big_added(one: Matrix, two: Matrix) -> Matrix:
    return [[(x + y) % BIG for x, y in zip(*rows, strict=True)] for rows in zip(one, two, strict=True)]


def unit(value: int, size: int) -> Matrix:
    return [[value if i == j else 0 for j in range(size)] for i in range(size)]


def kept(known: dict[str, Matrix], name: str, found: Matrix) -> None:
    known[name[-1]] = big_added(known[name[-1]], found) if name[0] == "+" else found


def pieces(wanted: Wanted, values: Vector, shapes: list[tuple[int, int]]) -> list[Matrix]:
    found, at = [], 0
    for (*_, half), (i, j) in zip(wanted, shapes, strict=True):
        count = i * (i + 1) // 2 if half else i * j
        part, at = values[at : at + count], at + count
        found.append(mirrored(part, i) if half else cut(part, j))
    return found


def begun(c: Matrix, gain: int) -> dict[str, Matrix]:
    return {"C": c, "Ct": turned(c), "N": unit(gain, len(c[0]))}


def blocks(known: dict[str, Matrix], gain: int) -> Matrix:
    grid = big_added(known["R"], unit(gain, len(known["R"])))
    return [[value % RING for value in row] for row in m_of(grid, known["Q"], known["N"])]


def m_dealt(seeds: dict[str, bytes], c: Matrix, gain: int, first: int) -> tuple[list[dict[str, Vector]], Matrix]:
    """What is dealt for the products that make M, from the masks of C and the gain; and the mask of M."""
    known, dealt = begun(c, gain), []
    for number, wanted in enumerate(rounds(), SETUP | first):
        offsets, shapes = list[int](), list[tuple[int, int]]()
        for _, a, b, _, half in wanted:
            lack = big(known[a], known[b])
            offsets += half_of(lack) if half else joined(lack)
            shapes.append((len(lack), len(lack[0])))
        hides = (doubles(words(seeds[p], OPERAND, number, 2 * len(offsets))) for p in (GRID, BANK))
        r = [(one + two - lack) % BIG for one, two, lack in zip(*hides, offsets, strict=True)]
        shifts = pieces(wanted, r, shapes)
        masks = [
            [[-(value >> shift) % BIG for value in row] for row in part]
            for (_, _, _, shift, _), part in zip(wanted, shifts, strict=True)
        ]
        told = [
            value for (*_, half), part in zip(wanted, masks, strict=True) for value in (half_of(part) if half else joined(part))
        ]
        dealt.append(shared(seeds, number, told))
        for (name, *_), part in zip(wanted, masks, strict=True):
            kept(known, name, part)
    return dealt, blocks(known, gain)


def opening_masks(seeds: dict[str, bytes], number: int, g: int, b: int, more: int = 0) -> tuple[Matrix, int, Vector]:
    """The sum of both masks of C, of the gain, and of what is opened beside them."""
    wide = 2 * (g * b + 1)
    mine = [words(seeds[p], OPERAND, number, wide + more) for p in (GRID, BANK)]
    both = [(x + y) % BIG for x, y in zip(*(doubles(each[:wide]) for each in mine), strict=True)]
    return cut(both[:-1], b), both[-1], plus(*(each[wide:] for each in mine))


def cut_dealt(seeds: dict[str, bytes], number: int, lacks: Vector, shift: int) -> dict[str, Vector]:
    """For a truncation whose result is shared modulo 2^128."""
    mine = (words(seeds[p], TRUNCATION, number, len(lacks)) for p in (GRID, BANK))
    r = [(one + two - lack) % RING for one, two, lack in zip(*mine, lacks, strict=True)]
    return shared(seeds, number, [x % (2 * HALF) >> shift for x in r] + [x // (2 * HALF) for x in r])


def setup_dealt(seeds: dict[str, bytes], n: int, g: int, b: int) -> tuple[list[dict[str, Vector]], Matrix]:
    """What D deals for the joint matrix, each a product of masks that its words lack; and the mask of M."""
    columns = [matrix_mask(seeds[p], p, n, m) for p, m in ((GRID, g), (BANK, b))]
    factor = mean_factors(n)[0] * 2**24
    first = [x * factor % RING for x in joined(product(columns[0], turned(columns[1])))]
    c, gain, _ = opening_masks(seeds, SETUP | 1, g, b)
    more, mask = m_dealt(seeds, c, gain, 2)
    return [cut_dealt(seeds, SETUP, first, 46), *more], mask


class Setup:
    """The messages before the first step, numbered as they come."""

    def __init__(self, sides: dict[str, Side], dealt: list[dict[str, Vector]]) -> None:
        self.sides, self.dealt, self.numbers = sides, iter(dealt), itertools.count(SETUP)

    def _summed(self, number: int, shares: dict[str, Vector]) -> Vector:
        return plus(*(s.say("masked_update", truncation_sent(p, s.seed, number, shares[p])) for p, s in self.sides.items()))

    def shortened(self, shares: dict[str, Vector], shift: int) -> dict[str, Vector]:
        number, dealt = next(self.numbers), next(self.dealt)
        c = self._summed(number, shares)
        return {p: truncated(p, side.seed, number, dealt[p], c, shift) for p, side in self.sides.items()}

    def shortened_wide(self, shares: dict[str, Vector], shift: int) -> dict[str, Vector]:
        """Shares modulo 2^128."""
        number, dealt, found = next(self.numbers), next(self.dealt), {}
        c = self._summed(number, shares)
        for p, side in self.sides.items():
            parts, out = share_of(p, side.seed, number, dealt[p]), []
            for word, body, top in zip(c, parts[: len(c)], parts[len(c) :], strict=True):
                sign = 2 ** (63 - shift) * (1 if word < 2 * HALF else -1)
                out.append((sign * top - body + (public_of(word, shift) if p == BANK else 0)) % BIG)
            found[p] = out
        return found

    def opened(self, shares: dict[str, Vector], width: int) -> Pairs:
        number = next(self.numbers)
        hidden = {p: self.sides[p].hide(number, shares[p]) for p in self.sides}
        both = cut(plus(*(sent for sent, _ in hidden.values())), width)
        return {p: (both, cut(mask, width)) for p, (_, mask) in hidden.items()}

    def times_of(self, one: Pairs, two: Pairs) -> dict[str, Vector]:
        return {p: joined(self.sides[p].multiplied(one[p], two[p])) for p in self.sides}

    def m_from(
        self, c: dict[str, Vector], gain: float, beside: dict[str, Vector] | None = None
    ) -> tuple[Pairs, dict[str, tuple[Vector, Vector]]]:
        """M of shares of C, (m_G, m_B); and what is opened beside it, in words: that and the masks.

        By what was opened and the share of the mask, which say "0" and "1" here, of every array.
        """
        sides, number, b = self.sides, next(self.numbers), len(self.sides[BANK].own)
        sent, held, more = {}, {}, {}
        for p, side in sides.items():
            scaled = [*c[p], round(gain * 2**18) if p == BANK else 0]
            rest = beside[p] if beside else []
            mask = words(side.seed, OPERAND, number, 2 * len(scaled) + len(rest))
            wide, covers = doubles(mask[: 2 * len(scaled)]), mask[2 * len(scaled) :]
            small = [(x - y) % RING for x, y in zip(rest, covers, strict=True)]
            less = [(x - y) % BIG for x, y in zip(scaled, wide, strict=True)]
            side.say("masked_operand", flat_of(less) + small)
            sent[p], held[p], more[p] = less, begun(cut(wide[:-1], b), wide[-1]), (small, covers)
        told = [(x + y) % BIG for x, y in zip(*sent.values(), strict=True)]
        summed = plus(*(small for small, _ in more.values()))
        known, gains = begun(cut(told[:-1], b), told[-1]), {p: held[p]["N"][0][0] for p in sides}
        for wanted in rounds():
            self._round(wanted, known, held)
        opened = blocks(known, told[-1])
        m = {p: (opened, blocks(held[p], gains[p])) for p in sides}
        return m, {p: (summed, covers) for p, (_, covers) in more.items()}

    def _round(self, wanted: Wanted, known: dict[str, Matrix], held: dict[str, dict[str, Matrix]]) -> None:
        number, dealt, sent, shapes = next(self.numbers), next(self.dealt), [], list[tuple[int, int]]()
        for p, side in self.sides.items():
            values, shapes = [], []
            for _, a, b, _, half in wanted:
                share = big_added(big(known[a], held[p][b]), big(held[p][a], known[b]))
                share = big_added(share, big(known[a], known[b])) if p == BANK else share
                values += half_of(share) if half else joined(share)
                shapes.append((len(share), len(share[0])))
            mask = doubles(words(side.seed, OPERAND, number, 2 * len(values)))
            sent.append([(x + y) % BIG for x, y in zip(values, mask, strict=True)])
            side.say("masked_operand", flat_of(sent[-1]))
        c = pieces(wanted, [(x + y) % BIG for x, y in zip(*sent, strict=True)], shapes)
        for (name, _, _, shift, _), part in zip(wanted, c, strict=True):
            kept(known, name, [[value >> shift for value in row] for row in part])
        for p, side in self.sides.items():
            parts = pieces(wanted, share_of(p, side.seed, number, dealt[p]), shapes)
            for (name, *_), part in zip(wanted, parts, strict=True):
                kept(held[p], name, part)


def joint_matrix(sides: dict[str, Side], dealt: list[dict[str, Vector]], gain: float) -> Pairs:
    """By party, M less its mask, and the party's share of the mask. dealt: one round after another."""
    setup, (k, s) = Setup(sides, dealt), mean_factors(len(sides[GRID].x))
    raw = {p: [x * k * 2**24 % RING for x in joined(side.raw_correlation())] for p, side in sides.items()}
    m, _ = setup.m_from({p: [x * s % BIG for x in share] for p, share in setup.shortened_wide(raw, 46).items()}, gain)
    return m
