"""A party's half of a network, and what of it is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from common.features.fit import FittedPreparation
from common.learn.design import columns_of, design
from common.learn.learner import Packed
from common.learn.network.activations import NAMES
from common.learn.network.weights import Weights
from common.learn.packing import check_array, check_columns, pack_half, unpack_half
from common.learn.several import check_trained_with
from common.mpc.fixedpoint import X_LIMIT, X_SCALE, Words, check_range, encode
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

LEARNER = "network"
FORMAT = 2


@dataclass(frozen=True, repr=False)
class NetworkModel:
    """One party's half of a network, which nobody holds: its preparation, and its additive shares of all weights.

    weights: at WEIGHT. A share is uniform by itself. PROTOCOL.md section 15.

    banks: of a model of several at the grid, their identities; the output then has an intercept for each.
    """

    job: str
    party: Party
    fitted: FittedPreparation
    weights: Weights
    activation: Literal["sine", "relu"]
    source: dict[str, ColumnConfig]
    about: dict[str, Any]
    banks: tuple[str, ...] = ()
    learner = LEARNER
    coefficients = None
    split_counts = None
    closed = True
    repeats = False  # the bank's columns choose at which angle each unit takes the grid's

    def line(self, bank: str) -> NetworkModel:
        """The half that scores together with one of the banks, by its identity. Raises PlanError for another one."""
        check_trained_with(self.job, bank, self.banks)
        place = self.banks.index(bank)
        weights = replace(self.weights, intercept=self.weights.intercept[place : place + 1])
        return replace(self, weights=weights, banks=())

    def encoded(self, table: FeatureTable) -> tuple[Words, int]:
        """Rows at X_SCALE as they are multiplied, (rows, m) column-major, and how many values were held at X_LIMIT."""
        values, held = check_range(design(self.fitted, table, self.party), X_LIMIT)
        return np.asfortranarray(encode(values, X_SCALE)), held

    @property
    def columns(self) -> tuple[str, ...]:
        return columns_of(self.fitted, self.party)

    @property
    def units(self) -> int:
        return len(self.weights.output)


def pack(model: NetworkModel) -> Packed:
    w = model.weights
    arrays = {"own": w.own, "other": w.other, "output": w.output, "intercept": w.intercept}
    more = {"banks": list(model.banks)} if model.banks else {}
    return pack_half(model, FORMAT, arrays, activation=model.activation, **more)


def parse(head: Any, arrays: bytes) -> NetworkModel:
    """The half that `pack` wrote; raises an error of some kind for anything else."""
    found = unpack_half(head, arrays, (FORMAT,))
    if head["activation"] not in NAMES:
        raise ValueError("an activation that is not known")
    weights = Weights(*(found.arrays[name] for name in ("own", "other", "output", "intercept")))
    about, banks = found.about, tuple(map(str, head.get("banks", ())))
    model = NetworkModel(found.job, found.party, found.fitted, weights, head["activation"], found.source, about, banks)
    units = len(weights.output)
    shapes = {"own": (len(model.columns), units), "other": (len(weights.other), units), "output": (units,)}
    shapes["intercept"] = (len(banks) or 1,)
    for name, shape in shapes.items():
        check_array(getattr(weights, name), np.uint64, shape)
    check_columns(model, head)
    return model
