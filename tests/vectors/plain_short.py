"""Short words as section 2 has them, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass

Vector = list[int]


@dataclass(frozen=True)
class Form:
    """Bytes of a word of matrices, tables and residuals, zeros below the latter's and below columns, bits cut off a look-ahead,
    bytes of an angle; how much is added to what completes it, in 2^-32 of a turn."""

    width: int = 6
    spare: int = 16
    zeros: int = 0
    cut: int = 0
    angle: int = 4
    dropped: int = 0

    @property
    def summed(self) -> int:
        return 46 - self.spare

    def planes(self, values: Vector) -> Vector:
        """The bytes of words: the low 32 bits of each, then the next 16 of each where there are 6, or 8 where there are 5."""
        low = b"".join((value % 2**32).to_bytes(4, "little") for value in values)
        upper = self.width - 4
        return list(low + b"".join((value >> 32).to_bytes(8, "little")[:upper] for value in values))

    def from_planes(self, said: Vector) -> Vector:
        """The words that these bytes are."""
        n, upper = len(said) // self.width, self.width - 4
        low, rest = bytes(said[: 4 * n]), bytes(said[4 * n : self.width * n])
        pairs = ((low[4 * i : 4 * i + 4], rest[upper * i : upper * (i + 1)]) for i in range(n))
        return [int.from_bytes(one + two, "little") for one, two in pairs]

    def dealt_words(self, words: Vector, count: int) -> Vector:
        """The first `count` words of what is dealt."""
        return self.from_planes(list(b"".join(word.to_bytes(8, "little") for word in words)[: self.width * count]))

    def lifted(self, values: Vector) -> Vector:
        """Words with their zeros below."""
        return [value * 2**self.spare % 2**64 for value in values]

    def tau(self, share: Vector, bits: int) -> Vector:
        """Section 5: the upper bits of shares of u, or of what these lack, as many as are opened."""
        return [(word % 2**bits) >> (bits - 8 * self.angle) for word in share]

    def turn(self, angles: Vector) -> Vector:
        """Angles in 2^-32 of a turn."""
        return [angle << (32 - 8 * self.angle) for angle in angles]


SIX = Form()
FIVE = Form(width=5, spare=21, zeros=3, cut=4, angle=2, dropped=3 << 15)


def as_words(said: Vector) -> Vector:
    """Bytes as what is dealt: words, filled up with zeros."""
    return [int.from_bytes(bytes(said[at : at + 8]), "little") for at in range(0, len(said), 8)]
