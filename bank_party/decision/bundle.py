"""What the bank keeps of a training job beside its model: held-out rows and how their scores become decisions.

Files: `decision.json` and `heldout.parquet`, mode 0600, in the model's folder. Never pickle.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bank_party.decision.calibrate import Calibration, ReliabilityBin
from bank_party.decision.config import DecisionConfig
from bank_party.decision.grades import Grade
from bank_party.decision.scorecard import Scorecard
from bank_party.decision.table import DecisionTable
from common.config import StrictModel, validate
from common.disk.files import make_folder, write_private
from common.errors import ConfigError, DataError, JobNotFound
from common.rows.table import Ids

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

RULES, ROWS = "decision.json", "heldout.parquet"
_FIXED = ("id", "period", "label", "u_joint", "u_own", "u_bank", "exposure", "validation")
_SEGMENT = "segment."


class Coefficient(StrictModel):
    """A prepared column of the bank: its weight in the joint and in the bank-only model, with that one's standard error.

    joint: the trained weight, or of a closed model the one that explains its scores; share: of the variance of u.
    """

    name: str
    source: str
    joint: float
    alone: float
    alone_error: float | None
    share: float | None = None


class Decision(StrictModel):
    """Everything that turns the bank's scores of one model into decisions. Curves and errors are of test rows."""

    version: Literal[1] = 1
    config: DecisionConfig
    calibration: Calibration
    scorecard: Scorecard
    grades: tuple[Grade, ...]
    table: DecisionTable
    before: tuple[ReliabilityBin, ...]  # uncalibrated
    after: tuple[ReliabilityBin, ...]
    error_before: float  # expected calibration error
    error_after: float
    coefficients: tuple[Coefficient, ...]

    @property
    def weights(self) -> Vector:
        """Of the bank's prepared columns, the intercept last, (m,): what points and reasons are made of."""
        return np.array([c.joint for c in self.coefficients])

    @property
    def starts(self) -> tuple[int, ...]:
        """The lowest score of each grade but the last, falling."""
        return tuple(grade.low for grade in self.grades if grade.low is not None)


@dataclass(frozen=True, repr=False)
class HeldOut:
    """Held-out rows (n,) of a training job at the bank, in no order, and the decision made of them.

    u_joint: the joint model's log-odds; u_own: the bank's part of it, so that u_joint - u_own is the grid's; u_bank: the
    bank-only model's. validation: True where a row calibrated and cut grades, False where it tests them. exposure: 1
    where no column is configured. segments: column -> float64, or object array of str and None.
    """

    job: str
    ids: Ids
    periods: npt.NDArray[np.int32] | None
    label: Vector
    u_joint: Vector
    u_own: Vector
    u_bank: Vector
    exposure: Vector
    validation: Mask
    decision: Decision
    segments: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"HeldOut({self.job}, {len(self.ids)} rows)"


def save(held: HeldOut, folder: Path) -> None:
    """Writes both files into `folder`, made if need be; each appears whole or not at all."""
    rows = io.BytesIO()
    pq.write_table(_to_table(held), rows)
    data = rows.getvalue()
    head = {
        "job": held.job,
        "decision": held.decision.model_dump(mode="json"),
        "rows_sha256": hashlib.sha256(data).hexdigest(),
    }
    make_folder(folder)
    write_private(folder / ROWS, data)
    write_private(folder / RULES, json.dumps(head, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode())


def load(job: str, folder: Path) -> HeldOut:
    """Raises JobNotFound if the job left none here, DataError for files that are not what was written."""
    head, decision = _head(job, folder)
    try:
        data = (folder / ROWS).read_bytes()
        if hashlib.sha256(data).hexdigest() != head["rows_sha256"]:
            raise _damaged(job)
        return _from_table(job, pq.read_table(io.BytesIO(data)), decision)
    except (OSError, KeyError, ValueError, pa.ArrowException):
        raise _damaged(job) from None


def load_decision(job: str, folder: Path) -> Decision:
    """The rules alone; raises as `load` does."""
    return _head(job, folder)[1]


def _head(job: str, folder: Path) -> tuple[dict[str, Any], Decision]:
    try:
        head = json.loads((folder / RULES).read_bytes())
        if head["job"] != job:
            raise _damaged(job)
        return head, validate(Decision, head["decision"], RULES)
    except FileNotFoundError:
        message = f"no decision rules of job {job} are stored here"
        raise JobNotFound(message, remedy="Train it again: the bank makes them when a model is trained.") from None
    except (OSError, ValueError, KeyError, TypeError, ConfigError):
        raise _damaged(job) from None


def _to_table(held: HeldOut) -> pa.Table:
    columns: dict[str, Any] = {
        "id": held.ids.levels.take(pa.array(held.ids.codes)),
        "period": None if held.periods is None else pa.array(held.periods),
        "label": held.label,
        "u_joint": held.u_joint,
        "u_own": held.u_own,
        "u_bank": held.u_bank,
        "exposure": held.exposure,
        "validation": held.validation,
        **{f"{_SEGMENT}{name}": pa.array(v, pa.string() if v.dtype == object else None) for name, v in held.segments.items()},
    }
    return pa.table({name: values for name, values in columns.items() if values is not None})


def _from_table(job: str, stored: pa.Table, decision: Decision) -> HeldOut:
    values = {name: stored[name].to_numpy() for name in stored.column_names if name != "id"} | {"id": stored["id"]}
    if not set(values) >= set(_FIXED) - {"period"}:
        raise ValueError("a column is missing")
    segments = {name.removeprefix(_SEGMENT): v for name, v in values.items() if name.startswith(_SEGMENT)}
    return HeldOut(
        job=job,
        ids=Ids.of(values["id"]),
        periods=values.get("period"),
        label=values["label"],
        u_joint=values["u_joint"],
        u_own=values["u_own"],
        u_bank=values["u_bank"],
        exposure=values["exposure"],
        validation=values["validation"],
        decision=decision,
        segments=segments,
    )


def _damaged(job: str) -> DataError:
    message = f"the stored decision of job {job} is damaged or of another format"
    return DataError(message, public=message, remedy="Restore it from a back-up, or train again.")
