"""What PROTOCOL.md says, once more in Python's own integers: a second reading for the files here, slow and plain.

Nothing of the code that it is held against is imported.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from tests.vectors.plain_short import dealt_words, from_planes, lifted, planes, point, turns

RING, HALF = 1 << 64, 1 << 62
MATRIX, RIDGE_MATRIX, WEIGHTS, ANGLE, LINK, RESIDUAL, TRUNCATION, TRUNCATION_BODY, TRUNCATION_TOP = range(1, 10)
OPERAND, CUT, DOUBLINGS, SETUP, GRADIENT, SUM, SUM_OUT = 13, 18, 6, 1 << 40, 1 << 41, 90, 91
GRID, BANK = "grid", "bank"
Vector = list[int]
Matrix = list[Vector]  # rows
Pairs = dict[str, tuple[Matrix, Matrix]]  # by party what is opened of a shared array, and its share of what hides it


def own_seed(dealt: bytes, nonce: bytes) -> bytes:
    """Section 2: of what is dealt and what the party sends."""
    return hashlib.blake2b(nonce, key=dealt, digest_size=32, person=b"wattscore.own").digest()


def fingerprint(seed: bytes) -> bytes:
    return hashlib.blake2b(b"", key=seed, digest_size=32, person=b"wattscore.seen").digest()


def stream(seed: bytes, purpose: int, counter: int, size: int) -> bytes:
    """Section 2."""
    label = purpose.to_bytes(4, "little") + counter.to_bytes(8, "little")
    key = hashlib.blake2b(label, key=seed, digest_size=16, person=b"wattscore.prg.1").digest()
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(size))


def words(seed: bytes, purpose: int, counter: int, count: int, size: int = 8) -> Vector:
    data = stream(seed, purpose, counter, size * count)
    return [int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size)]


def elements(seed: bytes, purpose: int, counter: int, count: int, below: int) -> Vector:
    """Section 13: the low 31 bits of `count` words, and of 64 spare ones, which replace those refused."""
    drawn = [word & 0x7FFFFFFF for word in words(seed, purpose, counter, count + 64, 4)]
    spare = iter([word for word in drawn[count:] if word < below])
    return [word if word < below else next(spare) for word in drawn[:count]]


def signed(word: int) -> int:
    return (word + HALF * 2) % RING - HALF * 2


def truncation_dealt(seeds: dict[str, bytes], number: int, delta: Vector, shift: int) -> dict[str, Vector]:
    """Section 4: what D deals, for words that enter summing to x + delta."""
    count = len(delta)
    mine = {party: words(seeds[party], TRUNCATION, number, count) for party in (GRID, BANK)}
    r = [(g + b + o) % RING for g, b, o in zip(mine[GRID], mine[BANK], delta, strict=True)]
    body = zip(r, words(seeds[GRID], TRUNCATION_BODY, number, count), strict=True)
    top = zip(r, words(seeds[BANK], TRUNCATION_TOP, number, count), strict=True)
    return {
        BANK: [((word % (HALF * 2)) // 2**shift - share) % RING for word, share in body],
        GRID: [(word // (HALF * 2) - share) % RING for word, share in top],
    }


def truncation_sent(party: str, seed: bytes, number: int, share: Vector) -> Vector:
    mask = words(seed, TRUNCATION, number, len(share))
    return [(s + m + (HALF if party == BANK else 0)) % RING for s, m in zip(share, mask, strict=True)]


def truncated(party: str, seed: bytes, number: int, dealt: Vector, c: Vector, shift: int) -> Vector:
    """Section 4: a share of floor(x / 2^shift) + e."""
    body = words(seed, TRUNCATION_BODY, number, len(c)) if party == GRID else dealt
    top = dealt if party == GRID else words(seed, TRUNCATION_TOP, number, len(c))
    out = []
    for opened, low, high in zip(c, body, top, strict=True):
        bit = opened // (HALF * 2)
        out.append(((public_of(opened, shift) if party == BANK else 0) - low + 2 ** (63 - shift) * high * (1 - 2 * bit)) % RING)
    return out


def placed(party: str, seed: bytes, number: int, dealt: Vector, c: Vector, shift: int, own: range) -> Vector:
    """Sections 4 and 6: the same, its public part with the party in whose block a value stands. own: where this one's are."""
    out = truncated(GRID, seed, number, dealt, c, shift) if party == GRID else []
    if party == BANK:
        mask = truncated(BANK, seed, number, dealt, c, shift)
        out = [(value - public_of(word, shift)) % RING for value, word in zip(mask, c, strict=True)]
    return [(value + (public_of(c[at], shift) if at in own else 0)) % RING for at, value in enumerate(out)]


def public_of(word: int, shift: int) -> int:
    bit = word // (HALF * 2)
    return (word % (HALF * 2)) // 2**shift + bit * 2 ** (63 - shift) - 2 ** (62 - shift)


def share_known(party: str, seed: bytes, number: int, dealt: Vector, shift: int) -> Vector:
    """Section 6: what D knows a party's share of a moved weight to be, modulo 2^(64 - shift), of the other's block."""
    count = len(dealt)
    body = words(seed, TRUNCATION_BODY, number, count) if party == GRID else dealt
    top = dealt if party == GRID else words(seed, TRUNCATION_TOP, number, count)
    return [(high * 2 ** (63 - shift) - low) % 2 ** (64 - shift) for low, high in zip(body, top, strict=True)]


def multiples(terms: int, odd: bool) -> Vector:
    """Section 5: the waves' numbers."""
    return [2 * place + 1 if odd else place + 1 for place in range(terms)]


def tables(link: str, period: int, terms: int, a: int, scale: int, odd: bool = False) -> Vector:
    """Section 5: the dealt functions of the angle a."""
    if link == "taylor":
        return [round(a * period / 2**32 * 2**scale), (a >> 31) * 2**scale]
    turns = [2 * math.pi * ((k * a) % 2**32) / 2**32 for k in multiples(terms, odd)]
    return [round(f(turn) * 2**scale) for turn in turns for f in (math.cos, math.sin)]


def factors(
    link: str,
    period: int,
    waves: list[float],
    c: int,
    step_over_n: float,
    scale: int,
    summed: int,
    dithered: bool = False,
    odd: bool = False,
    amplitude: float = 1.0,
) -> tuple[Vector, int]:
    """Section 5: the public factors at the opening c, and the public part at scale `summed`; dithered: sections 2 and 15;
    amplitude: section 2, of tables of few bits."""
    if link == "taylor":
        unit = max(1, round(step_over_n / 4 * 2**scale))
        moved = (c + 2**30) % 2**32
        u = moved * period / 2**32 - (moved >> 31) * period - period / 4
        return [unit, -unit * period * (1 - (moved >> 31))], round((0.5 + u / 4) * 4 * unit / 2**scale * 2**summed)
    turns = [2 * math.pi * ((k * c) % 2**32) / 2**32 for k in multiples(len(waves), odd)]
    out = []
    for b, turn in zip(waves, turns, strict=True):
        for value in (f(turn) * b / amplitude * step_over_n * 2**scale for f in (math.sin, math.cos)):
            low = c % 2**16 if amplitude == 1.0 else (c >> 16) * 40_503 % 2**16
            out.append(math.floor(value + low / 2**16) if dithered else round(value))
    return out, round(step_over_n * 2 ** (summed - 1))


def amplitude(bits: int) -> float:
    """Section 2: of a wave whose values are rounded to so many bits."""
    levels = 2**bits
    return 4 / math.pi / levels * sum(math.sqrt(1 - ((j - 0.5) / levels) ** 2) for j in range(1, levels + 1))


def even(step_over_n: float, summed: int) -> float:
    """Section 2: the step over n that short words stand for."""
    return 2 * round(step_over_n * 2 ** (summed - 1)) / 2**summed


def tag(key: bytes, text: str) -> tuple[int, int]:
    """Section 8: AES-CMAC as two little-endian words."""
    mac = CMAC(algorithms.AES(key))
    mac.update(text.encode())
    made = mac.finalize()
    return int.from_bytes(made[:8], "little"), int.from_bytes(made[8:], "little")


def times(rows: Matrix, vector: Vector) -> Vector:
    return [sum(x * v for x, v in zip(row, vector, strict=True)) % RING for row in rows]


def turned(rows: Matrix) -> Matrix:
    return [list(column) for column in zip(*rows, strict=True)]


def less(one: Vector, two: Vector) -> Vector:
    return [(a - b) % RING for a, b in zip(one, two, strict=True)]


def plus(*vectors: Vector) -> Vector:
    return [sum(entry) % RING for entry in zip(*vectors, strict=True)]


def joined(parts: Matrix) -> Vector:
    return list(itertools.chain.from_iterable(parts))


def cut(values: Vector, width: int) -> Matrix:
    return [values[at : at + width] for at in range(0, len(values), width)]


def product(a: Matrix, b: Matrix) -> Matrix:
    columns = turned(b)
    return [[sum(x * y for x, y in zip(row, column, strict=True)) % RING for column in columns] for row in a]


def added(*parts: Matrix) -> Matrix:
    return [plus(*rows) for rows in zip(*parts, strict=True)]


def negative(values: Vector) -> Vector:
    return [-value % RING for value in values]


def matrix_mask(seed: bytes, party: str, n: int, m: int) -> Matrix:
    """Section 3: U_P, each a row a column; of the bank's last one, which both know, zeros."""
    hidden = m - (party == BANK)
    return cut(words(seed, MATRIX, 0, n * hidden), n) + [[0] * n] * (m - hidden)


def operand_mask(seeds: dict[str, bytes], number: int, count: int) -> Vector:
    return plus(*(words(seeds[p], OPERAND, number, count) for p in (GRID, BANK)))


def m_of(grid: Matrix, across: Matrix, bank: Matrix) -> Matrix:
    """Section 6: the blocks of M, or of what is taken from it."""
    top = [a + negative(b) for a, b in zip(grid, across, strict=True)]
    return top + [negative(a) + b for a, b in zip(turned(across), bank, strict=True)]


class Side:
    """One party of a training with the taylor link and one span a step or part, section 6; it keeps what it sends.

    By the joint matrix D knows its share of the other's look-ahead, but for the ridge.
    """

    def __init__(self, party: str, seed: bytes, x: Matrix, ridge: Matrix, start: Vector, label: Vector | None) -> None:
        self.party, self.seed, self.x, self.ridge, self.label = party, seed, x, ridge, label
        self.own, self.sent, self.every = start, list[tuple[str, Vector]](), x

    def matrices(self) -> tuple[Matrix, Matrix]:
        """Section 3: E in 5 bytes and the ridge matrix under its mask, each a row a column of X as they are sent."""
        n, m = len(self.x), len(self.x[0])
        e = [less(c, u) for c, u in zip(turned(self.x), matrix_mask(self.seed, self.party, n, m), strict=True)]
        known = [e.pop()] if self.party == BANK else []
        r = [less(c, u) for c, u in zip(turned(self.ridge), cut(words(self.seed, RIDGE_MATRIX, 0, m * m), m), strict=True)]
        said = planes(joined(e), 5)
        self.sent += [("masked_matrix", said), ("masked_matrix", joined(r))]
        return cut(from_planes(said, 5), n) + known, r

    def take(self, e: Matrix, ridge: Matrix) -> None:
        self.e, self.e_ridge = turned(e), turned(ridge)
        self.every_e = self.e
        self.other = [0] * len(ridge)
        self.ahead = [w * 256 % RING for w in self.own], self.other

    def say(self, kind: str, values: Vector) -> Vector:
        self.sent.append((kind, values))
        return values

    def over(self, low: int, high: int, span: int) -> None:
        """What follows is over these rows, of this number."""
        self.x, self.e, self.low, self.span = self.every[low:high], self.every_e[low:high], low, span

    def weights(self, t: int) -> Vector:
        self.v = words(self.seed, WEIGHTS, t, len(self.other))
        return self.say("masked_weights", less(self.ahead[1], self.v))

    def hear(self, received: Vector) -> None:
        self.q = plus(self.ahead[0], received)

    def u(self, bits: int, *, known: bool) -> Vector:
        own, other = self.ahead if known else (self.q, self.v)
        tau = turns(plus(times(self.x, point(own, bits)), times(self.e, point(other, bits))))
        mask = words(self.seed, ANGLE, self.span, len(tau), 2)
        self.masked = [(a - b) % 2**16 for a, b in zip(tau, mask, strict=True)]
        self.say("masked_u", [part for word in self.masked for part in divmod(word, 256)[::-1]])
        return self.masked

    def residual(self, theirs: Vector, dealt: Vector, case: dict[str, Any]) -> Vector:
        c = [(a + b) % 2**16 * 2**16 for a, b in zip(self.masked, theirs, strict=True)]
        n = len(c)
        seeded, dealt = words(self.seed, LINK, self.span, n), dealt_words(dealt, n)
        shares = (dealt, seeded) if self.party == GRID else (seeded, dealt)
        out = []
        for row in range(n):
            known, public = factors("taylor", case["period"], [], c[row], case["step_over_n"], case["factor_scale"], 30)
            value = sum(share[row] * factor for share, factor in zip(shares, known, strict=True))
            if self.label is not None:
                value += public - self.label[self.low + row] * round(case["real_step_over_n"] * 2**30)
            out.append(value * 2**16 % RING)
        self.r = out
        self.h = lifted(words(self.seed, RESIDUAL, self.span, n))
        return self.say("masked_residual", planes([(value + 2**23) % RING >> 24 for value in less(out, self.h)], 5))

    def raw_correlation(self) -> Matrix:
        """Section 6: a share of X_G^T X_B, off by the product of both masks."""
        if self.party == GRID:
            return product(turned(self.x), self.e)
        mine = matrix_mask(self.seed, self.party, len(self.x), len(self.x[0]))
        return product(turned(self.e), turned(mine))

    def hide(self, number: int, values: Vector) -> tuple[Vector, Vector]:
        mask = words(self.seed, OPERAND, number, len(values))
        return self.say("masked_operand", less(values, mask)), mask

    def multiplied(self, a: tuple[Matrix, Matrix], b: tuple[Matrix, Matrix]) -> Matrix:
        """A share of A B."""
        parts = [product(a[0], b[1]), product(a[1], b[0])]
        return added(*parts, product(a[0], b[0])) if self.party == BANK else added(*parts)

    def pulled(self, theirs: Vector, *, ridge: bool = True) -> Vector:
        """A share of a step's update, off by delta; of a part that is measured without the ridge's pull."""
        s = plus(self.r, lifted(from_planes(theirs, 5)))
        rows = self.joined(times(turned(self.x), s), times(turned(self.e), self.h))
        return plus(rows, self.ridge_pull()) if ridge else rows

    def ridge_pull(self) -> Vector:
        return self.joined(times(self.ridge, self.q), times(self.e_ridge, self.v))

    def gradient(self, t: int, pulled: Vector) -> Vector:
        self.c = truncation_sent(self.party, self.seed, GRADIENT | t, pulled)
        return self.say("masked_update", self.c)

    def joint_update(
        self, t: int, theirs: Vector, dealt: tuple[Vector, Vector], m: tuple[Matrix, Matrix], *, longer: bool
    ) -> Vector:
        """dealt: of the gradient's truncation, and of M's mask times its top bits."""
        c, number = plus(self.c, theirs), GRADIENT | t
        g = truncated(self.party, self.seed, number, dealt[0], c, 40)
        pull = plus(times(m[0], g), times(m[1], [public_of(word, 40) for word in c]))
        expanded = words(self.seed, CUT, number, len(c) * len(c) - len(dealt[1]))
        lines = {True: iter(cut(dealt[1], len(c))), False: iter(cut(expanded, len(c)))}
        for j, word in enumerate(c):
            sign = 2**23 * (1 if word < 2 * HALF else -1)
            pull = plus(pull, [sign * value for value in next(lines[(j % 2 == 0) == (self.party == GRID)])])
        if longer:
            pull = [5 * value for value in pull]
        lifted = [z << (8 if longer else 6) for z in self.joined(*self.ahead)]
        self.c = truncation_sent(self.party, self.seed, t, less(lifted, pull))
        return self.say("masked_update", self.c)

    def update(self, t: int, pulled: Vector) -> Vector:
        self.c = truncation_sent(self.party, self.seed, t, less([z << 28 for z in self.joined(*self.ahead)], pulled))
        return self.say("masked_update", self.c)

    def step(self, t: int, theirs: Vector, dealt: Vector, momentum: int, shift: int = 36) -> None:
        first = len(self.own if self.party == GRID else self.other)
        own = range(first) if self.party == GRID else range(first, first + len(self.own))
        now = placed(self.party, self.seed, t, dealt, plus(self.c, theirs), shift, own)
        halves = (now[:first], now[first:]) if self.party == GRID else (now[first:], now[:first])
        pairs = zip(halves, (self.own, self.other), strict=True)
        ahead = [[(w * (256 + momentum) - b * momentum) % RING for w, b in zip(*pair, strict=True)] for pair in pairs]
        self.ahead = ahead[0], ahead[1]
        self.own, self.other = halves

    def joined(self, own: Vector, other: Vector) -> Vector:
        return own + other if self.party == GRID else other + own
