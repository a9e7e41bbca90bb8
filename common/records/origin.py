"""Raw records: a table as read, and where its rows came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from common.rows.origin import Data, Origin


@dataclass(frozen=True)
class Raw:
    """Columns of text or of types, as read; `said` is what its owner should know of how it was read.

    forget: lets go of what is at hand of them, which is read anew when asked for.
    """

    data: Data
    origin: Origin
    said: tuple[str, ...] = ()
    forget: Callable[[], None] = lambda: None
