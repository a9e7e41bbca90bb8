"""One party's job with nobody at the other end."""

from __future__ import annotations

from typing import Any

from common.match.ecdh import match_ids
from common.party import Party
from common.stages.job import PartyJob
from tests.common.stages.companies import Companies, Recorder
from tests.peers import Trio
from tests.roles import role_of


def alone(companies: Companies, trio: Trio | None = None, **more: Any) -> PartyJob:
    """The grid's, of a plan with these keys. trio: where somebody is to answer."""
    plan, home = companies.plan(**more), companies.opened_home(Party.GRID)
    session = (trio or Trio(plan.allowed)).session[Party.GRID]
    dataset, role = companies.dataset(Party.GRID), role_of(home)
    return PartyJob("job-1", plan, dataset, session, None, Recorder(), home, role, match_ids, client="c")  # type: ignore[arg-type]
