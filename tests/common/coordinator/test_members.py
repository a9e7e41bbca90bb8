"""Which parties a job is of: by the plan's bank, or the first."""

from __future__ import annotations

import pytest

from common.coordinator.members import members_of
from common.errors import PlanError
from common.party import Bank, Identity, Member, Party
from common.plan.score import ScorePlan
from tests.banks import several_plan

GRID, FIRST, NORTH = (
    Identity(org, role) for org, role in (("volt", "grid-party"), ("acme", "bank-party"), ("north", "bank-party"))
)


def asked(who: Identity | None) -> ScorePlan:
    sides = {"grid": {"dataset": "g"}, "bank": {"dataset": "b"}}
    return ScorePlan.model_validate({**sides, "model": "m", "with_bank": None if who is None else str(who)})


def test_a_bank_is_known_by_its_name_also_where_it_is_the_only_one() -> None:
    one: dict[Identity, Member] = {GRID: Party.GRID, FIRST: Party.BANK}
    several: dict[Identity, Member] = {GRID: Party.GRID, FIRST: Bank(FIRST), NORTH: Bank(NORTH)}
    assert members_of(one, asked(None)) == members_of(one, asked(FIRST)) == (Party.GRID, Party.BANK)
    assert members_of(several, asked(None)) == members_of(several, asked(FIRST)) == (Party.GRID, Bank(FIRST))
    assert members_of(several, asked(NORTH)) == (Party.GRID, Bank(NORTH))


@pytest.mark.parametrize("who", [NORTH, GRID])
def test_another_identity_is_no_bank(who: Identity) -> None:
    with pytest.raises(PlanError, match=f"no bank of this coordinator: {who}"):
        members_of({GRID: Party.GRID, FIRST: Party.BANK}, asked(who))
    with pytest.raises(PlanError, match=r"wattscore://bank-0/bank-party, wattscore://bank-1/bank-party"):
        members_of({GRID: Party.GRID, FIRST: Bank(FIRST)}, several_plan(2))
