"""A party's half of a trained model on disk: JSON and numpy arrays, versioned, hashed. Never pickle."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from common.disk.files import make_folder, write_private
from common.errors import ConfigError, DataError, JobNotFound
from common.features.fit import FittedPreparation
from common.learn.linear.design import INTERCEPT, design
from common.mpc.fixedpoint import Reals
from common.party import Party
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable

FORMAT = 1
CHAMPION = "champion"  # stands for a job's name
_BLOCK = 1 << 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def is_job_name(text: str) -> bool:
    """Whether `text` may name a job, and so a file: letters, digits, - and _."""
    return _NAME.fullmatch(text) is not None and text != CHAMPION


@dataclass(frozen=True, repr=False)
class PartyModel:
    """What one party needs to score: its preparation and its own coefficients on the prepared columns, (m,)."""

    job: str
    party: Party
    fitted: FittedPreparation
    weights: Reals
    source: dict[str, ColumnConfig]  # the dataset's columns as declared or inferred: later files are read the same way
    about: dict[str, Any]  # plan, dataset fingerprint, software, warnings: what a reviewer asks for

    def partial_scores(self, table: FeatureTable) -> Reals:
        """This party's part of u for each row, (n,); the same bytes for the same rows, before and after a reload."""
        return linear_scores(lambda low, high: design(self.fitted, table.part(low, high), self.party), table.rows, self.weights)

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.fitted.columns, INTERCEPT) if self.party is Party.BANK else self.fitted.columns


def linear_scores(matrix: Callable[[int, int], Reals], rows: int, weights: Reals) -> Reals:
    """matrix times weights, (rows,), a block of rows at a time; `matrix(low, high)` gives rows low to high."""
    scores = np.empty(rows)
    for low in range(0, rows, _BLOCK):
        scores[low : low + _BLOCK] = matrix(low, min(rows, low + _BLOCK)) @ weights
    return scores


@dataclass(frozen=True, repr=False)
class Packed:
    """The bytes of a model's two files."""

    text: bytes
    arrays: bytes

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal: of the text, which holds that of the arrays."""
        return hashlib.sha256(self.text).hexdigest()


def pack(model: PartyModel) -> Packed:
    arrays = io.BytesIO()
    np.savez(arrays, weights=model.weights)
    head = {
        "format": FORMAT,
        "job": model.job,
        "party": model.party.value,
        "columns": list(model.columns),
        "preparation": model.fitted.to_dict(),
        "source": {name: column.model_dump(mode="json") for name, column in model.source.items()},
        "about": model.about,
        "arrays_sha256": hashlib.sha256(arrays.getvalue()).hexdigest(),
    }
    return Packed(json.dumps(head, indent=1, sort_keys=True, ensure_ascii=False).encode(), arrays.getvalue())


class ModelStore:
    """Models under one folder, one sub-folder a training job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, model: PartyModel) -> str:
        """Writes the model; its digest, SHA-256 in hexadecimal, covers every byte of it."""
        return self.write(model.job, pack(model))

    def write(self, job: str, packed: Packed) -> str:
        """As `save`; once it has returned the model outlasts a power cut, and a registry may name it."""
        make_folder(folder := self._place(job))
        for name, data in (("arrays.npz", packed.arrays), ("model.json", packed.text)):
            write_private(folder / name, data)
        return packed.digest

    def digest(self, job: str) -> str:
        """The digest of what is stored, after checking that it can be loaded; raises as `load` does."""
        self.load(job)
        return hashlib.sha256((self._place(job) / "model.json").read_bytes()).hexdigest()

    def attach(self, job: str, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON report of the job's model beside it, for its owner."""
        make_folder(folder := self._place(job))
        write_private(folder / name, json.dumps(content, indent=1, ensure_ascii=False).encode())

    def has(self, job: str) -> bool:
        return (self._place(job) / "model.json").exists()

    def folder(self, job: str) -> Path:
        """Where a model is kept; what else belongs to it may stand beside it."""
        return self._place(job)

    def load(self, job: str) -> PartyModel:
        """Raises JobNotFound for an unknown job, DataError for files that are not what was written."""
        folder = self._place(job)
        try:
            head = json.loads((folder / "model.json").read_bytes())
            arrays = (folder / "arrays.npz").read_bytes()
        except FileNotFoundError:
            raise JobNotFound(
                f"no model of job {job} is stored here", remedy="Train it first, or check the job's name."
            ) from None
        except ValueError:
            raise _damaged(job) from None
        try:
            model = _parse(head, arrays)
        except (ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile, ConfigError):
            raise _damaged(job) from None
        if model.job != job:
            raise _damaged(job)
        return model

    def _place(self, job: str) -> Path:
        if not is_job_name(job):
            raise JobNotFound(f"{job!r} is not a job's name")
        return self._folder / job


def _parse(head: Any, arrays: bytes) -> PartyModel:
    """What `save` wrote; raises an error of some kind for anything else."""
    if head["format"] != FORMAT or hashlib.sha256(arrays).hexdigest() != head["arrays_sha256"]:
        raise ValueError("another format, or arrays of another model")
    with np.load(io.BytesIO(arrays), allow_pickle=False) as stored:
        weights = stored["weights"]
    source = {name: ColumnConfig.model_validate(column) for name, column in head["source"].items()}
    fitted = FittedPreparation.from_dict(head["preparation"])
    model = PartyModel(head["job"], Party(head["party"]), fitted, weights, source, head["about"])
    if weights.dtype != np.float64 or weights.shape != (len(model.columns),) or list(model.columns) != head["columns"]:
        raise ValueError("not a weight a column")
    return model


def _damaged(job: str) -> DataError:
    message = f"the stored model of job {job} is damaged or of another format"
    return DataError(message, public=message, remedy="Restore it from a back-up, or train again.")
