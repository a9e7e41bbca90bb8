"""Section 6, descent on a shared Hessian, in plain Python: message by message."""

from __future__ import annotations

import itertools
from typing import Any

from tests.vectors.plain import (
    BANK,
    GRADIENT,
    GRID,
    MATRIX,
    RING,
    SETUP,
    Matrix,
    Pairs,
    Side,
    Vector,
    cut,
    joined,
    less,
    negative,
    operand_mask,
    plus,
    product,
    signed,
    stream,
    times,
    truncation_dealt,
    truncation_sent,
    turned,
)
from tests.vectors.plain_joint import Setup, cut_dealt, m_dealt, opening_masks

LAST, POINT = SETUP | 12, 1 << 42


def mask_of(seed: bytes, columns: int, n: int) -> Matrix:
    """Words of 5 bytes: the low 32 bits of each, then the upper 8 of each. A row a column."""
    data, count = stream(seed, MATRIX, 0, 5 * columns * n + 3), columns * n
    low = [int.from_bytes(data[4 * i : 4 * i + 4], "little") for i in range(count)]
    return cut([word + (data[4 * count + i] << 32) for i, word in enumerate(low)], n)


def said_as(words: Vector) -> Vector:
    low = b"".join((word % 2**32).to_bytes(4, "little") for word in words)
    return list(low) + [(word >> 32) % 2**8 for word in words]


def by_numbers(kept: float, size: float, n: int) -> tuple[int, int]:
    """The whole numbers by which sums become C, and step / 4n of them, both times 2^30."""
    return round(2 ** (24 + 30 - kept) / n), round(size / 4 * 2 ** (28 + 30 - kept) / n)


class Whole:
    """Both parties of such a training of fewer than 2^16 rows, and what they are dealt."""

    def __init__(self, seeds: dict[str, bytes], sides: dict[str, Side], label: Vector, case: dict[str, Any]) -> None:
        self.seeds, self.sides, self.case = seeds, sides, case
        self.n, self.g, self.b = len(label), len(sides[GRID].own), len(sides[BANK].own)
        extra = {GRID: [], BANK: [[4 * 2**10 * y - 2 * 2**10 for y in label]]}
        self.numbers = {p: turned([[signed(x) for x in row] for row in side.x]) + extra[p] for p, side in sides.items()}
        self.masks = {p: mask_of(seeds[p], len(rows), self.n) for p, rows in self.numbers.items()}
        self.every = self.g + self.b

    def dealt(self) -> list[dict[str, Vector]]:
        """All truncations, one after another."""
        seeds, g, b, every = self.seeds, self.g, self.b, self.every
        first = [(x << 24) % RING for x in joined(product(self.masks[GRID], turned(self.masks[BANK])))]
        c, gain, beside = opening_masks(seeds, SETUP | 2, g, b, every * every + every)
        h, gradient = cut(beside[:-every], every), beside[-every:]
        more, m = m_dealt(seeds, c, gain, 3)
        out = [
            truncation_dealt(seeds, SETUP, negative(first + first), 24),
            cut_dealt(seeds, SETUP | 1, [0] * (2 * g * (2 * b + 1)), 30),
            *more,
            truncation_dealt(seeds, LAST - 1, negative(joined(product(m, h))), 22),
        ]
        a = cut(operand_mask(seeds, LAST, every * every), every)
        for t in range(len(self.case["steps"])):
            lacks = less(times(a, operand_mask(seeds, POINT | t, every)), [x << 6 for x in times(m, gradient)])
            out.append(truncation_dealt(seeds, t, lacks, 32))
        end = len(self.case["steps"])
        lacks = times(h, operand_mask(seeds, POINT | end, every))
        return [*out, truncation_dealt(seeds, GRADIENT | end, negative(lacks), 20)]

    def run(self, dealt: list[dict[str, Vector]]) -> None:
        """Every message, in order, kept at its sender."""
        sides, g, b, every, n = self.sides, self.g, self.b, self.every, self.n
        e = {p: [[x % 2**40 for x in less(x, u)] for x, u in zip(self.numbers[p], self.masks[p], strict=True)] for p in sides}
        for p, side in sides.items():
            side.say("masked_matrix", said_as(joined(e[p])))
            side.ahead = ([w * 256 % RING for w in side.own], [0] * (every - len(side.own)))
            side.other = [0] * (every - len(side.own))
        setup = Setup(sides, dealt)
        pairs = {
            GRID: [(self.numbers[GRID], e[BANK]), (self.masks[GRID], e[BANK])],
            BANK: [(e[GRID], self.masks[BANK]), (e[GRID], self.numbers[BANK])],
        }
        sums = {p: [x << 24 for one, two in each for x in joined(product(one, turned(two)))] for p, each in pairs.items()}
        size = self.case["steps"][0][0]
        whole, part = by_numbers(20, size, n)
        lifted = {p: cut(share, b + 1) for p, share in setup.shortened(sums, 24).items()}
        both = {
            p: joined(
                [
                    [x * whole % RING for row in once for x in row[:b]] + [x * part % RING for x in joined(once)]
                    for once in (rows[:g], rows[g:])
                ]
            )
            for p, rows in lifted.items()
        }
        correlated, beside, exact = {}, {}, {}
        for p, shares in setup.shortened_wide(both, 30).items():
            share = shares[: g * (2 * b + 1)]
            across, own = cut([x % RING for x in share[g * b :]], b + 1), self.own(p, size)
            h = [[0] * every for _ in range(every)]
            for i, j in itertools.product(range(g), range(b)):
                h[i][g + j] = h[g + j][i] = across[i][j]
            first, count = (0, g) if p == GRID else (g, b)
            for i, j in itertools.product(range(count), range(count)):
                h[first + i][first + j] = own[i][j] + sides[p].ridge[i][j]
            gradient = [row[b] for row in across] + (own[b][:b] if p == BANK else [0] * b)
            correlated[p], beside[p], exact[p] = share[: g * b], joined(h) + gradient, gradient
        m, hidden = setup.m_from(correlated, self.case["gain"], beside)

        def piece(part: slice, width: int) -> Pairs:
            return {p: (cut(both[part], width), cut(mask[part], width)) for p, (both, mask) in hidden.items()}

        h_pair = piece(slice(-every), every)
        a = setup.opened(setup.shortened(setup.times_of(m, h_pair), 22), every)
        pulled = {p: [x << 6 for x in one] for p, one in setup.times_of(m, piece(slice(-every, None), 1)).items()}
        for t, (_, momentum) in enumerate(self.case["steps"]):
            z = {p: sides[p].joined(*sides[p].ahead) for p in sides}
            points = {p: sides[p].hide(POINT | t, z[p]) for p in sides}
            both_z = plus(*(sent for sent, _ in points.values()))
            for p, side in sides.items():
                pair = turned([both_z]), turned([points[p][1]])
                update = less(joined(side.multiplied(a[p], pair)), pulled[p])
                side.c = side.say("masked_update", truncation_sent(p, side.seed, t, less([x << 24 for x in z[p]], update)))
            c = {p: sides[p].c for p in sides}
            for p, side in sides.items():
                side.step(t, c[BANK if p == GRID else GRID], dealt[11 + t][p], momentum, 32)
        end = len(self.case["steps"])
        points = {p: side.hide(POINT | end, side.joined(side.own, side.other)) for p, side in sides.items()}
        both_w = plus(*(sent for sent, _ in points.values()))
        pulls = setup.times_of(h_pair, {p: (turned([both_w]), turned([mask])) for p, (_, mask) in points.items()})
        for p, side in sides.items():
            left = less(pulls[p], [x << 20 for x in exact[p]])
            side.say("masked_update", truncation_sent(p, side.seed, GRADIENT | end, left))

    def own(self, party: str, size: float) -> Matrix:
        """Own mean products times step / 4 at scale 28, of the label too."""
        rows = self.numbers[party]
        scale = size / 4 / self.n * 2.0 ** (28 - 20)
        return [[round(sum(x * y for x, y in zip(one, two, strict=True)) * scale) % RING for two in rows] for one in rows]
