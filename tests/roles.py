"""Each party's role over a home, for tests that run both parties in one process."""

from __future__ import annotations

from bank_party.role import BankRole
from common.home.home import Home
from common.party import Party
from common.stages.job import Role
from grid_party.role import GridRole


def role_of(party: Party, home: Home) -> Role:
    return GridRole(home) if party is Party.GRID else BankRole(home)
