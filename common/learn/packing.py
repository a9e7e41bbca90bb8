"""The bytes of a party's half of a model, of whatever learner: JSON and numpy arrays, versioned, hashed. Never pickle."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.disk.arrays import read_arrays
from common.features.fit import FittedPreparation
from common.learn.learner import Half, Packed
from common.mpc.session import Array
from common.party import Party
from common.rows.dataset import ColumnConfig


@dataclass(frozen=True, repr=False)
class Unpacked:
    """What every half holds, as it was stored, and the arrays of its learner by name."""

    job: str
    party: Party
    fitted: FittedPreparation
    source: dict[str, ColumnConfig]
    about: dict[str, Any]
    arrays: dict[str, Array]


def pack_half(half: Half, form: int, arrays: Mapping[str, Array], **more: Any) -> Packed:
    """form: the learner's number of its form. more: what its learner keeps beside the arrays, as JSON has it."""
    stored = io.BytesIO()
    np.savez(stored, **arrays)  # type: ignore[arg-type]
    head = {
        "format": form,
        "learner": half.learner,
        "closed": half.closed,
        "job": half.job,
        "party": half.party.value,
        "columns": list(half.columns),
        "preparation": half.fitted.to_dict(),
        "source": {name: column.model_dump(mode="json") for name, column in half.source.items()},
        "about": half.about,
        "arrays_sha256": hashlib.sha256(stored.getvalue()).hexdigest(),
    }
    return Packed(json.dumps(head | more, indent=1, sort_keys=True, ensure_ascii=False).encode(), stored.getvalue())


def unpack_half(head: Any, arrays: bytes, forms: tuple[int, ...]) -> Unpacked:
    """What `pack_half` wrote in one of these forms; raises an error of some kind for anything else."""
    if head["format"] not in forms or hashlib.sha256(arrays).hexdigest() != head["arrays_sha256"]:
        raise ValueError("another format, or arrays of another model")
    source = {name: ColumnConfig.model_validate(column) for name, column in head["source"].items()}
    found = read_arrays(io.BytesIO(arrays))
    fitted = FittedPreparation.from_dict(head["preparation"])
    return Unpacked(head["job"], Party(head["party"]), fitted, source, head["about"], found)


def check_columns(half: Half, head: Any) -> None:
    """Raises ValueError where the preparation gives other columns than are named."""
    if list(half.columns) != head["columns"]:
        raise ValueError("other columns than the preparation gives")


def check_array(values: Array, dtype: Any, shape: tuple[int, ...]) -> None:
    """Raises ValueError for an array of another type or shape."""
    if values.dtype != dtype or values.shape != shape:
        raise ValueError("an array of another type or shape")
