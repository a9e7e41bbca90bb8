"""What fails while nobody waits for it any more, and is no error that nobody looked at: of a line that is over, say."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

F = TypeVar("F", bound="asyncio.Future[Any]")


def unheard(work: F) -> F:
    """`work`, begun, whose failure whoever awaits it hears; where nobody does any more, asyncio logs nothing of it.

    Not for work that nobody ever awaits: what that fails of would be known to nobody.
    """
    work.add_done_callback(_look)
    return work


def _look(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()
