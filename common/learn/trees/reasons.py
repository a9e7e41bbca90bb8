"""The strongest groups of the grid's columns in each row, by trees that nobody holds: told to the bank alone.

What a group raises u by is u less what it would be if the group's thresholds had each row on the side of most training rows,
a number's median. Rows go through all trees once as they are and once more without each group, as when they are scored; what
is ranked is exact. PROTOCOL.md section 18.
"""

from __future__ import annotations

import math

import numpy as np

from common.errors import PolicyError
from common.learn.groups import Groups, members
from common.learn.trees.deal_reasons import TreeReasonsDemand
from common.learn.trees.forest import U_BITS, U_SCALE
from common.learn.trees.half import TreesHalf
from common.learn.trees.score import Block
from common.mpc.correlations.asked import Correlations
from common.mpc.narrow import Bytes
from common.mpc.ranks.find import tell_largest
from common.mpc.session import Kind, Session
from common.party import Party
from common.rows.table import FeatureTable


async def tell_groups(
    session: Session,
    correlations: Correlations,
    model: TreesHalf,
    table: FeatureTable,
    groups: Groups,
    count: int,
    threshold: float,
    most: int,
) -> Bytes | None:
    """At the bank, for each row, 1 + the group that raises u most, and the next, (rows, most); 0 for none. None at the grid.

    groups: at the grid, the group of each of its thresholds, below `count`; empty at the bank. threshold: at the grid, the
    log-odds by which a group must raise u. Steps of 2^-11 are told apart, and of equal groups the first is the stronger one,
    where what they raise u by is within 16 of zero and of another's.

    1. as in a scoring: exchange masked paths, then masked leaves, of each row as it is and without each group
    2. what each group raises u by is ranked
    """
    demand = TreeReasonsDemand(table.rows, model.shape.trees, model.shape.depth, count)
    if not demand.fits:
        raise PolicyError(f"reasons of {count} texts are told of no model of this size", got=demand)
    source = await correlations.source(demand)
    grid, codes = session.party is Party.GRID, np.zeros((table.rows, most), np.uint8)
    left_out = list(members(groups, count)) if grid else []
    for block, rows in demand.blocks():
        part = table.part(rows.start, rows.stop)

        def paths_of(part: FeatureTable = part) -> Bytes:
            found = model.paths(part, left_out)
            return found if grid else np.tile(found, demand.versions)

        wide = demand.versions * part.rows
        share = await Block(session, source, model, demand, block, wide).run(paths_of, wide)
        found = share.reshape(demand.versions, part.rows)
        values = found[0] - found[1:]
        if grid:  # what is at least zero counts as above it
            values = values - np.uint16((math.floor(threshold * 2**U_SCALE) + 1) & 0xFFFF)
        shares = values.astype(np.uint32) << np.uint32(32 - U_BITS)
        told = await tell_largest(session, source, demand.ranked(block), shares, most, Kind.GRID_REASONS)
        if told is not None:
            codes[rows] = told
        session.reporter.progress(rows.stop, table.rows)
    return None if grid else codes
