"""What the dealer deals for the steps of section 6 and what corrects them, in plain Python."""

from __future__ import annotations

from typing import Any, TypeVar

from tests.vectors.plain import (
    ANGLE,
    BANK,
    CUT,
    GRADIENT,
    GRID,
    LINK,
    RESIDUAL,
    RIDGE_MATRIX,
    TRUNCATION,
    WEIGHTS,
    Matrix,
    Side,
    Vector,
    cut,
    joined,
    less,
    matrix_mask,
    negative,
    plus,
    share_known,
    tables,
    times,
    truncation_dealt,
    turned,
    words,
)
from tests.vectors.plain_short import as_words, lifted, planes, point, turns

T = TypeVar("T")


def link_dealt(
    seeds: dict[str, bytes],
    span: int,
    rows: tuple[int, int],
    whole: int,
    shares: dict[str, Vector],
    period: int,
    scale: int,
    *,
    ridge: bool,
) -> tuple[dict[str, Vector], Vector]:
    """Of a span over these of all rows by the taylor link in 6 bytes, on masks alone: the tables, and delta.

    shares: by whose columns they are, what D knows the other's share of the look-ahead to be. ridge: whether it pulls here.
    """
    n, other, bits = rows[1] - rows[0], {GRID: BANK, BANK: GRID}, 38 + period.bit_length() - 1
    columns = {p: len(share) for p, share in shares.items()}
    h = {p: lifted(words(seeds[other[p]], RESIDUAL, span, n)) for p in columns}
    masks = {p: [row[slice(*rows)] for row in matrix_mask(seeds[p], p, whole, m)] for p, m in columns.items()}
    o = turns(plus(*(times(turned(masks[p]), point(shares[p], bits)) for p in columns)))
    angles = [words(seeds[p], ANGLE, span, n, 2) for p in columns]
    a = [(word + sum(pair)) % 2**16 * 2**16 for word, *pair in zip(o, *angles, strict=True)]
    known = turned([tables("taylor", period, 0, angle, scale) for angle in a])
    tables_of = {p: less(known[i], words(seeds[other[p]], LINK, span, n)) for i, p in enumerate((GRID, BANK))}
    delta = joined([times(masks[p], h[p]) for p in columns])
    if ridge:
        delta = plus(delta, ridge_lacks(seeds, span >> 24, columns))
    return {p: as_words(planes(values)) for p, values in tables_of.items()}, delta


def ridge_lacks(seeds: dict[str, bytes], t: int, columns: dict[str, int]) -> Vector:
    """What the parties' shares of the ridge's pull lack in step t."""
    other = {GRID: BANK, BANK: GRID}
    ridges = {p: cut(words(seeds[p], RIDGE_MATRIX, 0, m * m), m) for p, m in columns.items()}  # a row a column
    return joined([times(turned(ridges[p]), words(seeds[other[p]], WEIGHTS, t, m)) for p, m in columns.items()])


def truncations_dealt(
    seeds: dict[str, bytes], t: int, delta: Vector, mask_of_m: Matrix | None, *, longer: bool
) -> list[dict[str, Vector]]:
    """Those that end step t; mask_of_m, None without the joint matrix, times top bits between them."""
    if mask_of_m is None:
        return [truncation_dealt(seeds, t, delta, 36)]
    number, m = GRADIENT | t, len(delta)
    r = less(plus(*(words(seeds[p], TRUNCATION, number, m) for p in (GRID, BANK))), delta)
    tops = [[x * (word >> 63) for x in column] for column, word in zip(turned(mask_of_m), r, strict=True)]
    halves = {p: joined(tops[place::2]) for place, p in enumerate((GRID, BANK))}
    cut_of = {p: less(halves[p], words(seeds[other], CUT, number, len(halves[p]))) for p, other in ((GRID, BANK), (BANK, GRID))}
    lack = negative(times(mask_of_m, [word % 2**63 >> 40 for word in r]))
    if longer:
        lack = [5 * word for word in lack]
    last = truncation_dealt(seeds, t, lack, 16 if longer else 14)
    return [truncation_dealt(seeds, number, negative(delta), 40), cut_of, last]


class Known:
    """What D knows of each party's share of the other's block, by whose block it is, with the joint matrix."""

    def __init__(self, columns: dict[str, int]) -> None:
        self.weights = self.ahead = {p: [0] * m for p, m in columns.items()}

    def step(self, seeds: dict[str, bytes], t: int, dealt: dict[str, Vector], momentum: int, shift: int) -> None:
        grid, before = len(self.weights[GRID]), self.weights
        held = {p: share_known(p, seeds[p], t, dealt[p], shift) for p in (GRID, BANK)}
        self.weights = {GRID: held[BANK][:grid], BANK: held[GRID][grid:]}
        pairs = {p: zip(self.weights[p], before[p], strict=True) for p in before}
        self.ahead = {p: [w * (256 + momentum) - b * momentum for w, b in pair] for p, pair in pairs.items()}


class Corrected:
    """Updates by which steps move, with all that were measured: shares of them at a party, delta at the dealer."""

    def __init__(self, rows: list[list[int]], corrected: list[int]) -> None:
        self.rows, self.corrected = rows, corrected
        self.kept = list[tuple[list[int], Vector]]()

    def keep(self, part: list[int], update: Vector) -> None:
        self.kept.append((part, update))

    def all(self, ridge: Vector) -> Vector:
        """What the step that measures moves by, of what the ridge pulls."""
        return plus(ridge, *(update for _, update in self.kept))

    def of(self, t: int, update: Vector) -> Vector:
        if t not in self.corrected:
            return update
        (own,) = (kept for rows, kept in self.kept if rows == self.rows[t])
        for _, kept in self.kept:
            update = plus(update, less(kept, own))
        return update


def measure(
    sides: dict[str, Side],
    kept: dict[str, Corrected],
    spans: list[tuple[int, list[int], dict[str, Vector]]],
    bits: int,
    sizes: dict[str, Any],
) -> None:
    """A step that measures parts, of one span each: what is sent goes one span ahead of what is computed of it."""
    other, states, u, r = {GRID: BANK, BANK: GRID}, dict[int, dict[str, Any]](), dict[int, Any](), dict[int, Any]()

    def at(number: int, part: list[int]) -> None:
        for p, side in sides.items():
            side.over(*part, number)
            vars(side).update(states.get(number, {}).get(p, {}))

    def left(number: int) -> None:
        states[number] = {
            p: {"masked": side.masked, "r": getattr(side, "r", None), "h": getattr(side, "h", None)}
            for p, side in sides.items()
        }

    for turn in range(len(spans) + 2):
        if turn < len(spans):
            number, part, _ = spans[turn]
            at(number, part)
            u[turn] = {p: side.u(bits, known=True) for p, side in sides.items()}
            left(number)
        if 0 < turn <= len(spans):
            number, part, link = spans[turn - 1]
            at(number, part)
            r[turn - 1] = {p: side.residual(u[turn - 1][other[p]], link[p], sizes) for p, side in sides.items()}
            left(number)
        if turn > 1:
            number, part, _ = spans[turn - 2]
            at(number, part)
            for p, side in sides.items():
                kept[p].keep(part, side.pulled(r[turn - 2][other[p]], ridge=False))


def one_by_one(dealt: list[T]) -> list[T]:
    """Section 6: what D deals, with the table of the first step's one span behind the joint matrix's nine arrays."""
    return [dealt[0], *dealt[2:10], dealt[1], *dealt[10:]]


def beside(sent: list[T]) -> list[T]:
    """Section 6: the first step's weights, u and residual within the rounds of the joint matrix, of two messages and three."""
    matrices, joint, (weights, u, residual), after = sent[:2], sent[2:12], sent[12:15], sent[15:]
    return [*matrices, joint[0], weights, u, joint[1], residual, *joint[2:], *after]
