"""A party's home: exactly its own books, private, and what it knows of jobs."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from bank_party.decision.config import DecisionConfig
from bank_party.home import BankHome
from bank_party.monitor.config import BankMonitorConfig
from bank_party.settings import BankPolicy
from common.disk import data_folder
from common.disk.data_folder import Name
from common.disk.files import part_of
from common.errors import PolicyError
from common.home.audit import What
from common.home.jobbook import Offered
from common.monitor.config import MonitorConfig
from grid_party.home import GridHome
from grid_party.settings import GridPolicy
from tests.common.home.test_stocks import store
from tests.common.stages.tables import table

DEALER = "wattscore://neutral/coordinator"
WHEN_NEEDED = {Name.MODELS, Name.SCORES, Name.SCRATCH, Name.LOG, Name.ANSWERS, Name.SHADOWS, Name.PIPELINE, Name.LOGINS}
"""Made by what first writes there."""


def grid(data: Path) -> GridHome:
    return GridHome(data, DEALER, GridPolicy(), MonitorConfig())


def bank(data: Path) -> BankHome:
    return BankHome(data, DEALER, BankPolicy(), BankMonitorConfig(), DecisionConfig())


@pytest.mark.parametrize(("opened", "kept"), [(grid, data_folder.GRID), (bank, data_folder.BANK)], ids=["grid", "bank"])
def test_a_fresh_folder_has_a_partys_own_books_and_nobody_elses(
    tmp_path: Path, opened: type, kept: list[data_folder.Kept]
) -> None:
    opened(tmp_path / "data")
    found = {file.name for file in (tmp_path / "data").iterdir()}
    found = {name.removesuffix("-wal").removesuffix("-shm") for name in found}  # of books that stay open
    assert found == {k.name.value for k in kept} - {name.value for name in WHEN_NEEDED}
    assert all(not stat.S_IMODE(file.stat().st_mode) & 0o077 for file in (tmp_path / "data").iterdir())
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_empty_books_of_the_other_party_from_before_do_no_harm(tmp_path: Path) -> None:
    for opened in (grid, bank):
        opened(tmp_path)
    assert not grid(tmp_path).knows("job-1") and not bank(tmp_path).knows("job-1")


def test_a_name_is_known_by_what_a_job_has_left(tmp_path: Path) -> None:
    rows = table(["A", "B"])
    lender, decider = grid(tmp_path / "grid"), bank(tmp_path / "bank")
    lender.ledger.charge(rows, "score-1", 3)
    decider.told.charge(rows, "train-1", "counts", 1.0, 1.0)
    decider.scores_of("score-2").parent.mkdir()
    decider.scores_of("score-2").write_text("id,u\n")
    assert [home.knows(job) for home in (lender, decider) for job in ("score-1", "train-1", "score-2")] == [
        True, False, False, False, True, True,
    ]  # fmt: skip


def test_every_book_of_what_was_spent_has_a_position_that_grows(tmp_path: Path) -> None:
    home = grid(tmp_path)
    before = home.positions()
    assert before == dict.fromkeys(before, 0)
    assert set(before) >= {
        n.value for n in (Name.SEEDS, Name.SETS, Name.REGISTRY, Name.SPENT, Name.RATES, Name.JOBS, Name.LEDGER)
    }
    home.rates.begin("wattscore://acme/one", "job-1", home.policy)
    home.rates.charge("wattscore://acme/one", table(["A"]), "job-1", home.policy)
    store(home.stocks, "predeal-1")
    home.stocks.spend(home.stocks.unspent()[0]).close()
    home.jobs.enter(Offered("job-1"))
    now = grid(tmp_path).positions()
    assert (now[Name.RATES], now[Name.SPENT], now[Name.JOBS]) == (2, 1, 1)
    home.audit.add(What.END, "job-1", books=now)
    for name in (Name.RATES, Name.SPENT, Name.JOBS):
        (tmp_path / name).unlink()
        less = now | {name.value: grid(tmp_path).positions()[name.value]}
        with pytest.raises(PolicyError, match=f"{name} holds less"):
            home.audit.check_books(less.copy, "grid-party")


def test_what_a_killed_daemon_has_left_half_written_is_tidied_wherever_it_lies(tmp_path: Path) -> None:
    """Half an opening of what was dealt holds a seed, half a model shares: under names that no other file takes."""
    home, places = grid(tmp_path), ("dealt", "models/train-1", "unfinished/train-2", ".")
    parts = [part_of(tmp_path / place / "file") for place in places]
    for part in parts:
        part.parent.mkdir(parents=True, exist_ok=True)
        for name in (part, part.with_name(f"{part.name}.new"), part.with_name("file.part")):
            name.write_text("half")
            os.utime(name, (time.time() - 7200,) * 2)
    os.utime(parts[1], None)  # by a process that writes it now
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    home.tidy()
    assert before - {path for path in tmp_path.rglob("*") if path.is_file()} == {parts[0], *parts[2:]}
