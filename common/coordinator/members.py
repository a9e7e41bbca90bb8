"""Which of the parties that a coordinator knows a job is of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from common.errors import IdentityError, PlanError
from common.party import Bank, Identity, Member
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan
from common.plan.score import ScorePlan
from common.plan.several import SeveralPlan


def members_of(
    known: Mapping[Identity, Member], plan: AnyPlan | None, left_out: Collection[Identity] = ()
) -> tuple[Member, ...]:
    """The grid, then the job's banks in the plan's order, but for those left out. known: the grid first.

    Raises PlanError for a bank that is not among these.
    """
    grid, bank, *_ = known.values()
    of_plan = plan.identities if isinstance(plan, SeveralPlan) else [plan.bank_named] if plan and plan.bank_named else []
    if not of_plan:
        return grid, bank
    named = [who for who in of_plan if who not in left_out]
    unknown = [str(who) for who in named if known.get(who) in (None, grid)]
    if unknown:
        raise PlanError(
            f"no bank of this coordinator: {', '.join(unknown)}", remedy="Its operator lists banks in bank and more_banks."
        )
    return grid, *(known[who] for who in named)


def check_model(known: Mapping[Identity, Member], plan: AnyPlan, trained: Callable[[str], AnyPlan | None]) -> None:
    """Raises PlanError for a plan about the model of a training of several banks that has none for the plan's bank.

    trained: the plan of a job, as far as it is known here to who asks.
    """
    job = plan.model if isinstance(plan, ScorePlan | PromotePlan) else None
    if job is None or not isinstance(several := trained(job), SeveralPlan):
        return
    if several.alone:
        raise PlanError(
            f"the model of {job} was trained by banks alone: it is each bank's own, and no job is about it",
            remedy=f"Each bank does it by itself: bank-party promote {job}, and bank-party score --model {job}.",
        )
    _, bank = members_of(known, plan)
    if isinstance(bank, Bank) and bank.who not in several.identities:
        raise PlanError(
            f"the bank {bank.who} has no model of {job}, which is of others",
            remedy=f"Name one of them (--with-bank, with_bank): {', '.join(map(str, several.identities))}.",
        )


def to_leave_out(plan: AnyPlan | None, left_out: Collection[Identity], missing: Collection[Member]) -> tuple[Identity, ...]:
    """The banks without which a job may go on, where these members are missing; none where it has to wait for them.

    left_out: those without which it goes on already.
    """
    if not isinstance(plan, SeveralPlan) or plan.min_live is None or not missing:
        return ()
    gone = tuple(member.who for member in missing if isinstance(member, Bank))
    live = len(plan.banks) - len(left_out) - len(gone)
    return gone if len(gone) == len(missing) and live >= plan.min_live else ()


def displaced(party: Member) -> IdentityError:
    """What a process hears that another one of its identity has sent away."""
    return IdentityError(
        f"another process attends as the {party.value} with this certificate",
        remedy="End one of the two: each time one comes back, the other is sent away, and its job with it.",
    )
