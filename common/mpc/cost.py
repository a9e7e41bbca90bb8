"""What a job costs in bytes: the formulas of protos/PROTOCOL.md section 11, payload of arrays only, without framing.

A function of one step gives the bytes this party sends; it receives as many with `own` and `other` swapped.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.mpc.correlations import dealt_tables
from common.mpc.counting.masks import CountsDemand
from common.mpc.dealer import Work
from common.mpc.fixedpoint import WEIGHT_SCALE
from common.mpc.link import Link
from common.mpc.prg import SEED_BYTES
from common.party import Party

SIZES = 56  # rows, training rows and columns, agreed before training; and the model's fingerprint when both are through


@dataclass(frozen=True)
class Cost:
    """Payload bytes at one party: to and from the other party, and from the dealer."""

    peer_sent: int = 0
    peer_received: int = 0
    dealt: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.peer_sent + other.peer_sent, self.peer_received + other.peer_received, self.dealt + other.dealt)


def matching(own_ids: int, other_ids: int) -> int:
    """Counts and a digest, own points, replies to the other's: the same in both directions. Section 8."""
    return 48 + 32 * own_ids + 32 * other_ids


def periods(matched: int, months: int) -> int:
    """First and last month; a masked bit, then a product's share, for each matched enterprise and common month."""
    return 16 + 2 * period_product(matched, months)


def period_product(matched: int, months: int) -> int:
    """What the dealer deals the bank for `periods`; the grid expands its own. Section 8."""
    return 8 * -(-matched * months // 64)


def split(rows: int) -> int:
    """The bank's draw of held-out rows: a bit a matched row, to the grid."""
    return -(-rows // 8)


def scores(rows: int) -> int:
    """The grid's part of u, to the bank."""
    return 8 * rows


def matrices(rows: int, own_columns: int) -> int:
    """The masked matrix and the masked ridge matrix, once a job. Section 3."""
    return 8 * (rows + own_columns) * own_columns


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


def shared_step(rows: int, own: int, other: int) -> int:
    """Masked weights, link, masked residual, truncation: four rounds. Section 6."""
    return 8 * other + link_round(rows) + 8 * rows + truncation(own + other)


def owned_step(rows: int, own: int, other: int) -> int:
    """Link and masked residual, then the share of the other's gradient: three messages. Section 6."""
    del own  # so that all steps are called alike
    return link_round(rows) + 8 * rows + 8 * other


def reveal(own: int, other: int, bits: int = WEIGHT_SCALE) -> int:
    """The rounding of both blocks, unless `bits` keeps every bit, then the share of the other's weights. Section 7."""
    return (truncation(own + other) if bits < WEIGHT_SCALE else 0) + 8 * other


def dealt_step(rows: int, columns: int, link: Link, party: Party) -> int:
    """Half of the link's tables and one half of a truncation over all `columns`: what one shared step is dealt."""
    return 8 * len(dealt_tables(link, party)) * rows + truncation(columns)


def dealt_owned_step(rows: int, other: int, link: Link, party: Party) -> int:
    """Half of the link's tables and a share of mask times mask for the other's gradient."""
    return 8 * len(dealt_tables(link, party)) * rows + 8 * other


def alignment(party: Party, own_ids: int, other_ids: int, matched: int = 0, months: int = 0) -> Cost:
    """Matching ids and, where rows are months of them, their common months; `months` 0 means by id alone."""
    both = matching(own_ids, other_ids)
    if not months:
        return Cost(both, both)
    both += periods(matched, months)
    return Cost(both, both, period_product(matched, months) if party is Party.BANK else 0)


def descent(party: Party, work: Work) -> Cost:
    """Sharing the matrices, every step, and opening the weights; the seed is not in it."""
    own, other, rows = work.columns[party], work.columns[party.other], work.rows
    shared = work.revealed_bits is not None
    step = shared_step if shared else owned_step
    sent, received, dealt = matrices(rows, own), matrices(rows, other), 0
    for s in work.steps:
        sent += step(s.rows, own, other)
        received += step(s.rows, other, own)
        if shared:
            dealt += dealt_step(s.rows, own + other, s.link(work.link), party)
        else:
            dealt += dealt_owned_step(s.rows, other, s.link(work.link), party)
    if work.revealed_bits is not None:
        sent += reveal(own, other, work.revealed_bits)
        received += reveal(other, own, work.revealed_bits)
        dealt += truncation(own + other) if work.revealed_bits < WEIGHT_SCALE else 0
    return Cost(sent, received, dealt)


def training(party: Party, work: Work, test_rows: int, aligned: Cost) -> Cost:
    """A whole training job: seed, `aligned` (see `alignment`), split, sizes, descent, scores of the held-out rows."""
    grid_to_bank, bank_to_grid = scores(test_rows), split(work.rows + test_rows)
    grid = party is Party.GRID
    around = Cost(
        SIZES + (grid_to_bank if grid else bank_to_grid), SIZES + (bank_to_grid if grid else grid_to_bank), SEED_BYTES
    )
    return aligned + around + descent(party, work)
