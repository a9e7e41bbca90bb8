"""What a section of a configuration needs beyond the packages that are always installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import ConfigError


@contextmanager
def extra(section: str, name: str = "serve") -> Iterator[None]:
    """Imports of the extra `name`. Raises ConfigError that names the section and what is missing."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"[{section}] needs a package that is not installed: {error.name}",
            remedy=f"Install it, in the folder of WattScore's source: pip install -c constraints.txt '.[{name}]'.",
        ) from None
