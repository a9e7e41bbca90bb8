"""Raw records: a table as read, and where its rows came from."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from common.rows.origin import Origin


@dataclass(frozen=True)
class Raw:
    """A table of text or typed columns, as read; `said` is what its owner should know of how it was read."""

    data: pa.Table
    origin: Origin
    said: tuple[str, ...] = ()
