"""PROTOCOL.md section 14 in Python's own integers: one tree, by the dealer and both parties; see `plain`."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator
from typing import Any

from tests.vectors.plain import BANK, GRID, Matrix, Vector, elements, stream, words
from tests.vectors.plain_order import Level

(LARGEST_MASK, LARGEST_TABLES, LARGEST_BITS, LARGEST_PRODUCTS, LARGEST_SHARE, LARGEST_FACTOR) = range(60, 66)
(MATRIX, ANGLE, LINK, NODES, SUMS, MOMENTS, BRANCH, MOVE, LEAVES, LEAF_MOMENTS, CHOICE, PADS) = range(70, 82)
NARROW, WIDE, PRIME, LIFT, TERMS = 1 << 22, 1 << 64, (1 << 31) - 1, 1 << 20, 5
OTHER = {GRID: BANK, BANK: GRID}
By = dict[str, Any]


def packed(values: Vector) -> bytes:
    """Words of 22 bits: the low 16 of each, then the upper 6, four in three bytes."""
    four = itertools.zip_longest(*[iter(value >> 16 for value in values)] * 4, fillvalue=0)
    upper = (sum(high << 6 * at for at, high in enumerate(part)).to_bytes(3, "little") for part in four)
    return b"".join((value & 0xFFFF).to_bytes(2, "little") for value in values) + b"".join(upper)


def narrow(seed: bytes, purpose: int, counter: int, count: int) -> Vector:
    return [word % NARROW for word in words(seed, purpose, counter, count, 4)]


def candidates(seed: int, tree: int, counts: By, looked_at: int) -> By:
    """The thresholds of each party that this tree looks at."""
    total = counts[GRID] + counts[BANK]
    made = hashlib.shake_128(f"wattscore.trees.1/{seed}/{tree}/{total}".encode()).digest(8 * total)
    order = sorted(range(total), key=lambda k: (int.from_bytes(made[8 * k : 8 * k + 8], "little"), k))
    drawn = sorted(order[:looked_at])
    return {GRID: [k for k in drawn if k < counts[GRID]], BANK: [k - counts[GRID] for k in drawn if k >= counts[GRID]]}


def waves(angle: int, terms: int) -> list[float]:
    turns = [2 * math.pi * ((k * angle) % NARROW) / NARROW for k in range(1, terms + 1)]
    return [1.0, *(f(turn) for turn in turns for f in (math.cos, math.sin))]


def factors(angle: int, coefficients: list[float], scale: float) -> Vector:
    """What each wave of b is multiplied by, for the series at angle + b."""
    out, known = [coefficients[0] * scale], waves(angle, len(coefficients) // 2)
    for k in range(1, len(coefficients), 2):
        even, odd, cos, sin = coefficients[k], coefficients[k + 1], known[k], known[k + 1]
        out += [(even * cos + odd * sin) * scale, (odd * cos - even * sin) * scale]
    return [round(value) for value in out]


def moments(a: int, b: int, terms: int, scale: int, squares: bool) -> Vector:
    top = a >> 21
    parts = [1, a, a * a, top, a * top] if squares else [1, a, top]
    return [part * round(wave * 2**scale) % WIDE for part in parts for wave in waves(b, terms)]


def children(left: list[Any], parents: list[Any]) -> list[Any]:
    """Left and right of each parent; an entry is a vector or a vector of these."""
    return [child for pair in zip(left, parents, strict=True) for child in (pair[0], less(pair[1], pair[0]))]


def less(one: Any, two: Any) -> Any:
    if isinstance(one, int):
        return (one - two) % NARROW
    return [less(a, b) for a, b in zip(one, two, strict=True)]


def plus(one: Any, two: Any) -> Any:
    if isinstance(one, int):
        return (one + two) % NARROW
    return [plus(a, b) for a, b in zip(one, two, strict=True)]


def cut(values: Vector, *shape: int) -> Any:
    """A flat vector as nested ones of these sizes."""
    if len(shape) == 1:
        return values
    size = len(values) // shape[0]
    return [cut(values[at * size : (at + 1) * size], *shape[1:]) for at in range(shape[0])]


def flat(values: Any) -> Vector:
    return [values] if isinstance(values, int) else [entry for part in values for entry in flat(part)]


def dot(cells: Matrix, vector: Vector) -> Vector:
    return [sum(m * x for m, x in zip(row, vector, strict=True)) % NARROW for row in cells]


def histograms(cells: Matrix, nodes: list[Matrix]) -> list[Matrix]:
    """Of each node (2, thresholds)."""
    return [[dot(cells, part) for part in node] for node in nodes]


class Tree:
    """Public sizes, and expansions of both seeds. number of a level: 16 t + level."""

    def __init__(self, case: By, seeds: dict[str, bytes], counts: By) -> None:
        forest = case["forest"]
        self.seeds, self.case, self.rows, self.depth = seeds, case, forest["rows"], forest["shape"]["depth"]
        self.drawn = candidates(forest["seed"], 0, counts, forest["candidates"])
        self.count, self.leaves = forest["candidates"], 1 << self.depth
        self.g_bits = 22 - max(2, (self.rows - 1).bit_length())

    def nodes(self, party: str, level: int) -> list[Matrix]:
        lefts = 1 << max(0, level - 1)
        found: list[Matrix] = cut(narrow(self.seeds[party], NODES, level, lefts * 2 * self.rows), lefts, 2, self.rows)
        return found

    def sums(self, party: str, level: int) -> tuple[list[Matrix], Matrix]:
        v, c = 1 << level, self.count
        made = narrow(self.seeds[party], SUMS, level, 2 * v * (c + 1))
        return cut(made[: 2 * v * c], v, 2, c), cut(made[2 * v * c :], v, 2)

    def order(self, level: int) -> Level:
        return Level(self.seeds, level, self.leaves // 2)

    def to(self, level: int) -> str:
        """Who is dealt what either could be."""
        return GRID if level % 2 == 0 else BANK

    def pairs(self) -> list[tuple[int, int]]:
        return list(itertools.combinations(range(self.count), 2))

    # what is expanded of that which is dealt to the other

    def expanded(self, party: str, level: int, terms: int) -> Vector:
        return words(self.seeds[party], MOMENTS, level, 2 * 2**level * self.count * 5 * (2 * terms + 1))

    def largest(self, party: str, number: int) -> tuple[bytes, Vector, Vector]:
        seed, pairs = self.seeds[party], len(self.pairs())
        products = elements(seed, LARGEST_PRODUCTS, number, 24 * pairs, PRIME)
        share = elements(seed, LARGEST_SHARE, number, self.count, PRIME)
        return stream(seed, LARGEST_TABLES, number, 160 * pairs), products, share

    # the dealer

    def dealt(self) -> Iterator[tuple[str, bytes]]:
        """To whom, and the bytes, in the order of its use."""
        angle = self.angles()
        for p, f in ((GRID, math.cos), (BANK, math.sin)):
            known = [round(f(2 * math.pi * k * a / 2**16) * 2**9) for a in angle for k in range(1, TERMS + 1)]
            yield p, half([k - s for k, s in zip(known, words(self.seeds[OTHER[p]], LINK, 0, len(known), 4), strict=True)])
        cells = {p: [narrow(self.seeds[p], MATRIX, k, self.rows) for k in self.drawn[p]] for p in OTHER}
        left = {p: self.nodes(p, 0) for p in OTHER}
        nodes, lacks = left, list[Matrix]()
        for level in range(self.depth):
            parts = [histograms(cells[p], left[OTHER[p]]) for p in (GRID, BANK)]
            found = [[g + b for g, b in zip(*both, strict=True)] for both in zip(*parts, strict=True)]
            lacks = found if level == 0 else children(found, lacks)
            to = self.to(level)
            yield to, self.dealt_moments(level, lacks, OTHER[to])
            yield to, self.dealt_largest(level, OTHER[to])
            for p in (GRID, BANK):
                branch, hidden = narrow(self.seeds[p], BRANCH, level, self.rows), nodes[OTHER[p]]
                moved = [[[b * m for b, m in zip(branch, part, strict=True)] for part in node] for node in hidden]
                if level == self.depth - 1:
                    moved = [[[sum(part)] for part in node] for node in moved]
                values = flat(moved)
                pad = narrow(self.seeds[OTHER[p]], MOVE, level, len(values))
                yield p, packed([(value - s) % NARROW for value, s in zip(values, pad, strict=True)])
            if level < self.depth - 1:
                left = {p: self.nodes(p, level + 1) for p in OTHER}
                nodes = {p: children(left[p], nodes[p]) for p in OTHER}
        to = self.to(self.depth)
        yield to, self.dealt_leaves(OTHER[to])
        if "directions" in self.case:
            yield to, b"".join(self.order(level).dealt(OTHER[to]) for level in range(self.depth))
        for p in (GRID, BANK):
            rho, pads = self.choice(p), self.pads(OTHER[p])
            yield p, short([pads[rho[i]][i] for i in range(self.rows)])

    def angles(self) -> Vector:
        return [sum(both) % 2**16 for both in zip(*(self.angle(p) for p in OTHER), strict=True)]

    def angle(self, party: str) -> Vector:
        return words(self.seeds[party], ANGLE, 0, self.rows, 2)

    def choice(self, party: str) -> Vector:
        return [byte % self.leaves for byte in stream(self.seeds[party], CHOICE, 0, self.rows)]

    def pads(self, party: str) -> Matrix:
        found: Matrix = cut(words(self.seeds[party], PADS, 0, self.leaves * self.rows, 2), self.leaves, self.rows)
        return found

    def dealt_moments(self, level: int, lacks: list[Matrix], expands: str) -> bytes:
        masks = [self.sums(p, level) for p in OTHER]
        left = plus(plus(lacks, masks[0][0]), masks[1][0])
        total = plus(masks[0][1], masks[1][1])
        known = [
            value
            for side in sides(left, total)
            for node in side
            for a, b in zip(*node, strict=True)
            for value in moments(a, b, 5, 12, squares=True)
        ]
        return wide([k - s for k, s in zip(known, self.expanded(expands, level, 5), strict=True)])

    def dealt_largest(self, number: int, expands: str) -> bytes:
        masks = {p: words(self.seeds[p], LARGEST_MASK, number, self.count, 4) for p in OTHER}
        hidden = [(g + b) % 2**25 for g, b in zip(masks[GRID], masks[BANK], strict=True)]
        drawn = [elements(self.seeds[p], LARGEST_FACTOR, number, self.count, PRIME - 1) for p in OTHER]
        rho = [(g + 1) * (b + 1) % PRIME for g, b in zip(*drawn, strict=True)]
        bits = [stream(self.seeds[p], LARGEST_BITS, number, len(self.pairs())) for p in OTHER]
        planes: list[list[bytes]] = [[] for _ in range(5)]
        products: list[Matrix] = [[], []]
        for at, pair in enumerate(self.pairs()):
            r = (hidden[pair[0]] - hidden[pair[1]]) % 2**25
            top, lack = r >> 24, 2**24 - 1 - r % 2**24
            for plane, (shift, same) in zip(planes, ((16, 0), (16, 1), (8, 0), (8, 1), (0, 0)), strict=True):
                digit = lack >> shift & 255
                plane.append(sum((x == digit if same else digit < x) << x for x in range(256)).to_bytes(32, "little"))
            m1, m2, m3, m4, m5 = ((bits[0][at] ^ bits[1][at]) >> i & 1 for i in range(5))
            terms = [1, m1, m2, m3, m2 * m3, m4, m5, m2 * m4, m2 * m5, m4 * m5, m2 * m4 * m5]
            for side, member in enumerate(pair):
                products[side].append([rho[member] * top, *(rho[member] * (1 - 2 * top) * term for term in terms)])
        turned = [value for side in products for row in zip(*side, strict=True) for value in row]
        tables, own_products, share = self.largest(expands, number)
        known = b"".join(part for plane in planes for part in plane)
        hidden_tables = bytes(x ^ y for x, y in zip(known, tables, strict=True))
        in_field = [(x - y) % PRIME for x, y in zip(turned + rho, own_products + share, strict=True)]
        return hidden_tables + half(in_field)

    def dealt_leaves(self, expands: str) -> bytes:
        masks = [cut(narrow(self.seeds[p], LEAVES, 0, 2 * self.leaves), self.leaves, 2) for p in OTHER]
        known = [value for a, b in plus(*masks) for value in moments(a, b, 48, 26, squares=False)]
        return wide([k - s for k, s in zip(known, words(self.seeds[expands], LEAF_MOMENTS, 0, len(known)), strict=True)])


def sides(left: list[Matrix], total: Matrix) -> list[list[Matrix]]:
    """The left sides, (v, 2, C), and the right ones."""
    right = [
        [[(t - x) % NARROW for x in part] for part, t in zip(*node, strict=True)] for node in zip(left, total, strict=True)
    ]
    return [left, right]


def half(values: Vector) -> bytes:
    return b"".join((value % 2**32).to_bytes(4, "little") for value in values)


def short(values: Vector) -> bytes:
    return b"".join((value % 2**16).to_bytes(2, "little") for value in values)


def wide(values: Vector) -> bytes:
    return b"".join((value % WIDE).to_bytes(8, "little") for value in values)


def read(data: bytes, size: int) -> Vector:
    return [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]
