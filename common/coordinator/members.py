"""Which of the parties that a coordinator knows a job is of."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from common.errors import PlanError
from common.party import Bank, Identity, Member
from common.plan.read import AnyPlan
from common.plan.several import SeveralPlan


def members_of(
    known: Mapping[Identity, Member], plan: AnyPlan | None, left_out: Collection[Identity] = ()
) -> tuple[Member, ...]:
    """The grid, then the job's banks in the plan's order, but for those left out. known: the grid first.

    Raises PlanError for a bank that is not among these.
    """
    grid, bank, *_ = known.values()
    named = plan.identities if isinstance(plan, SeveralPlan) else [plan.bank_named] if plan and plan.bank_named else []
    if not named:
        return grid, bank
    unknown = [str(who) for who in named if not isinstance(known.get(who), Bank)]
    if unknown:
        raise PlanError(
            f"no bank of this coordinator: {', '.join(unknown)}", remedy="Its operator lists banks in bank and more_banks."
        )
    return grid, *(known[who] for who in named if who not in left_out)


def to_leave_out(plan: AnyPlan | None, left_out: Collection[Identity], missing: Collection[Member]) -> tuple[Identity, ...]:
    """The banks without which a job may go on, where these members are missing; none where it has to wait for them.

    left_out: those without which it goes on already.
    """
    if not isinstance(plan, SeveralPlan) or plan.min_live is None or not missing:
        return ()
    gone = tuple(member.who for member in missing if isinstance(member, Bank))
    live = len(plan.banks) - len(left_out) - len(gone)
    return gone if len(gone) == len(missing) and live >= plan.min_live else ()
