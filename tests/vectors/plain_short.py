"""Words of 6 and 5 bytes as section 2 has them, in plain Python."""

from __future__ import annotations

Vector = list[int]


def planes(values: Vector, width: int = 6) -> Vector:
    """Section 2: the bytes of words of 6, or 5: the low 32 bits of each, then the next 16, or 8, of each."""
    low = b"".join((value % 2**32).to_bytes(4, "little") for value in values)
    return list(low + b"".join((value >> 32).to_bytes(8, "little")[: width - 4] for value in values))


def from_planes(said: Vector, width: int = 6) -> Vector:
    """The words that these bytes are."""
    n, more = len(said) // width, width - 4
    low, upper = bytes(said[: 4 * n]), bytes(said[4 * n : width * n])
    pairs = ((low[4 * i : 4 * i + 4], upper[more * i : more * i + more]) for i in range(n))
    return [int.from_bytes(one + two, "little") for one, two in pairs]


def as_words(said: Vector) -> Vector:
    """Bytes as what is dealt: words, filled up with zeros."""
    return [int.from_bytes(bytes(said[at : at + 8]), "little") for at in range(0, len(said), 8)]


def dealt_words(words: Vector, count: int) -> Vector:
    """The first `count` words of 6 bytes of what is dealt."""
    return from_planes(list(b"".join(word.to_bytes(8, "little") for word in words)[: 6 * count]))


def lifted(values: Vector) -> Vector:
    """Words with 24 zeros below, as those of a masked residual in 5 bytes."""
    return [value * 2**24 % 2**64 for value in values]


def point(ahead: Vector, bits: int) -> Vector:
    """Section 5: of a share of a look-ahead, modulo a period of so many bits, the upper 40 of these."""
    return [(word % 2**bits) >> (bits - 40) for word in ahead]


def turns(u: Vector) -> Vector:
    """Section 5: of sums of columns times these the upper 16 bits of 40, to the nearest."""
    return [(word + 2**23) % 2**40 >> 24 for word in u]
