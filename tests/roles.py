"""Each party's role over a home, for tests that run both parties in one process."""

from __future__ import annotations

from bank_party.home import BankHome
from bank_party.role import BankRole
from common.home.home import Home
from common.stages.job import Role
from grid_party.home import GridHome
from grid_party.role import GridRole


def role_of(home: Home) -> Role:
    if isinstance(home, GridHome):
        return GridRole(home)
    assert isinstance(home, BankHome)
    return BankRole(home)
