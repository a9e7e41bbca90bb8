"""A book that a disk refuses after all parties have said that they can charge: what is left charged, and that it is so once."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bank_party.told import ToldBook
from common.home.rates import Rates
from common.home.rowbook import RowBook
from common.party import Party
from tests.common.stages.companies import Companies, frames

BOOKS: dict[str, tuple[type, str, Party, int]] = {
    "labels": (ToldBook, "charge_all", Party.BANK, 2),  # the first is of whether there are labels enough, before all agree
    "rates of the bank": (Rates, "charge", Party.BANK, 1),
    "rates of the grid": (Rates, "charge", Party.GRID, 1),
    "ledger": (RowBook, "charge", Party.GRID, 1),
}
TWICE = {"warnings"}  # what is told once more where a training is through


class Full:
    """A disk that refuses one charge to one book of one party; what came before it in the same call is undone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, folder: Path) -> None:
        owner, method, party, self.left = BOOKS[name]
        self.folder, self.whole = str(folder / party.value), getattr(owner, method)
        monkeypatch.setattr(owner, method, lambda book, *args, **more: self.charge(book, *args, **more))

    def charge(self, book: Any, *args: Any, **more: Any) -> None:
        place = str(getattr(book, "_file", "") or book._book._file)
        if place.startswith(self.folder):
            self.left -= 1
            if self.left == 0:
                raise OSError(errno.ENOSPC, "no space left", place)
        self.whole(book, *args, **more)


def standing(companies: Companies) -> dict[str, Any]:
    """All that stands in the books of both, by what it is for."""
    found: dict[str, Any] = {}
    for party in Party:
        home = companies.opened_home(party)
        for one in home.standings():
            charges = sorted((c.user, c.what, round(c.amount, 9), c.rows) for c in one.charges if c.what not in TWICE)
            found[f"{party.value} {one.key}"] = charges, sorted(one.spent.round(6).tolist()) if one.key != "label_bits" else []
        found[f"{party.value} rates"] = [(u.client, u.rows, u.models) for u in home.rates.usage()]
    return found


@pytest.mark.parametrize("name", BOOKS)
async def test_a_job_that_goes_on_after_a_refused_charge_has_paid_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    quiet, hurt = (Companies(tmp_path / kind) for kind in ("quiet", "hurt"))
    for one in (quiet, hurt):
        one.write(frames(seed=3, monthly=False))
    plan = quiet.plan(model={"iterations": 6, "reveal": "owners"})
    await quiet.run("job-1", plan)
    disk = Full(monkeypatch, name, tmp_path / "hurt")
    with pytest.raises(OSError, match="no space left"):
        await hurt.run("job-1", plan)
    assert disk.left == 0
    shown = standing(hurt)
    await hurt.run("job-1", plan, attempt=1)
    assert standing(hurt) == standing(quiet) and disk.left < 0
    assert shown != standing(hurt)


@pytest.mark.parametrize("name", BOOKS)
async def test_what_a_refused_charge_leaves_is_noted_at_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever had charged by then has it noted for its audit log, and its `budget` shows it."""
    companies, homes = Companies(tmp_path), dict[Party, Any]()
    companies.write(frames(seed=3, monthly=False))
    open_home: Callable[[Party], Any] = companies.opened_home
    monkeypatch.setattr(companies, "opened_home", lambda party: homes.setdefault(party, open_home(party)))
    plan = companies.plan(model={"iterations": 6, "reveal": "owners"})
    Full(monkeypatch, name, tmp_path)
    with pytest.raises(OSError, match="no space left"):
        await companies.run("job-1", plan)
    for party, home in homes.items():
        noted = home.left_charged("job-1")
        spent = {one.key for one in home.standings() if one.charges}
        if home.rates.usage():
            spent.add("rows_per_day")
        assert noted.keys() == spent and all(rows > 0 for rows in noted.values()), (party, noted, spent)
    assert homes.keys() == set(Party)
