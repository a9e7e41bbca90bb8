"""What both halves of a model say of rows, in plain floats: the oracle of what scoring opens."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from common.learn.design import design
from common.learn.learner import Half
from common.learn.linear.half import ClosedModel, CommittedModel, PartyModel
from common.learn.linear.unaided import TOLD_SCALE, WEIGHT_BITS
from common.mpc.fixedpoint import WEIGHT_SCALE, Reals, decode
from common.party import Party
from common.rows.table import FeatureTable

STEP = 2.0**-5
OFF = 1.5 * STEP + 0.005  # a step of rounding, half of one of dither, columns in multiples of 2^-10


def weights_of(halves: Mapping[Party, Half], party: Party) -> Reals:
    """A party's weights on its prepared columns, (m,): its own where they are opened, else what both halves add up to."""
    own, other = halves[party], halves[party.other]
    if isinstance(own, PartyModel):
        return own.weights
    if isinstance(own, CommittedModel) and isinstance(other, CommittedModel):
        return own.whiten @ decode(own.own + other.other << np.uint64(64 - WEIGHT_BITS), TOLD_SCALE)
    assert isinstance(own, ClosedModel) and isinstance(other, ClosedModel)
    found: Reals = own.whiten @ decode(own.own + other.other, WEIGHT_SCALE)
    return found


def plain_part(halves: Mapping[Party, Half], party: Party, rows: FeatureTable) -> Reals:
    """A party's part of u, (n,)."""
    return design(halves[party].fitted, rows, party) @ weights_of(halves, party)
