"""A grid that tells the second bank other sums than the others: run in place of the real one.

LIE in its environment: `replayed`, it also hands each bank its own hash of what it has heard for that of the others.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from common.mpc.session import Kind
from common.mpc.several.hub import GridHub
from common.mpc.several.lines import SpokenLines
from grid_party.__main__ import main


async def unlike(self: SpokenLines, kind: Kind, mine: Any) -> None:
    for place, line in enumerate(self._lines):
        await line.post(kind, mine + np.uint64(kind is Kind.POOLED_SHARE and place == 1))


async def replayed(self: GridHub) -> None:
    said = await self.banks.each(Kind.HEARD, np.uint8, (32,))
    for line, own in zip(self.banks._lines, said, strict=True):
        await line.send(Kind.HEARD, np.stack([own] * len(said)))


if __name__ == "__main__":
    SpokenLines.post = unlike  # type: ignore[method-assign, assignment]
    if os.environ.get("LIE") == "replayed":
        GridHub.compare = replayed  # type: ignore[method-assign]
    main()
