"""Arrays handed to another process of this machine by descriptors of where they lie, which reads them there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.disk import shared
from common.disk.scratch import Stored
from common.mpc.abreast import Part, Pieces

_MEMORY, _FILE = "memory", "file"


@dataclass(frozen=True, repr=False)
class Given:
    """What is told of them, as JSON has it, and the descriptors, in the same order, good as long as this is there."""

    told: Mapping[str, Sequence[Any]]
    files: Sequence[int]
    arrays: Sequence[Any]

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> Given:
        """Those that no other process could read are copied. arrays: (n,) or (n, m), column-major, in memory or `Stored`."""
        there = {name: _readable(values) for name, values in arrays.items()}
        told = {name: [_FILE if isinstance(one, Stored) else _MEMORY, one.dtype.str, *one.shape] for name, one in there.items()}
        return cls(told, [_descriptor(one) for one in there.values()], list(there.values()))


def _readable(values: Any) -> Any:
    if isinstance(values, Stored) or shared.descriptor_of(values) is not None:
        return values
    copy = shared.empty(values.shape, values.dtype)
    copy[:] = values
    return copy


def _descriptor(values: Any) -> int:
    found = values.descriptor if isinstance(values, Stored) else shared.descriptor_of(values)
    assert found is not None  # noqa: S101  (see `_readable`)
    return found


def take(told: Mapping[str, Sequence[Any]], files: Sequence[int], pieces: Pieces) -> dict[str, Part]:
    """The arrays that `Given` tells of, to read by slices of these rows alone; closes the descriptors."""
    found = dict[str, Part]()
    try:
        for (name, (where, dtype, *shape)), file in zip(told.items(), files, strict=True):
            values = (Stored if where == _FILE else shared).opened(file, tuple(shape), np.dtype(dtype))
            found[name] = Part(values, pieces)
    finally:
        for file in files:
            os.close(file)
    return found
