"""How values stand in the files: arrays as type, shape and bytes; one case a line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from common.mpc.session import Array, Round

FOLDER = Path(__file__).resolve().parent


def stored(values: Array) -> dict[str, Any]:
    """An array of unsigned words as JSON: element type, shape, and little-endian row-major bytes in hexadecimal."""
    flat = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"))
    return {"element": values.dtype.name, "shape": list(values.shape), "hex": flat.tobytes().hex()}


def array(value: dict[str, Any]) -> Array:
    """The inverse of `stored`."""
    element = np.dtype(value["element"]).newbyteorder("<")
    return np.frombuffer(bytes.fromhex(value["hex"]), element).reshape(value["shape"]).astype(value["element"])


def integers(value: dict[str, Any]) -> list[int]:
    """The elements of a stored array, row by row, as Python's integers."""
    return [int(word) for word in array(value).ravel()]


def whole(log: Iterable[tuple[Round, Array]]) -> list[dict[str, Any]]:
    """Messages in the order sent, with all their bytes."""
    return [{"kind": label.kind.value, "number": label.number} | stored(values) for label, values in log]


def hashed(log: Iterable[tuple[Round, Array]]) -> list[str]:
    """Messages in the order sent, a line each: kind, element type, shape, and SHA-256 of the bytes."""
    return [f"{r.kind.value} {v.dtype.name} {v.shape} {hashlib.sha256(v.tobytes()).hexdigest()}" for r, v in log]


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def text(value: Any, depth: int = 0) -> str:
    """JSON with a line for each entry, down to those that hold no further table."""
    if not _nested(value) and depth:
        return json.dumps(value, ensure_ascii=False)
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{pad}{json.dumps(key)}: {text(entry, depth + 1)}" for key, entry in value.items()]
    else:
        lines = [pad + text(entry, depth + 1) for entry in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + "\n" + ",\n".join(lines) + "\n" + " " * depth + closing


def _nested(value: Any) -> bool:
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    long = isinstance(value, list) and len(json.dumps(value)) > 400 and isinstance(value[0], str)
    return long or any(isinstance(entry, dict) or _nested(entry) for entry in entries)
