"""PROTOCOL.md section 14 in Python's own integers: what both parties send while one tree is grown; see `plain`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tests.vectors import plain_trees as plain
from tests.vectors.plain import BANK, GRID, Matrix, Vector, stream, words
from tests.vectors.plain_order import Ordering, pairs
from tests.vectors.plain_trees import (
    LIFT,
    NARROW,
    OTHER,
    PRIME,
    TERMS,
    WIDE,
    By,
    Tree,
    children,
    cut,
    flat,
    less,
    narrow,
    packed,
)

U_SCALE, TABLE, GAIN_CUT = 11, 9, 36


def signed(value: int, bits: int = 22) -> int:
    return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def unpacked(data: bytes, count: int) -> Vector:
    low, upper = plain.read(data[: 2 * count], 2), plain.read(data[2 * count :], 3)
    return [value | (upper[at // 4] >> 6 * (at % 4) & 63) << 16 for at, value in enumerate(low)]


class Growing:
    """Both parties, step by step. dealt: by party what it is dealt, in order. sent: kind and bytes of each message."""

    def __init__(self, case: By, seeds: dict[str, bytes], tree: Tree, below: By, label: Vector, dealt: By) -> None:
        self.case, self.seeds, self.tree, self.below, self.label, self.dealt = case, seeds, tree, below, label, dealt
        self.sent: dict[str, list[tuple[str, bytes]]] = {GRID: [], BANK: []}
        self.splits: dict[str, Vector] = {GRID: [], BANK: []}
        self.leaves: dict[str, Vector] = {}
        self.seen: By = {}
        self.mine: By = {}
        self.left: By = {}
        self.paths: By = {}
        self.delta: By = {}
        self.sums: By = {}
        self.totals: By = {}

    def say(self, party: str, kind: str, data: bytes) -> bytes:
        self.sent[party].append((kind, data))
        return data

    def open(self, kind: str, shares: By, before: By | None = None) -> Vector:
        """What both tell of shares modulo 2^22, each less its owner's mask already, after what stands `before` them."""
        for p in OTHER:
            self.say(p, kind, b"".join([*(before[p] if before else []), packed(flat(shares[p]))]))
        return [(g + b) % NARROW for g, b in zip(flat(shares[GRID]), flat(shares[BANK]), strict=True)]

    def grow(self) -> None:
        for p in OTHER:
            rows = [packed(self.hidden(p, k)) for k in range(len(self.below[p]))]
            self.say(p, "masked_thresholds", b"".join(rows))
        share = self.gradients()
        self.mask({p: [share[p]] for p in OTHER}, 0)
        for level in range(self.tree.depth):
            self.add_up(level)
            best = self.best(level, self.gains(level))
            self.move(level, best)
        self.make_leaves()
        if "directions" in self.case:
            self.put_in_order()
        self.choose()

    def hidden(self, p: str, k: int) -> Vector:
        """What p tells of one of its thresholds."""
        found: Vector = less(self.below[p][k], narrow(self.seeds[p], plain.MATRIX, k, self.tree.rows))
        return found

    def gradients(self) -> By:
        """Shares of (g, h), (2, rows)."""
        case, rows, g_bits = self.case, self.tree.rows, self.tree.g_bits
        mine = {p: [(case["start"][p] - a) % 2**16 for a in self.tree.angle(p)] for p in OTHER}
        for p in OTHER:
            self.say(p, "masked_u", plain.short(mine[p]))
        c = [(g + b) % 2**16 for g, b in zip(mine[GRID], mine[BANK], strict=True)]
        out: By = {}
        scale = 2.0 ** (g_bits + 10 - TABLE)
        for p in OTHER:
            dealt = cut(plain.read(next(self.dealt[p])[: 4 * rows * TERMS], 4), rows, TERMS)
            own = cut(words(self.seeds[p], plain.LINK, 0, rows * TERMS, 4), rows, TERMS)
            found: Matrix = [[], []]
            for i in range(rows):
                g = h = 0
                for at, (k, b) in enumerate(enumerate(case["link"], 1)):
                    turn, slope = 2 * math.pi * k * c[i] / 2**16, 2 * math.pi / 32 * k * b
                    by_cos = round(b * math.sin(turn) * scale), round(slope * math.cos(turn) * 2 * scale)
                    by_sin = round(b * math.cos(turn) * scale), round(-slope * math.sin(turn) * 2 * scale)
                    for share, (to_g, to_h) in zip(
                        (dealt[i][at], own[i][at]), (by_cos, by_sin) if p == GRID else (by_sin, by_cos), strict=True
                    ):
                        g, h = g + share * to_g, h + share * to_h
                if p == BANK:
                    g += (1 << g_bits + 10) // 2 * (1 - 2 * self.label[i])
                for total, value in zip(found, (g, h), strict=True):
                    rounded = (value % 2**32 >> 10) + (p == BANK)
                    total.append(rounded % NARROW if i < case["real"] else 0)
            out[p] = found
        return out

    def mask(self, left: By, level: int) -> None:
        """Both tell their shares of the left children less new masks; right ones are what is missing."""
        hidden = {p: self.tree.nodes(p, level) for p in OTHER}
        for p in OTHER:
            self.say(p, "masked_nodes", packed(flat(less(left[p], hidden[p]))))
        seen = {p: plain.plus(left[p], less(left[OTHER[p]], hidden[OTHER[p]])) for p in OTHER}
        for p in OTHER:
            self.seen[p] = children(seen[p], self.seen[p]) if level else seen[p]
            self.mine[p] = children(hidden[p], self.mine[p]) if level else hidden[p]
            self.left[p] = seen[p], hidden[p]

    def add_up(self, level: int) -> None:
        tree = self.tree
        for p in OTHER:
            o = OTHER[p]
            own = [self.below[p][k] for k in tree.drawn[p]]
            theirs = [self.hidden(o, k) for k in tree.drawn[o]]
            parts = {p: plain.histograms(own, self.left[p][0]), o: plain.histograms(theirs, self.left[p][1])}
            left = [[g + b for g, b in zip(*both, strict=True)] for both in zip(parts[GRID], parts[BANK], strict=True)]
            self.sums[p] = children(left, self.sums[p]) if level else left
            side = self.seen[p] if p == GRID else self.mine[p]
            self.totals[p] = [[sum(part) % NARROW for part in node] for node in side]

    def lifted(self, p: str, values: list[Any]) -> list[Any]:
        """The bank adds 2^20 to sums of g, the first of each node's."""
        if p == GRID:
            return values
        return [[plain.plus(g, LIFT) if isinstance(g, int) else [(x + LIFT) % NARROW for x in g], h] for g, h in values]

    def gains(self, level: int) -> By:
        """Shares of each candidate's gain modulo 2^64."""
        tree, v = self.tree, 1 << level
        shares = {}
        for p in OTHER:
            masks = tree.sums(p, level)
            shares[p] = [self.lifted(p, less(self.sums[p], masks[0])), self.lifted(p, less(self.totals[p], masks[1]))]
        opened = self.open("masked_sums", shares)
        at = v * 2 * tree.count
        both = plain.sides(cut(opened[:at], v, 2, tree.count), cut(opened[at:], v, 2))
        out: By = {}
        for p in OTHER:
            known = plain.read(next(self.dealt[p]), 8) if tree.to(level) == p else tree.expanded(p, level, 5)
            moments, total = iter(cut(known, 2 * v * tree.count, 5, 11)), [0] * tree.count
            for side, nodes in enumerate(both):
                for node in nodes:
                    for k, (g, h) in enumerate(zip(*node, strict=True)):
                        total[k] += self.gain((g + LIFT * side) % NARROW, h, next(moments))
            out[p] = [value % WIDE for value in total]
        return out

    def gain(self, g: int, h: int, shares: Matrix) -> int:
        base, back = lifted(g)
        weights = [base * base, 2 * base, 1, 2 * base * back + back * back, 2 * back]
        told = plain.factors(h, self.case["gain"], 2.0**10)
        return sum(w * f * x for w, row in zip(weights, shares, strict=True) for f, x in zip(told, row, strict=True))

    def best(self, level: int, gains: By) -> tuple[str, int]:
        """The owner of the level, and its threshold."""
        tree, grids = self.tree, len(self.tree.drawn[GRID])
        masks = {p: words(self.seeds[p], plain.LARGEST_MASK, level, tree.count, 4) for p in OTHER}
        mine = {p: [((s >> GAIN_CUT) - r) % 2**25 for s, r in zip(gains[p], masks[p], strict=True)] for p in OTHER}
        for p in OTHER:
            self.say(p, "masked_compared", plain.half(mine[p]))
        c = [(g + b) % 2**25 for g, b in zip(mine[GRID], mine[BANK], strict=True)]
        pairs = [(pair, (c[pair[0]] - c[pair[1]]) % 2**25) for pair in tree.pairs()]
        shares = {p: self.dealt_largest(p, level, len(pairs)) for p in OTHER}
        bits = {p: self.carries(p, level, shares[p][0], [d for _, d in pairs]) for p in OTHER}
        for p in OTHER:
            self.say(p, "masked_carries", b"".join(bytes_of([b >> i & 1 for b in bits[p]]) for i in range(5)))
        told = [g ^ b for g, b in zip(bits[GRID], bits[BANK], strict=True)]
        losses = {p: self.losses(shares[p], told, pairs) for p in OTHER}
        for p in OTHER:
            self.say(p, "split_tests", plain.half(losses[p][grids:] if p == GRID else losses[p][:grids]))
        won = [k for k, (g, b) in enumerate(zip(losses[GRID], losses[BANK], strict=True)) if (g + b) % PRIME == 0]
        assert len(won) == 1
        owner = GRID if won[0] < grids else BANK
        return owner, tree.drawn[owner][won[0] - (0 if owner == GRID else grids)]

    def dealt_largest(self, p: str, level: int, count: int) -> tuple[bytes, Vector, Vector]:
        if self.tree.to(level) != p:
            return self.tree.largest(p, level)
        data = next(self.dealt[p])
        field = plain.read(data[160 * count : (160 + 96) * count + 4 * self.tree.count], 4)
        return data[: 160 * count], field[: 24 * count], field[24 * count :]

    def carries(self, p: str, level: int, tables: bytes, differences: Vector) -> Vector:
        own, out = stream(self.seeds[p], plain.LARGEST_BITS, level, len(differences)), []
        for at, d in enumerate(differences):
            found = own[at] & 31
            for bit, shift in enumerate((16, 16, 8, 8, 0)):
                digit = d >> shift & 255
                start = 32 * (bit * len(differences) + at)
                found ^= (tables[start + digit // 8] >> digit % 8 & 1) << bit
            out.append(found)
        return out

    def losses(self, shares: tuple[bytes, Vector, Vector], told: Vector, pairs: list[tuple[tuple[int, int], int]]) -> Vector:
        _, products, rho = shares
        by_side, total = cut(products, 2, 12, len(pairs)), [0] * self.tree.count
        for at, (pair, d) in enumerate(pairs):
            o1, o2, o3, o4, o5 = (told[at] >> i & 1 for i in range(5))
            s1, s2, s3, s4, s5 = (1 - 2 * (told[at] >> i & 1) for i in range(5))
            public = [
                o1 + o2 * o3 + o2 * o4 * o5, s1, s2 * o3 + s2 * o4 * o5, o2 * s3, s2 * s3, o2 * s4 * o5, o2 * o4 * s5,
                s2 * s4 * o5, s2 * o4 * s5, o2 * s4 * s5, s2 * s4 * s5,
            ]  # fmt: skip
            top = d >> 24
            for side, member in enumerate(pair):
                first, *terms = (row[at] for row in by_side[side])
                inner = first + sum(x * y for x, y in zip(public, terms, strict=True))
                less_than = top * rho[member] + (1 - 2 * top) * inner
                total[member] += less_than if side == 0 else rho[member] - less_than
        return [value % PRIME for value in total]

    def move(self, level: int, best: tuple[str, int]) -> None:
        owner, k = best
        tree, last, other = self.tree, level == self.tree.depth - 1, OTHER[best[0]]
        beta = self.below[owner][k]
        told = less(beta, narrow(self.seeds[owner], plain.BRANCH, level, tree.rows))
        self.say(owner, "masked_branch", packed(told))
        if owner == GRID:
            self.say(BANK, "masked_branch", b"")
        self.splits[owner].append(k)
        self.splits[other].append(-1)
        moved: By = {}
        for p, branch, vectors in ((owner, beta, self.seen[owner]), (other, told, self.mine[other])):
            found = [[[b * x for b, x in zip(branch, part, strict=True)] for part in node] for node in vectors]
            moved[p] = [[[sum(part)] for part in node] for node in found] if last else found
        count = len(flat(moved[owner]))
        dealt = {p: unpacked(next(self.dealt[p])[: 2 * count + 3 * -(-count // 4)], count) for p in OTHER}
        pads = {owner: dealt[owner], other: narrow(self.seeds[other], plain.MOVE, level, count)}
        shape = (1 << level, 2) if last else (1 << level, 2, tree.rows)
        share = {p: cut([(x + y) % NARROW for x, y in zip(flat(moved[p]), pads[p], strict=True)], *shape) for p in (GRID, BANK)}
        if last:
            self.totals = {p: children(share[p], self.totals[p]) for p in OTHER}
        else:
            self.mask(share, level + 1)

    def make_leaves(self) -> None:
        tree, forest = self.tree, self.case["forest"]
        self.paths = {p: [self.path(p, i) for i in range(tree.rows)] for p in OTHER}
        self.delta = {p: [path ^ rho for path, rho in zip(self.paths[p], tree.choice(p), strict=True)] for p in OTHER}
        planes = {p: [bytes_of([d >> bit & 1 for d in self.delta[p]]) for bit in range(tree.depth)] for p in OTHER}
        masks = {p: cut(narrow(self.seeds[p], plain.LEAVES, 0, 2 * tree.leaves), tree.leaves, 2) for p in OTHER}
        opened = cut(
            self.open("masked_choice", {p: self.lifted(p, less(self.totals[p], masks[p])) for p in OTHER}, planes),
            tree.leaves,
            2,
        )
        scale = -forest["rate"] / (forest["leaf_ridge"] * 2.0 ** (20 - tree.g_bits)) * 2.0 ** (U_SCALE - tree.g_bits)
        for p in OTHER:
            size = tree.leaves * 3 * 97
            dealt = tree.to(tree.depth) == p
            known = plain.read(next(self.dealt[p]), 8) if dealt else words(self.seeds[p], plain.LEAF_MOMENTS, 0, size)
            found = []
            for (g, h), moments in zip(opened, cut(known, tree.leaves, 3, 97), strict=True):
                base, back = lifted(g)
                told = plain.factors(h, self.case["leaf"], scale * 2.0**22)
                weighed = zip((base, 1, back), moments, strict=True)
                value = sum(w * f * x for w, row in weighed for f, x in zip(told, row, strict=True)) % WIDE
                found.append(((value >> 48) + (p == BANK)) % 2**16)
            self.leaves[p] = found

    def put_in_order(self) -> None:
        tree, to, declared = self.tree, self.tree.to(self.tree.depth), self.case["directions"]
        told = {p: [declared[p][k] if k >= 0 else 0 for k in self.splits[p]] for p in OTHER}
        for p in OTHER:
            self.say(p, "split_directions", bytes(told[p]))
        size = 152 * tree.leaves // 2
        dealt = next(self.dealt[to])
        for level in range(tree.depth):
            direction, made = told[GRID][level] + told[BANK][level], tree.order(level)
            shares = {to: dealt[level * size : (level + 1) * size], OTHER[to]: made.expanded[OTHER[to]]}
            apart = [pair[::-1] if direction == 2 else pair for pair in pairs(tree.depth, level)]
            leaves = self.leaves if direction else {p: list(self.leaves[p]) for p in OTHER}
            both = Ordering(made, shares, leaves, apart)
            for p in OTHER:
                self.say(p, "masked_order", both.first(p))
            for p in OTHER:
                self.say(p, "masked_order", b"".join(bytes_of(row) for row in both.second(p)))
            both.move()

    def choose(self) -> None:
        """Only what is sent: leaves under pads."""
        tree, delta, paths = self.tree, self.delta, self.paths
        for p in OTHER:
            theirs, pads, table = self.bits(OTHER[p]), tree.pads(p), self.leaves[p]
            lines = []
            for e in (e for e in range(1, tree.leaves) if e & ~theirs == 0):
                line = []
                for i, (own, d) in enumerate(zip(paths[p], delta[OTHER[p]], strict=True)):
                    point, known = d & theirs, d & ~theirs
                    share = table[own | point] + pads[known][i]
                    line.append(table[own | (e ^ point)] + pads[e | known][i] - share)
                lines.append(line)
            self.say(p, "masked_leaves", plain.short(flat(lines)))

    def bits(self, p: str) -> int:
        """The levels of this party, as bits of a path."""
        return sum(1 << (self.tree.depth - 1 - level) for level, split in enumerate(self.splits[p]) if split >= 0)

    def path(self, p: str, row: int) -> int:
        own = ((level, k) for level, k in enumerate(self.splits[p]) if k >= 0)
        return sum((1 - self.below[p][k][row]) << (self.tree.depth - 1 - level) for level, k in own)


def lifted(opened: int) -> tuple[int, int]:
    """G = base + a + back (upper bit of a), of c = G + 2^20 - a."""
    top = opened >> 21
    return opened - (top << 22) - LIFT, -(1 - top << 22)


def bytes_of(bits: Vector) -> bytes:
    """Bits as bytes, the first bit the highest of its byte."""
    parts: Iterator[Vector] = (bits[at : at + 8] for at in range(0, len(bits), 8))
    return bytes(sum(bit << (7 - at) for at, bit in enumerate(part)) for part in parts)
