"""Environment variables in configuration files: `${NAME}`, in paths only, so that no secret comes from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from common.errors import ConfigError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(raw: Any, paths: frozenset[str], source: str, environment: Mapping[str, str] = os.environ) -> Any:
    """`raw` of the file `source`, with each `${NAME}` in the value of a key in `paths`, or a list of values, replaced by that
    variable.

    Raises ConfigError for a variable that is not set, that holds no absolute path, or that is named in another key's value.
    A variable's value is in no message: it might be a secret, put there by mistake.
    """
    if isinstance(raw, list):
        return [expand(item, frozenset(), source, environment) for item in raw]
    if not isinstance(raw, dict):
        _refuse_outside_a_path(raw, source)
        return raw

    def expanded(key: str, value: Any) -> Any:
        if key in paths and isinstance(value, str):
            return _path(key, value, source, environment)
        if key in paths and isinstance(value, list):
            return [expanded(key, one) for one in value]
        return expand(value, paths, source, environment)

    return {key: expanded(key, value) for key, value in raw.items()}


def _path(key: str, text: str, source: str, environment: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        if (held := environment.get(name)) is None:
            raise ConfigError(f"{source}: {key}: the environment variable {name} is not set", remedy="Set it to a path.")
        if (found.start() == 0 and not held.startswith("/")) or "\n" in held or "\0" in held:
            raise ConfigError(
                f"{source}: {key}: the environment variable {name} does not hold an absolute path",
                remedy="It may hold the path of a file, never what is in it.",
            )
        return held

    return _VARIABLE.sub(value, text)


def _refuse_outside_a_path(value: Any, source: str) -> None:
    if isinstance(value, str) and (found := _VARIABLE.search(value)):
        raise ConfigError(
            f"{source}: {found[0]} stands in a value that is no path",
            remedy="Environment variables are taken in paths only: write the value itself.",
        )
