"""A party's half of a linear model, and the bytes of it: JSON and numpy arrays, versioned, hashed. Never pickle."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from common.errors import PlanError
from common.features.fit import FittedPreparation
from common.learn.design import columns_of, design
from common.learn.learner import Packed
from common.learn.linear.design import Prepared
from common.learn.linear.train import Shares
from common.mpc.fixedpoint import X_LIMIT, X_SCALE, Reals, Words, check_range, encode
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

LEARNER = "linear"
FORMAT = 2  # 1 knew no closed models, and can still be read
_BLOCK = 1 << 16


@dataclass(frozen=True, repr=False)
class PartyModel:
    """The half of a model by which one party scores: its preparation and its own coefficients on the prepared columns, (m,)."""

    job: str
    party: Party
    fitted: FittedPreparation
    weights: Reals
    source: dict[str, ColumnConfig]  # the dataset's columns as declared or inferred: later files are read the same way
    about: dict[str, Any]  # plan, dataset fingerprint, software, warnings: what a reviewer asks for
    learner = LEARNER
    split_counts = None
    repeats = True  # the bank's columns only add to what the grid's give

    def partial_scores(self, table: FeatureTable) -> Reals:
        """This party's part of u for each row, (n,); the same bytes for the same rows, before and after a reload."""
        return linear_scores(lambda low, high: design(self.fitted, table.part(low, high), self.party), table.rows, self.weights)

    @property
    def columns(self) -> tuple[str, ...]:
        return columns_of(self.fitted, self.party)

    @property
    def closed(self) -> bool:
        return False

    @property
    def coefficients(self) -> Reals:
        return self.weights


@dataclass(frozen=True, repr=False)
class ClosedModel:
    """One party's half of a model that nobody holds: its preparation, and its additive shares of all whitened weights.

    whiten: (m, m), of its own prepared columns; own: its share of its own block, (m,); other: of the other's, (m',); both at
    WEIGHT_SCALE. A share is uniform by itself. PROTOCOL.md section 6.
    """

    job: str
    party: Party
    fitted: FittedPreparation
    whiten: Reals
    own: Words
    other: Words
    source: dict[str, ColumnConfig]
    about: dict[str, Any]
    banks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # at the grid, of several: each bank's places in `other`
    learner = LEARNER
    coefficients = None
    split_counts = None
    repeats = True

    def line(self, bank: str) -> ClosedModel:
        """The half that scores together with one of the banks, by its identity. Raises PlanError for another one."""
        if bank not in self.banks:
            raise PlanError(
                f"the model of job {self.job} was not trained with {bank}", remedy=f"It was with: {', '.join(self.banks)}."
            )
        return replace(self, other=self.other[list(self.banks[bank])], banks={})

    def whitened(self, table: FeatureTable) -> tuple[Words, int]:
        """Rows at X_SCALE as they are multiplied, (rows, m) column-major, and how many values were held at X_LIMIT."""
        values, held = check_range(design(self.fitted, table, self.party) @ self.whiten, X_LIMIT)
        return np.asfortranarray(encode(values, X_SCALE)), held

    @property
    def columns(self) -> tuple[str, ...]:
        return columns_of(self.fitted, self.party)

    @property
    def closed(self) -> bool:
        return True


LinearModel = PartyModel | ClosedModel


def make_half(
    job: str, prepared: Prepared, trained: Reals | Shares, source: dict[str, ColumnConfig], about: dict[str, Any]
) -> LinearModel:
    """This party's half of what was trained: its own coefficients where they were opened to it, else its shares."""
    fitted, party = prepared.fitted, prepared.party
    if isinstance(trained, Shares):
        return ClosedModel(job, party, fitted, prepared.whiten, trained.own, trained.other, source, about)
    return PartyModel(job, party, fitted, prepared.whiten @ trained, source, about)


def linear_scores(matrix: Callable[[int, int], Reals], rows: int, weights: Reals) -> Reals:
    """matrix times weights, (rows,), a block of rows at a time; `matrix(low, high)` gives rows low to high."""
    scores = np.empty(rows)
    for low in range(0, rows, _BLOCK):
        scores[low : low + _BLOCK] = matrix(low, min(rows, low + _BLOCK)) @ weights
    return scores


def pack(model: LinearModel) -> Packed:
    arrays = io.BytesIO()
    if isinstance(model, ClosedModel):
        np.savez(arrays, whiten=model.whiten, own=model.own, other=model.other)
    else:
        np.savez(arrays, weights=model.weights)
    head = {
        "format": FORMAT,
        "learner": LEARNER,
        "closed": model.closed,
        **(
            {"banks": {bank: list(at) for bank, at in model.banks.items()}}
            if isinstance(model, ClosedModel) and model.banks
            else {}
        ),
        "job": model.job,
        "party": model.party.value,
        "columns": list(model.columns),
        "preparation": model.fitted.to_dict(),
        "source": {name: column.model_dump(mode="json") for name, column in model.source.items()},
        "about": model.about,
        "arrays_sha256": hashlib.sha256(arrays.getvalue()).hexdigest(),
    }
    if isinstance(model, ClosedModel) and model.banks:
        head["banks"] = {bank: list(at) for bank, at in model.banks.items()}
    return Packed(json.dumps(head, indent=1, sort_keys=True, ensure_ascii=False).encode(), arrays.getvalue())


def parse(head: Any, arrays: bytes) -> LinearModel:
    """The half that `pack` wrote; raises an error of some kind for anything else."""
    if head["format"] not in (1, FORMAT) or hashlib.sha256(arrays).hexdigest() != head["arrays_sha256"]:
        raise ValueError("another format, or arrays of another model")
    source = {name: ColumnConfig.model_validate(column) for name, column in head["source"].items()}
    fitted, party = FittedPreparation.from_dict(head["preparation"]), Party(head["party"])
    columns = len(columns_of(fitted, party))
    with np.load(io.BytesIO(arrays), allow_pickle=False) as stored:
        if head.get("closed", False):
            whiten, own, other = (stored[name] for name in ("whiten", "own", "other"))
            _check_array(whiten, np.float64, (columns, columns))
            _check_array(own, np.uint64, (columns,))
            _check_array(other, np.uint64, (len(other),))
            banks = {str(bank): tuple(map(int, at)) for bank, at in head.get("banks", {}).items()}
            if any(not 0 <= place < len(other) for at in banks.values() for place in at):
                raise ValueError("a bank's weights that are not there")
            model: LinearModel = ClosedModel(head["job"], party, fitted, whiten, own, other, source, head["about"], banks)
        else:
            _check_array(stored["weights"], np.float64, (columns,))
            model = PartyModel(head["job"], party, fitted, stored["weights"], source, head["about"])
    if list(model.columns) != head["columns"]:
        raise ValueError("other columns than the preparation gives")
    return model


def _check_array(values: np.ndarray[Any, Any], dtype: Any, shape: tuple[int, ...]) -> None:
    if values.dtype != dtype or values.shape != shape:
        raise ValueError("an array of another type or shape")
