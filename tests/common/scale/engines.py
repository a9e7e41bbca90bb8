"""An engine that does the work of nodes in this process, by the same files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from common.scale.cluster import fault
from common.scale.work import do


class HereEngine:
    """Parts in the order that `order` gives; `parts` is how many there were."""

    def __init__(self, folder: Path, order: Callable[[Iterable[int]], Iterable[int]] = reversed) -> None:  # type: ignore[assignment]
        self._folder, self._order, self.parts = folder, order, 0

    def run(self, work: str, parts: int, give: Callable[[int], bytes], take: Callable[[int, bytes], None]) -> None:
        self.parts = parts
        for part in self._order(range(parts)):
            path, made = self._folder / f"{part}.given", self._folder / f"{part}.made"
            path.write_bytes(give(part))
            told = json.loads(do(work, str(path), hashlib.sha256(path.read_bytes()).hexdigest(), str(made)))
            data = made.read_bytes()
            path.unlink()
            made.unlink()
            if told["fault"]:
                raise fault(data, part)
            take(part, data)
