"""What every way of matching ids shares: the limits, and that both parties end with the same ids."""

from __future__ import annotations

from hashlib import blake2b
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from common.config import StrictModel
from common.errors import PeerProtocolError, PolicyError
from common.mpc.session import Array, Kind, Session

Rows = npt.NDArray[np.int64]


class MatchLimits(StrictModel):
    """What a party allows an alignment to do."""

    max_ids: int = Field(default=20_000_000, ge=1, description="largest number of ids either side may bring")
    min_matched: int = Field(default=1000, ge=1, description="smallest number of common ids to go on with")


class Match(Protocol):
    """A way to match ids: by the neutral process, `tagged.match_ids`, or between the two, `ecdh.match_ids`."""

    async def __call__(self, session: Session, ids: pa.StringArray, *, domain: bytes, limits: MatchLimits) -> Rows:
        """The rows of `ids` (n,), distinct, that the other party holds too, int64 (matched,), in an order both know."""


def check_count(count: int, limits: MatchLimits) -> None:
    """Raises PolicyError when this party brings more ids than its policy allows either side."""
    if count > limits.max_ids:
        raise _too_many("this party", count, limits)


def check_sizes(mine: int, theirs: int, limits: MatchLimits) -> None:
    if theirs > limits.max_ids:
        raise _too_many("the other party", theirs, limits)
    if min(mine, theirs) < limits.min_matched:
        raise PolicyError(
            f"too few ids: {mine} here and {theirs} at the other party, below min_matched = {limits.min_matched}",
            remedy="Bring more enterprises, or lower min_matched openly in both policies.",
        )


def _too_many(who: str, count: int, limits: MatchLimits) -> PolicyError:
    return PolicyError(
        f"{who} brings {count} ids, more than max_ids = {limits.max_ids}",
        remedy="Bring fewer ids, or raise max_ids in the policy.",
    )


async def confirm(session: Session, common: Array, remedy: str = "") -> None:
    """One round: raises PeerProtocolError unless both parties found as many `common` values, and the same in this order."""
    digest = np.frombuffer(blake2b(np.ascontiguousarray(common).view(np.uint8).data, digest_size=32).digest(), "<u8")
    mine = np.concatenate([[len(common)], digest], dtype=np.uint64, casting="unsafe")
    theirs = await session.exchange(Kind.PSI_COUNT, mine)
    if not np.array_equal(mine, theirs):
        raise PeerProtocolError(
            "the two parties did not find the same common ids",
            expected=f"{mine[0]} ids",
            got=f"{theirs[0]} ids",
            remedy=remedy,
        )


def check_matched(count: int, limits: MatchLimits) -> None:
    if count < limits.min_matched:
        found = f"only {count} ids are" if count else "no id is"
        raise PolicyError(
            f"{found} common to both parties, below min_matched = {limits.min_matched}",
            remedy="Check that both sides' ids are written alike (case, spaces, zeros) and are the right columns.",
        )
