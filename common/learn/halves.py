"""Halves of models by their learner: a learner adds a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.learn.learner import Half, Packed
from common.learn.linear import half as linear

_PARSE: dict[str, Callable[[Any, bytes], Half]] = {"linear": linear.parse}


def pack(model: Half) -> Packed:
    """The bytes of a model's two files."""
    if isinstance(model, linear.PartyModel | linear.ClosedModel):
        return linear.pack(model)
    raise TypeError(f"no learner packs a {type(model).__name__}")


def parse(head: Any, arrays: bytes) -> Half:
    """What `pack` wrote; raises an error of some kind for anything else. Files of before there were several are linear."""
    return _PARSE[head.get("learner", "linear")](head, arrays)
