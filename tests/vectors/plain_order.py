"""PROTOCOL.md section 14 in Python's own integers: leaves put in order, by the dealer and both parties; see `plain`."""

from __future__ import annotations

from collections.abc import Iterator

from tests.vectors.plain import BANK, GRID, Matrix, Vector, stream, words

ORDER_MASK, ORDER_BITS, ORDER_DEALT = range(82, 85)
SHORT = 1 << 16
Open = Iterator[tuple[str, bytes]]


def pairs(depth: int, level: int) -> list[tuple[int, int]]:
    """Leaves that differ in this level only, the left one first."""
    bit = 1 << (depth - 1 - level)
    return [(leaf, leaf + bit) for leaf in range(1 << depth) if not leaf & bit]


class Level:
    """What both seeds give for a level of a tree, whose number is 16 t + level."""

    def __init__(self, seeds: dict[str, bytes], number: int, count: int) -> None:
        self.count = count
        self.values = {p: words(seed, ORDER_MASK, number, count, 2) for p, seed in seeds.items()}
        self.bits = {p: [byte & 7 for byte in stream(seed, ORDER_BITS, number, count)] for p, seed in seeds.items()}
        self.expanded = {p: stream(seed, ORDER_DEALT, number, 152 * count) for p, seed in seeds.items()}

    def dealt(self, expands: str) -> bytes:
        """Of the party that does not expand its share: three tables of 32 bytes a pair, 28 words of 16 bits a pair."""
        r = [sum(both) % SHORT for both in zip(*self.values.values(), strict=True)]
        lacks = [2**15 - 1 - word % 2**15 for word in r]
        masks = [g ^ b for g, b in zip(*self.bits.values(), strict=True)]
        tables = b""
        for shift, less in ((8, True), (8, False), (0, True)):
            for lack in lacks:
                digit = lack >> shift & 255
                bits = sum(1 << x for x in range(256) if (digit < x if less else digit == x))
                tables += bits.to_bytes(32, "little")
        share = self.expanded[expands]
        hidden = bytes(a ^ b for a, b in zip(tables, share, strict=False))
        factors: list[Vector] = [[1, word >> 1, word & 1, word >> 15] for word in r]
        products = [
            factor[f] * monomials(word >> 15, mask)[m]
            for f in range(4) for m in range(7) for factor, word, mask in zip(factors, r, masks, strict=True)
        ]  # fmt: skip
        known = read(share[96 * self.count :])
        return hidden + b"".join(((a - b) % SHORT).to_bytes(2, "little") for a, b in zip(products, known, strict=True))


def monomials(top: int, mask: int) -> Vector:
    m1, m2, m3 = mask & 1, mask >> 1 & 1, mask >> 2 & 1
    return [1, top, *((1 - 2 * top) * m for m in (1, m1, m2, m3, m2 * m3))]


def read(data: bytes) -> Vector:
    return [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]


class Ordering:
    """Both parties, a level at a time. leaves: by party its shares, which are changed; shares: of what is dealt."""

    def __init__(self, level: Level, shares: dict[str, bytes], leaves: dict[str, Vector], apart: list[tuple[int, int]]) -> None:
        self.level, self.shares, self.leaves, self.apart = level, shares, leaves, apart
        self.c: Vector = []
        self.told: Vector = []

    def first(self, p: str) -> bytes:
        """How far what should be below is above, plus one, masked."""
        out = self.leaves[p]
        shown = [
            (out[below] - out[above] + (p == BANK) - mask) % SHORT
            for (below, above), mask in zip(self.apart, self.level.values[p], strict=True)
        ]
        self.c = [(a + b) % SHORT for a, b in zip(self.c, shown, strict=True)] if self.c else shown
        return b"".join(value.to_bytes(2, "little") for value in shown)

    def second(self, p: str) -> list[Vector]:
        """Three bits of each pair, masked; once both have sent the first."""
        found = []
        for at, (c, mask) in enumerate(zip(self.c, self.level.bits[p], strict=True)):
            value = 0
            for bit, digit in enumerate((c >> 8 & 127, c >> 8 & 127, c & 255)):
                row = self.shares[p][32 * (bit * self.level.count + at) :][:32]
                value |= (row[digit >> 3] >> (digit & 7) & 1) << bit
            found.append(value ^ mask)
        self.told = [a ^ b for a, b in zip(self.told, found, strict=True)] if self.told else found
        return [[value >> bit & 1 for value in found] for bit in range(3)]

    def move(self) -> None:
        """Half of what is above zero goes over; once both have sent the second."""
        for p in (GRID, BANK):
            products: Matrix = []
            flat = read(self.shares[p][96 * self.level.count :])
            for at in range(self.level.count):
                products.append(flat[at :: self.level.count])
            for (below, above), c, told, known in zip(self.apart, self.c, self.told, products, strict=True):
                o1, o2, o3 = told & 1, told >> 1 & 1, told >> 2 & 1
                s1, s2, s3 = 1 - 2 * o1, 1 - 2 * o2, 1 - 2 * o3
                carry = (o1 + o2 * o3, s1, s2 * o3, o2 * s3, s2 * s3)
                top = c >> 15

                def kept(f: int, known: Vector = known, carry: tuple[int, ...] = carry, top: int = top) -> int:
                    whole, topped, *rest = known[7 * f : 7 * f + 7]
                    return (1 - top) * whole - (1 - 2 * top) * (topped + sum(a * b for a, b in zip(carry, rest, strict=True)))

                half = (c >> 1) - top * 2**15
                moved = half * kept(0) + kept(1) + (c & 1) * kept(2) - (1 - top) * 2**15 * kept(3)
                self.leaves[p][below] = (self.leaves[p][below] - moved) % SHORT
                self.leaves[p][above] = (self.leaves[p][above] + moved) % SHORT
