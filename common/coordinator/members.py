"""Which of the parties that a coordinator knows a job is of."""

from __future__ import annotations

from collections.abc import Mapping

from common.errors import PlanError
from common.party import Bank, Identity, Member
from common.plan.read import AnyPlan
from common.plan.several import SeveralPlan


def members_of(known: Mapping[Identity, Member], plan: AnyPlan | None) -> tuple[Member, ...]:
    """The grid, then the job's banks in the plan's order. known: the grid first. Raises PlanError for a bank not among them."""
    grid, bank, *_ = known.values()
    named = plan.identities if isinstance(plan, SeveralPlan) else [plan.bank_named] if plan and plan.bank_named else []
    if not named:
        return grid, bank
    unknown = [str(who) for who in named if not isinstance(known.get(who), Bank)]
    if unknown:
        raise PlanError(
            f"no bank of this coordinator: {', '.join(unknown)}", remedy="Its operator lists banks in bank and more_banks."
        )
    return grid, *(known[who] for who in named)
