"""Rows that go through a step of a training together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Rows low to high of one step, of which of its parts, and the number that keys their randomness."""

    number: int
    low: int
    high: int
    part: int = 0

    @property
    def rows(self) -> int:
        return self.high - self.low

    @property
    def slice(self) -> slice:
        return slice(self.low, self.high)
