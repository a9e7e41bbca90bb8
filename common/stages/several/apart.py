"""Trainings of one bank more or fewer on the same rows: their sums differ by what that bank brought. PROTOCOL.md section 16."""

from __future__ import annotations

import asyncio

from common.errors import PolicyError
from common.home.apart import Banks, Together
from common.plan.several import SeveralPlan
from common.rows.table import FeatureTable
from common.stages.job import PartyJob


async def check(job: PartyJob, several: SeveralPlan, rows: FeatureTable) -> None:
    """Raises PolicyError where sums over these banks, with those of earlier trainings, would tell of one that has not agreed.

    rows: keys of all that matched at this bank. Asked before anything of the job is summed over them.
    """
    own = str(several.identities[job.place])
    told = await asyncio.to_thread(job.home.sets.told_apart, rows, job.id, _together(several), own)
    if told:
        raise _refused(told, several)


async def enter(job: PartyJob, several: SeveralPlan, rows: FeatureTable) -> None:
    """Enters the training in this bank's book: the next thing is a sum."""
    await asyncio.to_thread(job.home.sets.enter_together, rows, job.id, _together(several))


def counts(job: PartyJob, several: SeveralPlan, rows: FeatureTable) -> bool:
    """Whether scores of the banks' held-out rows may be counted together, as `check` has it; if so, enters that they are."""
    sets, together = job.home.sets, _together(several)
    own = str(several.identities[job.place])
    if sets.told_apart(rows.keys(slice(None)), job.id, together, own, counted=True):
        return False
    sets.enter_counted(job.id, together.banks)
    return True


def _together(several: SeveralPlan) -> Together:
    return Together(frozenset(map(str, several.identities)), several.alone, several.differ_by_one)


def _refused(told: Banks, several: SeveralPlan) -> PolicyError:
    agree = "" if several.alone else ", or with differ_by_one = true in the plan, if that bank is in it"
    return PolicyError(
        "beside earlier trainings of one bank more or fewer on these rows, sums of this one would tell what one bank brought",
        remedy=f"Train with the same banks as before, on rows of which half are new{agree}.",
        local=f"It is of {', '.join(sorted(told))}.",
        public="sums of this training and of earlier ones, of one bank more or fewer on the same rows, would tell of one bank",
    )
