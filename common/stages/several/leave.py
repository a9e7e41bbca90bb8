"""A job that goes on without some of its banks: whether what is kept of it here allows that, and from where.

PROTOCOL.md section 16. Sums over all banks' rows that were told, told again over those of fewer banks, would tell those of who
is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from common.errors import JobStateError, PeerProtocolError
from common.home.unfinished import Points
from common.learn.linear.design import Prepared
from common.party import Identity
from common.stages.course import BANKS, STAGE, Course, Point, facts_of
from common.stages.job import Told
from common.stages.several.columns import Counts


def check(points: Points, banks: Sequence[Identity], *, alone: bool) -> None:
    """Raises JobStateError where the job cannot go on with these banks, as it was begun with others. alone: without a grid."""
    if not _differ(points, banks):
        return
    held = {Point(number >> STAGE) for number in points.held()}
    if Point.REPORTED in held or any(told["done"] == told["steps"] for told in _trained(points)):
        raise _waits("it has told what it measured of all of them")
    if Point.PREPARED not in held or alone:
        raise _waits("it has told sums over the rows of all of them, or was about to")


def go_back(points: Points, banks: Sequence[Identity], *, alone: bool) -> None:
    """Drops the steps that were taken with other banks: the training begins anew, from columns that were prepared with these.

    Raises as `check`, which has found nothing when the job was offered.
    """
    check(points, banks, alone=alone)
    if _differ(points, banks):
        points.drop(lambda number: number >> STAGE >= Point.TRAINING)
        points.confirm(min(points.confirmed, max(points.held())))


def changed(course: Course, facts: Mapping[str, Any]) -> bool:
    """Whether a point was kept with other banks than take part now."""
    return list(facts.get(BANKS, course.banks)) != list(course.banks)


def check_all(course: Course) -> None:
    """Raises JobStateError where sums over columns would be told over fewer banks than rows were matched with."""
    if (found := course.at(Point.ALIGNED)) is not None and changed(course, found[1]):
        raise _waits("another party has not kept the columns as all banks have prepared them")


def resized(prepared: Prepared, before: Counts, now: Counts, own: int) -> Prepared:
    """This bank's columns in units of the rows that are left: those over which moments are at most one. own: its own rows.

    The columns stay as all banks have prepared them. Raises PeerProtocolError for counts that cannot be.
    """
    if not own <= now.train <= before.train:
        raise PeerProtocolError("the grid counts other rows than before", expected=f"{own} to {before.train}", got=now.train)
    return replace(prepared, whiten=prepared.whiten * np.sqrt(now.train / before.train))


def say(job: Told) -> None:
    """Warns, once, of the banks without which it goes on."""
    if job.course.left_out:
        text = f"without {' and '.join(job.course.left_out)}: gone, and left out as the plan's min_live says"
        if text not in job.outcome.warnings:
            job.warn(text, public=text)


def _differ(points: Points, banks: Sequence[Identity]) -> bool:
    """Whether the last point was kept with other banks."""
    if not (held := points.held()):
        return False
    mine = [str(who) for who in banks]
    return list(facts_of(points.read(held[-1])).get(BANKS, mine)) != mine


def _trained(points: Points) -> list[dict[str, Any]]:
    return [facts_of(points.read(number)) for number in points.held() if number >> STAGE == Point.TRAINING]


def _waits(why: str) -> JobStateError:
    return JobStateError(
        f"the job does not go on without one of its banks: {why}",
        remedy="Start that bank again, or submit a plan without it.",
    )
