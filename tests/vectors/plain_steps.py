"""What the dealer deals for the steps of section 6 and what corrects them, in plain Python."""

from __future__ import annotations

from tests.vectors.plain import (
    ANGLE,
    BANK,
    GRADIENT,
    GRID,
    LINK,
    MATRIX,
    RESIDUAL,
    RIDGE_MATRIX,
    WEIGHTS,
    Matrix,
    Vector,
    cut,
    joined,
    less,
    negative,
    operand_mask,
    plus,
    tables,
    times,
    truncation_dealt,
    turned,
    words,
)
from tests.vectors.plain_short import as_words, lifted, planes


def link_dealt(
    seeds: dict[str, bytes], t: int, rows: tuple[int, int], whole: int, columns: dict[str, int], period: int, scale: int
) -> tuple[dict[str, Vector], Vector]:
    """Of step t over these of all rows by the taylor link in 6 bytes, on masks alone: the tables, and delta."""
    n, other, bits = rows[1] - rows[0], {GRID: BANK, BANK: GRID}, 38 + period.bit_length() - 1
    v = {p: words(seeds[other[p]], WEIGHTS, t, m) for p, m in columns.items()}
    h = {p: lifted(words(seeds[other[p]], RESIDUAL, t << 24, n)) for p in columns}
    masks = {p: [row[slice(*rows)] for row in cut(words(seeds[p], MATRIX, 0, whole * m), whole)] for p, m in columns.items()}
    ridges = {p: cut(words(seeds[p], RIDGE_MATRIX, 0, m * m), m) for p, m in columns.items()}  # a row a column
    o = plus(*(times(turned(masks[p]), v[p]) for p in columns))
    angles = [words(seeds[p], ANGLE, t << 24, n, 4) for p in columns]
    a = [(((word % 2**bits) >> (bits - 32)) + sum(pair)) % 2**32 for word, *pair in zip(o, *angles, strict=True)]
    known = turned([tables("taylor", period, 0, angle, scale) for angle in a])
    tables_of = {p: less(known[i], words(seeds[other[p]], LINK, t << 24, n)) for i, p in enumerate((GRID, BANK))}
    delta = joined([plus(times(masks[p], h[p]), times(turned(ridges[p]), v[p])) for p in columns])
    return {p: as_words(planes(values)) for p, values in tables_of.items()}, delta


def truncations_dealt(seeds: dict[str, bytes], t: int, delta: Vector, mask_of_m: Matrix | None) -> list[dict[str, Vector]]:
    """Those that end step t, if it moves; mask_of_m: None without the joint matrix."""
    if mask_of_m is None:
        return [truncation_dealt(seeds, t, delta, 36)]
    lack = times(mask_of_m, operand_mask(seeds, GRADIENT | t, len(delta)))
    return [truncation_dealt(seeds, GRADIENT | t, negative(delta), 28), truncation_dealt(seeds, t, lack, 32)]


class Corrected:
    """Updates by which steps move, with all that were measured: shares of them at a party, delta at the dealer."""

    def __init__(self, rows: list[list[int]], measures: list[int], corrected: list[int]) -> None:
        self.rows, self.measures, self.corrected = rows, measures, corrected
        self.kept = list[tuple[list[int], Vector]]()

    def of(self, t: int, update: Vector) -> Vector:
        if t in self.measures:
            self.kept.append((self.rows[t], update))
        if t not in self.corrected:
            return update
        (own,) = (kept for rows, kept in self.kept if rows == self.rows[t])
        for _, kept in self.kept:
            update = plus(update, less(kept, own))
        return update
