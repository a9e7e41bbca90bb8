"""The sine of shared values with one opening of 32 bits each, by the identity of the link. PROTOCOL.md section 15.

With shares of a modulo the period, both open c = a - angle; the dealer, which knows the angle, deals shares of its cosine
and sine. sin(c + angle) = sin c cos(angle) + cos c sin(angle), and its slope likewise, are then sums of tables times public
factors.
"""

from __future__ import annotations

import math

from common.mpc.circle import Turns, unit_circle
from common.mpc.fixedpoint import Words, encode

PERIOD_BITS = 3
OMEGA = 2.0 * math.pi / 2**PERIOD_BITS

Factors = tuple[Words, Words]  # of cos(angle) and of sin(angle)


class Circle:
    """What is public of opened values c: sine and cosine, of c's shape."""

    def __init__(self, c: Turns) -> None:
        self._cos, self._sin = unit_circle(c)

    def value(self, scale: int) -> Factors:
        """The factors of sin(c + angle)."""
        return encode(self._sin, scale), encode(self._cos, scale)

    def slope(self, scale: int) -> Factors:
        """The factors of its derivative by a."""
        return encode(OMEGA * self._cos, scale), encode(-OMEGA * self._sin, scale)


def tables(angle: Turns, scale: int) -> Factors:
    """Cosine and sine of an angle that only the dealer knows, which it deals in shares."""
    cos, sin = unit_circle(angle)
    return encode(cos, scale), encode(sin, scale)
