"""A party's half of a network, and the bytes of it: JSON and numpy arrays, versioned, hashed. Never pickle."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from common.features.fit import FittedPreparation
from common.learn.design import columns_of, design
from common.learn.learner import Packed
from common.learn.network.activations import NAMES
from common.learn.network.weights import Weights
from common.mpc.fixedpoint import X_LIMIT, X_SCALE, Words, check_range, encode
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

LEARNER = "network"
FORMAT = 1


@dataclass(frozen=True, repr=False)
class NetworkModel:
    """One party's half of a network, which nobody holds: its preparation, and its additive shares of all weights.

    weights: at WEIGHT. A share is uniform by itself. PROTOCOL.md section 15.
    """

    job: str
    party: Party
    fitted: FittedPreparation
    weights: Weights
    activation: Literal["sine", "relu"]
    source: dict[str, ColumnConfig]
    about: dict[str, Any]
    learner = LEARNER
    coefficients = None
    split_counts = None
    closed = True
    repeats = False  # the bank's columns choose at which angle each unit takes the grid's

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
    arrays, w = io.BytesIO(), model.weights
    np.savez(arrays, own=w.own, other=w.other, output=w.output, intercept=w.intercept)
    head = {
        "format": FORMAT,
        "learner": LEARNER,
        "closed": True,
        "activation": model.activation,
        "job": model.job,
        "party": model.party.value,
        "columns": list(model.columns),
        "preparation": model.fitted.to_dict(),
        "source": {name: column.model_dump(mode="json") for name, column in model.source.items()},
        "about": model.about,
        "arrays_sha256": hashlib.sha256(arrays.getvalue()).hexdigest(),
    }
    return Packed(json.dumps(head, indent=1, sort_keys=True, ensure_ascii=False).encode(), arrays.getvalue())


def parse(head: Any, arrays: bytes) -> NetworkModel:
    """The half that `pack` wrote; raises an error of some kind for anything else."""
    if head["format"] != FORMAT or hashlib.sha256(arrays).hexdigest() != head["arrays_sha256"]:
        raise ValueError("another format, or arrays of another model")
    if head["activation"] not in NAMES:
        raise ValueError("an activation that is not known")
    source = {name: ColumnConfig.model_validate(column) for name, column in head["source"].items()}
    fitted, party = FittedPreparation.from_dict(head["preparation"]), Party(head["party"])
    with np.load(io.BytesIO(arrays), allow_pickle=False) as stored:
        weights = Weights(*(stored[name] for name in ("own", "other", "output", "intercept")))
    model = NetworkModel(head["job"], party, fitted, weights, head["activation"], source, head["about"])
    units = len(weights.output)
    shapes = {"own": (len(model.columns), units), "other": (len(weights.other), units), "output": (units,), "intercept": (1,)}
    if any(getattr(weights, n).shape != shape or getattr(weights, n).dtype != np.uint64 for n, shape in shapes.items()):
        raise ValueError("an array of another type or shape")
    if list(model.columns) != head["columns"]:
        raise ValueError("other columns than the preparation gives")
    return model
