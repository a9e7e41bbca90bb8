"""Pages from Jinja templates: what they are filled with is escaped, and each is compiled once a process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import BytecodeCache, ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

Filters = Mapping[str, Callable[..., Any]]


class _Compiled(BytecodeCache):
    """Templates as code, by name, file and text. Jinja keeps them with an environment, which is each page's own."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._found.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._found[bucket.key, bucket.checksum] = bucket.code


@functools.cache
def _compiled(filters: frozenset[tuple[str, Callable[..., Any]]]) -> _Compiled:
    """Jinja applies filters to constants when it compiles, so that code serves those filters alone."""
    return _Compiled()


def pages(folders: Sequence[Path], filters: Filters | None = None) -> Environment:
    """An environment for templates of these folders, which are looked through in order; an unknown name in one is an error.

    filters: functions that live as long as the process, else their templates are compiled anew and kept each time.
    """
    filters = filters or {}
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        bytecode_cache=_compiled(frozenset(filters.items())),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= filters
    return environment
