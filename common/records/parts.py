"""Features of some enterprises, from a file of their panel to a file of columns: what is the same wherever it is done."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from common.disk.arrays import read_arrays
from common.errors import DataError
from common.records.entries import make
from common.records.held import Codes
from common.records.panel import Panel
from common.records.recipe import LABEL, Recipe
from common.records.windows import Mask

WORK = f"{__name__}:columns_of"
_ABOUT, _PRESENT, _MASK = "about", "present", "mask"


def column(recipe: Recipe, panel: Panel, mask: Mask) -> npt.NDArray[Any]:
    """(samples,), as float32 or as codes. Raises DataError for numbers beyond float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = recipe.evaluate(panel)
        if isinstance(values, Codes):
            return np.asarray(values.codes[mask])
        result: npt.NDArray[np.float32] = values[mask].astype(np.float32)
    if np.isinf(result).any():
        message = f"recipe {recipe.column!r} gives numbers beyond float32"
        raise DataError(message, public=message, remedy="Declare a largest value of its field, or another unit.")
    return result


def packed(panel: Panel, mask: Mask, recipes: Sequence[Recipe]) -> bytes:
    """What `columns_of` needs of these enterprises: the fields that recipes name, no id, and the recipes themselves."""
    used = {field for recipe in recipes for field in recipe.fields}
    numeric = {name: panel.numeric[name] for name in panel.numeric if name in used}
    if panel.label is not None and LABEL in used:
        numeric[LABEL] = panel.label
    coded = {name: panel.categorical[name] for name in panel.categorical if name in used}
    about = {
        "recipes": [recipe.model_dump(mode="json") for recipe in recipes],
        "first": panel.first,
        "numeric": list(numeric),
        "levels": {name: list(codes.levels) for name, codes in coded.items()},
    }
    arrays = {f"n{k}": values for k, values in enumerate(numeric.values())}
    arrays |= {f"c{k}": codes.codes for k, codes in enumerate(coded.values())}
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    return _file({_ABOUT: text, _PRESENT: panel.present, _MASK: mask, **arrays})


def columns_of(data: bytes) -> bytes:
    """The columns of the samples of a `packed` file, in the order of its recipes."""
    arrays = read_arrays(io.BytesIO(data))
    about = json.loads(arrays[_ABOUT].tobytes())
    numeric = {name: arrays[f"n{k}"] for k, name in enumerate(about["numeric"])}
    label = numeric.pop(LABEL, None)
    coded = {name: Codes(arrays[f"c{k}"], tuple(levels)) for k, (name, levels) in enumerate(about["levels"].items())}
    nobody = np.full(len(arrays[_MASK]), "", object)
    panel = Panel(nobody, about["first"], arrays[_PRESENT], numeric, coded, label)
    recipes = make(*about["recipes"])
    return _file({f"r{k}": column(recipe, panel, arrays[_MASK]) for k, recipe in enumerate(recipes)})


def unpacked(data: bytes) -> list[npt.NDArray[Any]]:
    """The columns that `columns_of` has written."""
    arrays = read_arrays(io.BytesIO(data))
    return [arrays[f"r{k}"] for k in range(len(arrays))]


def _file(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()
