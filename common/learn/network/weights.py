"""A network's weights as one party holds them: additive shares of all of them, in two blocks and an output."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from common.learn.network.scales import WEIGHT
from common.mpc.fixedpoint import Reals, Words, encode
from common.party import Party


@dataclass(frozen=True, repr=False)
class Weights:
    """Shares of the weights into the units of own columns, (m_own, units), and of the other's, (m_other, units); of the output.

    output: a weight for each unit, (units,); intercept: the output's, (1,).
    """

    own: Words
    other: Words
    output: Words
    intercept: Words

    def joined(self, party: Party) -> Words:
        """All of them in the order on which both agree: the grid's columns, the bank's, output, intercept."""
        first, second = (self.own, self.other) if party is Party.GRID else (self.other, self.own)
        return np.concatenate([first.ravel(), second.ravel(), self.output, self.intercept])

    def split(self, party: Party, words: Words) -> Weights:
        """The inverse of `joined` for weights of these shapes."""
        first, second = (self.own, self.other) if party is Party.GRID else (self.other, self.own)
        units, cut = len(self.output), first.size + second.size
        blocks = words[: first.size].reshape(first.shape), words[first.size : cut].reshape(second.shape)
        own, other = blocks if party is Party.GRID else blocks[::-1]
        return Weights(own, other, words[cut : cut + units], words[cut + units :])

    def ahead(self, before: Weights, momentum: int, bits: int) -> Weights:
        """w + mu (w - before) at 2^bits times their scale, mu being momentum / 2^bits: linear, so each share does it alone."""
        forth, back = np.uint64((1 << bits) + momentum), np.uint64(momentum)

        def moved(now: Words, past: Words) -> Words:
            return now * forth - past * back

        return Weights(
            moved(self.own, before.own),
            moved(self.other, before.other),
            moved(self.output, before.output),
            moved(self.intercept, before.intercept),
        )

    def widened(self, own: int, other: int) -> Weights:
        """The same with zeros for columns to spare."""
        mine = np.pad(self.own, ((0, own - len(self.own)), (0, 0)))
        theirs = np.pad(self.other, ((0, other - len(self.other)), (0, 0)))
        return Weights(mine, theirs, self.output, self.intercept)

    def narrowed(self, own: int, other: int) -> Weights:
        """Those of the first columns of each side: the others were zeros to spare."""
        return Weights(self.own[:own], self.other[:other], self.output, self.intercept)


def first_block(seed: int, party: Party, columns: int, all_columns: int, units: int) -> Reals:
    """Where one side's weights into the units begin, (columns, units): uniform, of deviation 1 / sqrt(all_columns)."""
    return _uniform(f"{seed}/{party.value}", (columns, units), 1.0 / math.sqrt(all_columns))


def first_output(seed: int, units: int) -> Reals:
    """Where the output weights begin, (units,): uniform, of deviation half of 1 / sqrt(units)."""
    return _uniform(f"{seed}/output", (units,), 0.5 / math.sqrt(units))


def begin(seed: int, party: Party, own: int, other: int, units: int, label: Reals | None) -> Weights:
    """A party's first share: of its own block all, of the other's nothing; the output is the grid's, its intercept the bank's.

    The intercept is that of the overdue rate of its training rows; its share is never sent unmasked.
    """
    block = encode(first_block(seed, party, own, own + other, units), WEIGHT)
    output, intercept = np.zeros(units, np.uint64), np.zeros(1, np.uint64)
    if party is Party.GRID:
        output = encode(first_output(seed, units), WEIGHT)
    if label is not None:
        rate = float(label.mean())
        intercept = encode([math.log(rate / (1.0 - rate))], WEIGHT)
    return Weights(block, np.zeros((other, units), np.uint64), output, intercept)


def _uniform(name: str, shape: tuple[int, ...], deviation: float) -> Reals:
    """Public numbers, the same for the same name: hidden units must differ to begin with, and that is all they are for."""
    count = math.prod(shape)
    drawn = np.frombuffer(hashlib.shake_256(f"wattscore.network/{name}".encode()).digest(8 * count), "<u8")
    unit: Reals = (drawn >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0
    return (math.sqrt(3.0) * deviation * unit).reshape(shape)
