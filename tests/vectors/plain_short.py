"""Words of 6 bytes as section 2 has them, in plain Python."""

from __future__ import annotations

Vector = list[int]


def planes(values: Vector) -> Vector:
    """Section 2: the bytes of words of 6: the low 32 bits of each, then the next 16 of each."""
    low = b"".join((value % 2**32).to_bytes(4, "little") for value in values)
    return list(low + b"".join((value >> 32).to_bytes(8, "little")[:2] for value in values))


def from_planes(said: Vector) -> Vector:
    """The words that these bytes are."""
    n = len(said) // 6
    low, upper = bytes(said[: 4 * n]), bytes(said[4 * n : 6 * n])
    pairs = ((low[4 * i : 4 * i + 4], upper[2 * i : 2 * i + 2]) for i in range(n))
    return [int.from_bytes(one + two, "little") for one, two in pairs]


def as_words(said: Vector) -> Vector:
    """Bytes as what is dealt: words, filled up with zeros."""
    return [int.from_bytes(bytes(said[at : at + 8]), "little") for at in range(0, len(said), 8)]


def dealt_words(words: Vector, count: int) -> Vector:
    """The first `count` words of 6 bytes of what is dealt."""
    return from_planes(list(b"".join(word.to_bytes(8, "little") for word in words)[: 6 * count]))


def lifted(values: Vector) -> Vector:
    """Words with 16 zeros below."""
    return [value * 2**16 % 2**64 for value in values]
