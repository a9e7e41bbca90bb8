"""A party's half of a linear model, and what of it is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from common.features.fit import FittedPreparation
from common.learn.design import columns_of, design
from common.learn.learner import Packed
from common.learn.linear.design import Prepared
from common.learn.linear.train import Shares
from common.learn.linear.unaided import CommittedShares
from common.learn.packing import check_array, check_columns, pack_half, unpack_half
from common.learn.several import check_trained_with
from common.mpc.committed import Committed
from common.mpc.fixedpoint import X_LIMIT, X_SCALE, Reals, Words, check_range, encode
from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.ring96 import WORDS
from common.mpc.tags import Tagged
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

LEARNER = "linear"
FORMAT = 4
_NO_TAGS = (1, 2)  # 1 knew no closed models, 2 no tags of their shares: opened ones of both can still be read
_SHORT = 3  # masked what parties are committed to modulo 2^64: all else of it can still be read
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
class _ClosedHalf:
    """What one party has of a model that nobody holds: its preparation, and its additive share of its own whitened weights.

    whiten: (m, m), of its own prepared columns; own: its share of its own block, (m,), at WEIGHT_SCALE.
    """

    job: str
    party: Party
    fitted: FittedPreparation
    whiten: Reals
    own: Words
    learner = LEARNER
    coefficients = None
    split_counts = None
    repeats = True

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


@dataclass(frozen=True, repr=False)
class ClosedModel(_ClosedHalf):
    """One party's half of a model that nobody holds and that was dealt for.

    tagged: its share of the other's block, (m',), and what tells whether the other party's of the own block are what they were.
    PROTOCOL.md sections 6 and 17.

    banks: of a model of several at the grid, what it holds with each, by the bank's identity; `tagged` is then of no columns.
    """

    tagged: Tagged
    source: dict[str, ColumnConfig]
    about: dict[str, Any]
    banks: Mapping[str, Tagged] = field(default_factory=dict)

    def line(self, bank: str) -> ClosedModel:
        """The half that scores together with one of the banks, by its identity. Raises PlanError for another one."""
        check_trained_with(self.job, bank, self.banks)
        return replace(self, tagged=self.banks[bank], banks={})

    @property
    def other(self) -> Words:
        """Its shares of the other's block, (m',), each uniform by itself."""
        return self.tagged.words


@dataclass(frozen=True, repr=False)
class CommittedModel(_ClosedHalf):
    """One party's half of a model that nobody holds and nobody dealt for.

    committed: its share of the other's block, (m',), by which key it masked it, and the other's of the own block as it was
    masked then: rows are scored by that. PROTOCOL.md section 21.
    """

    committed: Committed
    source: dict[str, ColumnConfig]
    about: dict[str, Any]

    @property
    def other(self) -> Words:
        """Its shares of the other's block, (m',), of which the low WEIGHT_BITS bits count."""
        return self.committed.words


LinearModel = PartyModel | ClosedModel | CommittedModel
Trained = Reals | Shares | CommittedShares


def make_half(
    job: str, prepared: Prepared, trained: Trained, source: dict[str, ColumnConfig], about: dict[str, Any]
) -> LinearModel:
    """This party's half of what was trained: its own coefficients where they were opened to it, else its shares."""
    fitted, party = prepared.fitted, prepared.party
    if isinstance(trained, Shares):
        return ClosedModel(job, party, fitted, prepared.whiten, trained.own, trained.tagged, source, about)
    if isinstance(trained, CommittedShares):
        return CommittedModel(job, party, fitted, prepared.whiten, trained.own, trained.committed, source, about)
    return PartyModel(job, party, fitted, prepared.whiten @ trained, source, about)


def linear_scores(matrix: Callable[[int, int], Reals], rows: int, weights: Reals) -> Reals:
    """matrix times weights, (rows,), a block of rows at a time; `matrix(low, high)` gives rows low to high."""
    scores = np.empty(rows)
    for low in range(0, rows, _BLOCK):
        scores[low : low + _BLOCK] = matrix(low, min(rows, low + _BLOCK)) @ weights
    return scores


def pack(model: LinearModel) -> Packed:
    if isinstance(model, PartyModel):
        return pack_half(model, FORMAT, {"weights": model.weights})
    if isinstance(model, CommittedModel):
        whole = {"whiten": model.whiten, "own": model.own, **model.committed.arrays("committed ")}
        return pack_half(model, FORMAT, whole, undealt=True)
    arrays = {"whiten": model.whiten, "own": model.own, **model.tagged.arrays()}
    for place, held in enumerate(model.banks.values()):
        arrays |= held.arrays(f"{place} ")
    return pack_half(model, FORMAT, arrays, **({"banks": list(model.banks)} if model.banks else {}))


def parse(head: Any, arrays: bytes) -> LinearModel:
    """The half that `pack` wrote; raises an error of some kind for anything else."""
    if head.get("closed", False) and head["format"] in _NO_TAGS:
        raise ValueError("its shares have no tags: train it again")
    if head.get("undealt", False) and head["format"] == _SHORT:
        raise ValueError("its shares were masked by an older release, which no row is multiplied with now: train it again")
    found = unpack_half(head, arrays, (*_NO_TAGS, _SHORT, FORMAT))
    fitted, party, stored = found.fitted, found.party, found.arrays
    columns = len(columns_of(fitted, party))
    model: LinearModel
    if head.get("closed", False):
        whiten, own = stored["whiten"], stored["own"]
        check_array(whiten, np.float64, (columns, columns))
        check_array(own, np.uint64, (columns,))
    elif head.get("undealt", False):
        raise ValueError("an opened model has nothing that parties are committed to")
    if head.get("undealt", False):
        committed = Committed.stored(stored, "committed ")
        check_array(committed.masked, np.uint32, (columns + 1, WORDS, DEGREE))
        model = CommittedModel(found.job, party, fitted, whiten, own, committed, found.source, found.about)
    elif head.get("closed", False):
        held = Tagged.stored(stored)
        banks = {str(bank): Tagged.stored(stored, f"{place} ") for place, bank in enumerate(head.get("banks", []))}
        if any(len(one.pads) != columns for one in banks.values() or [held]):
            raise ValueError("tags of other columns")
        model = ClosedModel(found.job, party, fitted, whiten, own, held, found.source, found.about, banks)
    else:
        check_array(stored["weights"], np.float64, (columns,))
        model = PartyModel(found.job, party, fitted, stored["weights"], found.source, found.about)
    check_columns(model, head)
    return model
