"""What makes features elsewhere looks like this to who has them made: so many parts, each a file in and a file out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Engine(Protocol):
    """Does one work on many parts, in whatever order and place. The work is a pure function of bytes: module:name."""

    def run(self, work: str, parts: int, give: Callable[[int], bytes], take: Callable[[int, bytes], None]) -> None:
        """Calls `give(k)` for what part k is made of and `take(k, made)`, both here and one at a time.

        Raises what the work raised of the first part in order that failed, and ConfigError where the machines fail it.
        """
