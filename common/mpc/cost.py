"""What each primitive costs in bytes: the formulas of protos/PROTOCOL.md section 11, payload of arrays only, without framing.

A function of one step gives the bytes this party sends; it receives as many with `own` and `other` swapped.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.mpc.counting.masks import CountsDemand
from common.party import Party

SEEDS = 65  # fingerprints of what was dealt and of the seed made of it; then whether all are new. Section 2
WILLING = 1  # that all can charge their books
COMPARED = 32  # what each has sent and taken. Section 17
# rows, training rows, columns; the above; the last point of a training; fingerprints when both are through, and when both kept
SIZES = 96 + WILLING


@dataclass(frozen=True)
class Cost:
    """Payload bytes at one party: to and from the other party, from the coordinator and to it."""

    peer_sent: int = 0
    peer_received: int = 0
    dealt: int = 0
    tags: int = 0

    def __add__(self, other: Cost) -> Cost:
        peer = self.peer_sent + other.peer_sent, self.peer_received + other.peer_received
        return Cost(*peer, self.dealt + other.dealt, self.tags + other.tags)

    @property
    def total(self) -> int:
        return self.peer_sent + self.peer_received + self.dealt + self.tags


def matching_by_tags(own_ids: int) -> Cost:
    """Counts, a key and a digest, the same in both directions; tags to the coordinator and a bit for each back. Section 8."""
    return Cost(80, 80, -(-own_ids // 8), 16 + 16 * own_ids)


def matching_by_curve(own_ids: int, other_ids: int) -> Cost:
    """Counts and a digest, own points, replies to the other's: the same in both directions. Section 8."""
    both = 48 + 32 * own_ids + 32 * other_ids
    return Cost(both, both)


def periods(matched: int, months: int) -> int:
    """First and last month; a masked bit, then a product's share, for each matched enterprise and common month."""
    return 16 + 2 * period_product(matched, months)


def period_product(matched: int, months: int) -> int:
    """Bytes that the dealer deals the bank for `periods`; the grid expands its own. Section 8."""
    return 8 * -(-matched * months // 64)


def split(rows: int) -> int:
    """The bank's draw of held-out rows: a bit a matched row, to the grid."""
    return -(-rows // 8)


def scores(rows: int) -> int:
    """The grid's part of u, to the bank."""
    return 8 * rows


def link_round(rows: int) -> int:
    """32 bits a row, whatever the link. Section 5."""
    return 4 * rows


def bin_counts(party: Party, asked: CountsDemand) -> Cost:
    """Counting labels by bin: indicators and label masked, then as many regroupings as tests and one more. Section 13."""
    bins, rounds, groups = asked.bins, asked.rounds, asked.rounds + 1
    grid = 8 + 4 * asked.rows * bins + 4 * bins * bins * groups + 8 * bins * rounds
    bank = 4 * asked.rows + 4 * bins * groups + 8 * bins * rounds + 4 * bins * groups
    if party is Party.GRID:
        return Cost(grid, bank)
    return Cost(bank, grid, 4 * bins * (1 + groups + rounds * (asked.least + 1) ** 2))


def truncation(values: int) -> int:
    """A word a value. Section 4."""
    return 8 * values


def alignment(party: Party, own_ids: int, other_ids: int, matched: int = 0, months: int = 0, matching: str = "neutral") -> Cost:
    """Matching ids and, where rows are months of them, their common months; `months` 0 means by id alone."""
    ids = matching_by_tags(own_ids) if matching == "neutral" else matching_by_curve(own_ids, other_ids)
    if not months:
        return ids
    both = periods(matched, months)
    return ids + Cost(both, both, period_product(matched, months) if party is Party.BANK else 0)
