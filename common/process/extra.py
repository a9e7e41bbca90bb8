"""What a section of a configuration needs beyond the packages that are always installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import ConfigError


@contextmanager
def extra(section: str, name: str = "serve") -> Iterator[None]:
    """Imports of the extra `name`. Raises ConfigError that names the section and what is missing."""
    try:
        yield
    except ImportError as error:
        raise _missing(f"[{section}]", error.name, name) from None


def need(option: str, package: str, name: str) -> None:
    """Raises ConfigError where `package`, of the extra `name`, is not installed; loads nothing of it."""
    if importlib.util.find_spec(package) is None:
        raise _missing(option, package, name)


def _missing(what: str, package: str | None, name: str) -> ConfigError:
    return ConfigError(
        f"{what} needs a package that is not installed: {package}",
        remedy=f"Install it, in the folder of WattScore's source: pip install -c constraints.txt '.[{name}]'.",
    )
