"""What the dealer deals for ranking the values of rows. PROTOCOL.md section 18."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from common.mpc.circle import Turns
from common.mpc.compare.dealer import deal_signs
from common.mpc.compare.masks import IGNORED
from common.mpc.compare.masks import dealt_words as sign_words
from common.mpc.dealer import Dealt, Prgs
from common.mpc.narrow import as_words
from common.mpc.ranks.masks import LOSSES, RankMasks, compared, dealt_words, with_differences
from common.mpc.session import Kind, Round
from common.party import Party


def rank_arrays(number: int, count: int, rows: int, party: Party) -> Iterator[tuple[Round, tuple[int, ...]]]:
    """Label and shape of each array that a party is dealt for ranking so many values of so many rows."""
    yield Round(Kind.DEALT_DIGITS, number), (sign_words(compared(count) * rows, party),)
    yield Round(Kind.DEALT_RANKS, number), (dealt_words(count, rows, party),)


def deal_ranks(prg: Prgs, number: int, lacks: Turns) -> Iterator[Dealt]:
    """Of one number: what comparisons take, then what losses are counted and looked up by.

    lacks: (count, rows), what the parties' shares of the values lack.
    """
    count, rows = lacks.shape
    masks = {party: RankMasks(prg[party], number, count, rows) for party in Party}
    n = (lacks >> np.uint32(IGNORED)) + masks[Party.GRID].values() + masks[Party.BANK].values() << np.uint32(IGNORED)
    dealt, hide = deal_signs(prg, number, with_differences(n))
    yield dealt
    lost = (masks[Party.GRID].losses() + masks[Party.BANK].losses()) & np.uint8(LOSSES - 1)
    slots = (np.uint32(1) << lost.astype(np.uint32)) ^ masks[Party.BANK].slots()
    bits = hide.reshape(compared(count), rows) - masks[Party.GRID].bits()
    label = Round(Kind.DEALT_RANKS, number)
    yield [(Party.GRID, label, as_words(slots)), (Party.BANK, label, as_words(bits))]
