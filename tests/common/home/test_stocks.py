"""A stock serves once: whatever is killed, restarted, copied or restored, its seed is handed out at most one time."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import DataError, LocalProtocolError, PolicyError
from common.home import stock, stocks
from common.home.stock import MAGIC, TAG_BYTES, StockFile, StoredArrays, stock_bytes
from common.home.stocks import MOST, Stocks, predealt
from common.learn.linear.ahead import dealt_arrays
from common.learn.linear.deal import TrainingDemand
from common.learn.linear.steps import make_work
from common.mpc.prg import Prg
from common.party import Party
from common.plan.predeal import PredealPlan
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan

DEALER = "wattscore://neutral/coordinator"
PLAN = PredealPlan.model_validate({"model": {"iterations": 6}, "rows": 300, "grid_columns": 2, "bank_columns": 3})
AHEAD = predealt(PLAN)
WORK = make_work(PLAN.model, TrainingDemand(300, 2, 3))
SIDES: dict[str, Any] = {"grid": {"dataset": "g"}, "bank": {"dataset": "b"}}


class Killed(BaseException):
    """What a process that is killed does next: nothing."""


def opened(folder: Path, dealer: str = DEALER, mib: int = 64) -> Stocks:
    """As a daemon that starts opens them."""
    return Stocks(folder / "stock", folder / "spent.sqlite", dealer, mib)


def store(shelf: Stocks, name: str = "predeal-1", seed: bytes | None = None, plan: PredealPlan = PLAN) -> bytes:
    """A whole stock of words that say where they stand; its seed."""
    seed = seed or Prg.fresh_seed()
    with shelf.create(name, plan, seed) as writer:
        for i, (label, shape) in enumerate(predealt(plan).arrays(Party.GRID)):
            writer.add(label, np.full(shape, i, np.uint64))
        writer.finish()
        writer.commit()
    return seed


def file(folder: Path, name: str = "predeal-1") -> Path:
    return folder / "stock" / f"{name}.stock"


def placed(stock: StockFile, arrays: list[Any]) -> list[tuple[Any, int]]:
    """Each array of a stock's first part and its place in the file."""
    places = itertools.accumulate((8 * math.prod(shape) + TAG_BYTES for _, shape in arrays), initial=stock.begin)
    return list(zip(arrays, places, strict=False))


def test_a_grids_stocks_are_each_of_one_bank_and_their_digests_tell_no_bank(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    store(shelf, "predeal-1")
    store(shelf.of("wattscore://north/bank-party"), "predeal-2")
    first, north = shelf.of(""), shelf.of("wattscore://north/bank-party")
    assert [[label.name for label in some.unspent()] for some in (shelf, first, north)] == [
        ["predeal-1", "predeal-2"],
        ["predeal-1"],
        ["predeal-2"],
    ]
    (label,) = north.unspent()
    assert np.array_equal(label.digest(), replace(label, bank="").digest())
    plan = PLAN.model_copy(update={"serves": "scores"})
    store(north, "predeal-3", plan=plan)
    asked = ScorePlan.model_validate({"model": "m", "dealt": "ahead", "with_bank": "wattscore://north/bank-party", **SIDES})
    north.check(asked, Party.GRID)
    with pytest.raises(PolicyError, match="the grid has no unspent stock for this plan: there is predeal-1 for"):
        first.check(asked, Party.GRID)


async def test_a_stock_gives_what_was_dealt_in_order_and_the_seed(tmp_path: Path) -> None:
    seed = store(opened(tmp_path))
    path = file(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert 0 < path.stat().st_size - stock_bytes(Party.GRID, AHEAD) < 500
    shelf = opened(tmp_path)
    (label,) = shelf.unspent()
    stock = shelf.spend(label)
    assert not path.exists() and stock.seed == seed
    link = StoredArrays(stock, Party.GRID, AHEAD)
    await link.demand(AHEAD.demand)
    for i, (round, shape) in enumerate(dealt_arrays(Party.GRID, WORK)):
        np.testing.assert_array_equal(await link.receive(round), np.full(shape, i, np.uint64))
    with pytest.raises(LocalProtocolError, match="out of order"):
        await link.receive(round)
    stock.close()


async def test_a_stock_is_read_in_order_for_its_size_and_takes_nothing(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    store(shelf)
    stock = shelf.spend(shelf.unspent()[0])
    link = StoredArrays(stock, Party.GRID, AHEAD)
    with pytest.raises(LocalProtocolError):
        await link.demand(TrainingDemand(299, 2, 3))
    second = list(dealt_arrays(Party.GRID, WORK))[1][0]
    with pytest.raises(LocalProtocolError):
        await link.receive(second)
    with pytest.raises(LocalProtocolError):
        await link.send(second, np.zeros(1, np.uint64))
    stock.close()


# Once


def test_a_stock_is_spent_once_and_its_name_stays_taken(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    store(shelf)
    (label,) = shelf.unspent()
    shelf.spend(label).close()
    for again in (shelf, opened(tmp_path)):
        assert again.unspent() == [] and again.has("predeal-1")
        with pytest.raises(PolicyError, match="predeal-1 is spent"):
            again.spend(label)


@pytest.mark.parametrize("name", ["predeal-1", "predeal-2"])
def test_a_restored_back_up_is_refused_under_any_name(tmp_path: Path, name: str) -> None:
    shelf = opened(tmp_path)
    seed = store(shelf)
    shutil.copy(file(tmp_path), tmp_path / "back-up")
    (label,) = shelf.unspent()
    shelf.spend(label).close()
    shutil.copy(tmp_path / "back-up", file(tmp_path, name))
    assert opened(tmp_path).unspent() == []
    assert not file(tmp_path, name).exists()
    store(shelf, name, seed)  # as if a coordinator dealt the same seed again
    assert opened(tmp_path).unspent() == []


def test_a_copy_that_comes_back_between_list_and_use_is_refused(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    store(shelf)
    shutil.copy(file(tmp_path), tmp_path / "back-up")
    (label,) = shelf.unspent()
    shelf.spend(label).close()
    shutil.copy(tmp_path / "back-up", file(tmp_path))
    with pytest.raises(PolicyError, match="it is a copy"):
        shelf.spend(label)


def test_the_file_alone_knows_too_that_it_is_spent(tmp_path: Path) -> None:
    """The book was lost, or restored with the file: an open copy of the file, by a hard link, has no seed any more."""
    shelf = opened(tmp_path)
    seed = store(shelf)
    os.link(file(tmp_path), tmp_path / "kept")
    shelf.spend(shelf.unspent()[0]).close()
    assert seed not in (tmp_path / "kept").read_bytes()
    (tmp_path / "spent.sqlite").unlink()
    shutil.move(tmp_path / "kept", file(tmp_path))
    assert opened(tmp_path).unspent() == []


def test_the_book_does_not_hold_seeds(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    seed = store(shelf)
    shelf.spend(shelf.unspent()[0]).close()
    assert seed not in (tmp_path / "spent.sqlite").read_bytes()


# Killed at each point: every call that changes the disk is a point to be killed before and after


class Points:
    """Counts calls that change the disk, and dies at one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.at = 0, -1
        for where, name in ((os, "fsync"), (os, "pwrite"), (Path, "unlink"), (Path, "rename"), (Stocks, "_enter")):
            self._watch(monkeypatch, where, name)
        self._watch(monkeypatch, stock.StockWriter, "_write")

    def _watch(self, monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
        call: Callable[..., Any] = getattr(where, name)

        def watched(*args: Any, **named: Any) -> Any:
            self._pass()
            result = call(*args, **named)
            self._pass()
            return result

        monkeypatch.setattr(where, name, watched)

    def _pass(self) -> None:
        self.count += 1
        if self.at >= 0 and self.count > self.at:
            raise Killed

    def kill(self, at: int, work: Callable[[], Any]) -> bool:
        """Whether `work` was killed at its point `at`; nothing changes the disk after that."""
        self.count, self.at = 0, at
        try:
            work()
        except Killed:
            return True
        finally:
            self.at = -1
        return False


def test_killed_at_any_point_of_spending_nothing_is_handed_out_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points, at, lost = Points(monkeypatch), 0, 0
    while True:
        folder = tmp_path / str(at)
        seed = store(opened(folder))
        shelf, handed = opened(folder), list[bytes]()
        (label,) = shelf.unspent()
        killed = points.kill(at, lambda: handed.append(shelf.spend(label).seed))  # noqa: B023
        entered = bool(sqlite3.connect(folder / "spent.sqlite").execute("select * from spent").fetchall())
        for _ in range(2):  # two starts of the daemon
            again = opened(folder)
            for found in again.unspent():
                handed.append(again.spend(found).seed)
        assert handed in ([], [seed])
        lost += not handed
        assert entered or handed == [seed]  # before it is entered in the book nothing is lost
        if not killed:
            break
        at += 1
    assert at >= 8 and lost >= 6


def test_killed_at_any_point_of_storing_there_is_a_whole_stock_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points, at, outcomes = Points(monkeypatch), 0, set()
    while True:
        folder = tmp_path / str(at)
        shelf = opened(folder)
        killed = points.kill(at, lambda: store(shelf))  # noqa: B023
        opened(folder).tidy()
        found = opened(folder).unspent()
        assert list((folder / "stock").iterdir()) == ([file(folder)] if found else [])
        if found:
            stock = opened(folder).spend(found[0])
            arrays = list(dealt_arrays(Party.GRID, WORK))
            read = [stock.read(*array, at).flat[0] for array, at in placed(stock, arrays)]
            assert read == list(range(len(arrays)))
            stock.close()
        outcomes.add(bool(found))
        if not killed:
            break
        at += 1
    assert outcomes == {True, False}


def test_a_daemon_that_starts_leaves_what_another_process_is_writing(tmp_path: Path) -> None:
    """Such as `bank-party predeal`, beside which the bank's daemon may start."""
    part, arrays = file(tmp_path).with_suffix(".part"), list(dealt_arrays(Party.GRID, WORK))
    with opened(tmp_path).create("predeal-1", PLAN, Prg.fresh_seed()) as writer:
        opened(tmp_path).tidy()
        assert part.exists()
        for label, shape in arrays:
            writer.add(label, np.zeros(shape, np.uint64))
        writer.finish()
        writer.commit()
    assert [label.name for label in opened(tmp_path).unspent()] == ["predeal-1"]
    shutil.copy(file(tmp_path), part)  # as one whose writer was killed
    opened(tmp_path).tidy()
    assert not part.exists()


# What is not used


def test_a_stock_of_another_coordinator_or_damaged_is_removed(tmp_path: Path) -> None:
    store(opened(tmp_path))
    assert opened(tmp_path, "wattscore://other/coordinator").unspent() == []
    assert not file(tmp_path).exists()
    for broken in (b"", MAGIC, MAGIC + b"\xff\xff\xff\xff", MAGIC + b"\x02\0\0\0{}", MAGIC + b"\x02\0\0\0]["):
        file(tmp_path, "predeal-2").write_bytes(broken + bytes(40))
        assert opened(tmp_path).unspent() == []


def test_words_that_changed_on_the_disk_are_found(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    store(shelf)
    data = bytearray(file(tmp_path).read_bytes())
    data[-20] ^= 1
    file(tmp_path).write_bytes(data)
    stock = shelf.spend(shelf.unspent()[0])
    arrays = list(dealt_arrays(Party.GRID, WORK))
    *whole, (last, at) = placed(stock, arrays)
    assert len([stock.read(*array, place) for array, place in whole]) == len(arrays) - 1
    with pytest.raises(DataError, match="damaged"):
        stock.read(*last, at)
    stock.close()


# Room


def test_a_stock_beyond_the_budget_or_the_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = PLAN.model_copy(update={"rows": 4000})
    size = stock_bytes(Party.GRID, predealt(plan))
    mib = -(-size // (1 << 20))
    shelf = opened(tmp_path, mib=mib)
    shelf.check(plan, Party.GRID)
    store(shelf, plan=plan)
    with pytest.raises(PolicyError, match=rf"beside 1 others of {mib} MiB \(expected .*stock_mib") as caught:
        shelf.check(plan, Party.GRID)
    assert "stock_mib" in caught.value.remedy
    opened(tmp_path, mib=2 * mib).check(plan, Party.GRID)
    with pytest.raises(PolicyError):
        opened(tmp_path, mib=0).check(PLAN, Party.GRID)
    usage = shutil.disk_usage(tmp_path)._replace(free=size - 1)
    monkeypatch.setattr(stocks.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(PolicyError, match="a disk with room"):
        opened(tmp_path, mib=2 * mib).check(plan, Party.GRID)


def test_there_are_only_as_many_as_a_message_lists(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    for i in range(MOST):
        shelf.check(PLAN, Party.GRID)
        store(shelf, f"predeal-{i}")
    with pytest.raises(PolicyError, match=f"beside {MOST} others"):
        shelf.check(PLAN, Party.GRID)
    assert [label.name for label in shelf.unspent()] == [f"predeal-{i}" for i in range(MOST)]


def test_no_bank_takes_the_places_or_the_disk_of_another(tmp_path: Path) -> None:
    """Nor what is left of the disk by stocks of a bank that is not one of the grid's any more."""
    north, south = "wattscore://north/bank-party", "wattscore://south/bank-party"
    size = stock_bytes(Party.GRID, predealt(PLAN)) + 1000  # and its label
    mib = 3 * (1 + MOST * size // (1 << 20))
    shelf = Stocks(tmp_path / "stock", tmp_path / "spent.sqlite", DEALER, mib, banks=3)
    for i in range(MOST):
        shelf.of(north).check(PLAN, Party.GRID)
        store(shelf.of(north), f"predeal-{i}")
    with pytest.raises(PolicyError, match=f"beside {MOST} others"):
        shelf.of(north).check(PLAN, Party.GRID)
    large = PLAN.model_copy(update={"rows": 4000})
    each = -(-stock_bytes(Party.GRID, predealt(large)) // (1 << 20))
    tight = Stocks(tmp_path / "tight", tmp_path / "tight.sqlite", DEALER, 3 * each, banks=3)
    for bank in ("", north):
        shelf.of(south).check(PLAN, Party.GRID)
        tight.of(bank).check(large, Party.GRID)
        store(tight.of(bank), f"predeal-of{len(bank)}", plan=large)
        with pytest.raises(PolicyError, match=rf"of {each} MiB in all \(stock_mib, a part for each of 3 banks\)"):
            tight.of(bank).check(large, Party.GRID)
    tight.of(south).check(large, Party.GRID)
    fewer = Stocks(tmp_path / "tight", tmp_path / "tight.sqlite", DEALER, 2 * each, banks=1)
    with pytest.raises(PolicyError, match="no room"):
        fewer.of(south).check(large, Party.GRID)


def test_a_training_without_a_stock_for_its_model_is_refused_with_what_there_is(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    store(shelf)
    for change, good in (
        ({"ridge": 0.1}, True),
        ({"iterations": 7}, False),
        ({"full_steps": 0}, False),
        ({"full_steps": 5}, False),
    ):
        model = {"iterations": 6, **change}
        plan = TrainPlan.model_validate({**SIDES, "model": model, "dealt": "ahead"})
        if good:
            shelf.check(plan, Party.BANK)
        else:
            with pytest.raises(PolicyError, match=r"the bank has no .* predeal-1 for 300 rows x \(2 \+ 3\)") as caught:
                shelf.check(plan, Party.BANK)
            assert "wattscore predeal" in caught.value.remedy
    shelf.check(TrainPlan.model_validate(SIDES), Party.BANK)


def test_scores_and_trainings_share_no_stock(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    asked = ScorePlan.model_validate({**SIDES, "model": "job-1", "dealt": "ahead"})
    training = TrainPlan.model_validate({**SIDES, "model": {"iterations": 6}, "dealt": "ahead"})
    store(shelf)
    shelf.check(training, Party.GRID)
    with pytest.raises(PolicyError, match="no unspent stock"):
        shelf.check(asked, Party.GRID)
    shelf.discard(shelf.unspent()[0])
    scores = {"serves": "scores", "rows": 300, "grid_columns": 2, "bank_columns": 3}
    store(shelf, "predeal-2", plan=PredealPlan.model_validate(scores))
    shelf.check(asked, Party.GRID)
    finer = asked.model_copy(update={"score_bits": 4})
    for plan in (training, finer):
        with pytest.raises(PolicyError, match="no unspent stock"):
            shelf.check(plan, Party.GRID)
