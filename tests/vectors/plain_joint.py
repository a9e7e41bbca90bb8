"""The joint matrix of section 6 in plain Python, message by message."""

from __future__ import annotations

import itertools

from tests.vectors.plain import (
    BANK,
    DOUBLINGS,
    GRID,
    RING,
    SETUP,
    Pairs,
    Side,
    Vector,
    cut,
    joined,
    m_of,
    mean_factors,
    plus,
    truncated,
    truncation_sent,
    turned,
)


class Setup:
    """Section 6: the truncations and openings of shared arrays before the first step, numbered as they come."""

    def __init__(self, sides: dict[str, Side], dealt: list[dict[str, Vector]]) -> None:
        self.sides, self.dealt, self.cuts, self.opens = sides, dealt, itertools.count(), itertools.count()

    def shortened(self, shares: dict[str, Vector], shift: int = 24) -> dict[str, Vector]:
        sides, j = self.sides, next(self.cuts)
        c = plus(*(s.say("masked_update", truncation_sent(p, s.seed, SETUP | j, shares[p])) for p, s in sides.items()))
        return {p: truncated(p, sides[p].seed, SETUP | j, self.dealt[j][p], c, shift) for p in sides}

    def opened(self, shares: dict[str, Vector], width: int) -> Pairs:
        number = SETUP | next(self.opens)
        hidden = {p: self.sides[p].hide(number, shares[p]) for p in self.sides}
        both = cut(plus(*(sent for sent, _ in hidden.values())), width)
        return {p: (both, cut(mask, width)) for p, (_, mask) in hidden.items()}

    def times_of(self, one: Pairs, two: Pairs) -> dict[str, Vector]:
        return {p: joined(self.sides[p].multiplied(one[p], two[p])) for p in self.sides}

    def m_from(self, c: Pairs, gain: float) -> Pairs:
        sides, scaled, (g, b) = self.sides, {GRID: 0, BANK: round(gain * 2**18)}, (len(s.own) for s in self.sides.values())

        def across(pair: Pairs) -> Pairs:
            return {p: (turned(a), turned(m)) for p, (a, m) in pair.items()}

        def unit(size: int, p: str) -> Vector:
            return [scaled[p] if at % (size + 1) == 0 else 0 for at in range(size * size)]

        power, series = self.shortened(self.times_of(across(c), c), 30), {p: unit(b, p) for p in sides}
        for k in range(DOUBLINGS):
            pair = self.opened({p: series[p] + power[p] for p in sides}, b)
            s = {p: (a[b:], m[b:]) for p, (a, m) in pair.items()}
            more, last = self.times_of({p: (a[:b], m[:b]) for p, (a, m) in pair.items()}, s), k == DOUBLINGS - 1
            done = self.shortened(more if last else {p: more[p] + self.times_of(s, s)[p] for p in sides}, 18)
            series, power = {p: plus(series[p], done[p][: b * b]) for p in sides}, {p: done[p][b * b :] for p in sides}
        q = self.opened(self.shortened(self.times_of(c, whole := self.opened(series, b))), b)
        pulled = self.shortened(self.times_of(q, across(c)))
        first = self.opened({p: plus(pulled[p], unit(g, p)) for p in sides}, g)
        return {p: (m_of(first[p][0], q[p][0], whole[p][0]), m_of(first[p][1], q[p][1], whole[p][1])) for p in sides}


def joint_matrix(sides: dict[str, Side], dealt: list[dict[str, Vector]], gain: float) -> Pairs:
    """Section 6: by party, M less its mask, and the party's share of the mask. dealt: one truncation after another."""
    setup, (k, s) = Setup(sides, dealt), mean_factors(len(sides[GRID].x))
    raw = {p: [x * k * 2**24 % RING for x in joined(side.raw_correlation())] for p, side in sides.items()}
    return setup.m_from(
        setup.opened({p: [x * s % RING for x in share] for p, share in setup.shortened(raw, 46).items()}, len(sides[BANK].own)),
        gain,
    )
