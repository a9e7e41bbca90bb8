"""Whether the enterprises of a job that runs still agree to its use of their rows: one that does not ends it in a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from common.errors import PolicyError, WattScoreError
from common.rows.consent import Consents

_LOOK = 15.0  # seconds between two looks at the table


class Ends(Protocol):
    """A grant, as `granted.InForce`."""

    def ended(self) -> WattScoreError | None: ...


async def watch_consents(
    consents: Consents | None, whose: str, stop: Callable[[WattScoreError], None], grant: Ends | None = None
) -> None:
    """Stops the job once the grant of its dataset, or an authorisation that it rests on, is not in force any more.

    A table that is gone for two looks stops it as well.
    """
    failed = False
    while consents is not None or grant is not None:
        await asyncio.sleep(_LOOK)
        if grant is not None and (ended := await asyncio.to_thread(grant.ended)) is not None:
            stop(ended)
            return
        try:
            if consents is not None and await asyncio.to_thread(consents.withdrawn):
                stop(
                    PolicyError(
                        f"an enterprise whose rows are in this job has withdrawn its authorisation at the {whose}",
                        remedy="Submit it again: that enterprise's rows are then left out.",
                    )
                )
                return
            failed = False
        except (WattScoreError, OSError) as error:
            if failed:
                stop(error if isinstance(error, WattScoreError) else PolicyError(f"the authorisations of the {whose} are gone"))
                return
            failed = True
