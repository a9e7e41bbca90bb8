"""Whether the enterprises of a job that runs still agree to its use of their rows: one that does not ends it in a minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from common.errors import PolicyError, WattScoreError
from common.rows.consent import Consents

_log = logging.getLogger(__name__)

_LOOK = 15.0  # seconds between two looks at the table


class Ends(Protocol):
    """A grant, as `granted.InForce`."""

    def ended(self) -> WattScoreError | None: ...


async def watch_consents(
    consents: Consents | None, whose: str, stop: Callable[[WattScoreError], None], grant: Ends | None = None
) -> None:
    """Stops the job once the grant of its dataset, or an authorisation that it rests on, is not in force any more.

    What cannot be looked at for two looks, such as a table that is gone or a CA that is trusted no more, stops it as well.
    """
    failed = False
    while consents is not None or grant is not None:
        await asyncio.sleep(_LOOK)
        try:
            if grant is not None and (ended := await asyncio.to_thread(grant.ended)) is not None:
                stop(ended)
                return
            if consents is not None and await asyncio.to_thread(consents.withdrawn):
                stop(
                    PolicyError(
                        f"an enterprise whose rows are in this job has withdrawn its authorisation at the {whose}",
                        remedy="Submit it again: that enterprise's rows are then left out.",
                    )
                )
                return
            failed = False
        except Exception as error:  # of any kind: a watch that ends with its error would let the job go on unwatched
            if failed:
                gone = f"the authorisations of the {whose} are gone, or cannot be read"
                stop(error if isinstance(error, WattScoreError) else PolicyError(gone, remedy=f"See the log of the {whose}."))
                return
            _log.warning("what a job rests on cannot be looked at now: %s", type(error).__name__)
            failed = True
