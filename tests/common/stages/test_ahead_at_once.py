"""Jobs at once that want the same stocks: each has one alone, what was sent by none is lost by none, the last is dealt to."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from common.errors import DataError, PeerProtocolError, PolicyError
from common.home.stock import StockFile, dealing
from common.home.stocks import Stocks
from common.learn.learner import Size
from common.mpc.beside import side_by_side
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.predeal import PredealPlan
from common.stages.ahead import TRAINING, Wants, _take
from tests.common.stages.companies import Companies, frames
from tests.common.stages.test_ahead import AHEAD, EXACT, ahead, deal, make_old, names, shelf
from tests.patience import patience
from tests.peers import Trio

SIZE = Size(2100, 3, 4)
WANTS = Wants(dealing(AHEAD), SIZE, TRAINING)
DEALT = ("predeal-1", "predeal-2", "predeal-3")


async def took(folder: Path, *, may_lack: bool = False, trio: Trio | None = None) -> dict[Party, str | None]:
    """The names of the stocks that the two parties of a job take."""
    trio = trio or Trio()

    async def side(party: Party) -> str | None:
        if (stock := await _take(trio.session[party], shelf(folder, party), WANTS, may_lack)) is None:
            return None
        stock.close()
        return stock.label.name

    return dict(zip(Party, await side_by_side(map(side, Party)), strict=True))


@pytest.mark.parametrize("jobs", [2, 3, 5])
async def test_jobs_at_once_take_a_stock_each_the_same_at_both_and_none_is_lost(tmp_path: Path, jobs: int) -> None:
    """Five of three: two are told that others have them, or that there is none any more."""
    for name in DEALT:
        await deal(tmp_path, EXACT, name)
    found = await asyncio.gather(*(took(tmp_path) for _ in range(jobs)), return_exceptions=True)
    taken = [one for one in found if isinstance(one, dict)]
    assert all(one[Party.GRID] == one[Party.BANK] for one in taken)
    assert len({one[Party.BANK] for one in taken}) == len(taken) == min(jobs, len(DEALT)), found
    assert all(isinstance(one, (dict, PolicyError)) for one in found), found
    left = sorted(set(DEALT) - {one[Party.BANK] for one in taken})
    assert names(tmp_path) == {"grid": left, "bank": left}


@pytest.mark.parametrize("party", list(Party))
async def test_a_stock_that_another_job_has_is_left_to_it_and_the_next_is_taken(tmp_path: Path, party: Party) -> None:
    for name in DEALT[:2]:
        await deal(tmp_path, EXACT, name)
    place = shelf(tmp_path, party)
    held = place.reserve(next(label for label in place.unspent() if label.name == "predeal-1"))
    assert held is not None
    assert await took(tmp_path) == dict.fromkeys(Party, "predeal-2")
    trio = Trio()
    with pytest.raises(PolicyError, match="other jobs have all stocks that fit: 1 of there is predeal-1"):
        await took(tmp_path, trio=trio)
    assert all(trio.session[one].traffic.sent.keys() == {Kind.STOCK} for one in Party)
    assert await took(tmp_path, may_lack=True) == dict.fromkeys(Party)
    held.close()  # the job ended, having sent nothing
    assert await took(tmp_path) == dict.fromkeys(Party, "predeal-1")


async def test_a_stock_that_a_job_has_is_not_discarded_though_the_other_party_has_used_it(tmp_path: Path) -> None:
    """The grid has used it for a job of which the bank is about to."""
    for name in DEALT[:2]:
        await deal(tmp_path, EXACT, name)
    make_old(tmp_path)
    grid, bank = (shelf(tmp_path, party) for party in Party)
    label = next(one for one in bank.unspent() if one.name == "predeal-1")
    held = bank.reserve(label)
    assert held is not None
    grid.spend(label).close()
    assert await took(tmp_path) == dict.fromkeys(Party, "predeal-2")
    bank.use(held)
    held.close()
    assert names(tmp_path) == {"grid": [], "bank": []}


async def test_a_job_whose_stock_others_have_is_dealt_to_and_says_so(tmp_path: Path) -> None:
    companies = Companies(tmp_path)
    companies.write(frames(seed=3, monthly=False))
    sizes = {"rows": 350, "grid_columns": 5, "bank_columns": 3}
    await deal(tmp_path, PredealPlan.model_validate({"model": {"iterations": 8}, **sizes}))
    place = companies.stocks(Party.BANK)
    held = place.reserve(place.unspent()[0])
    assert held is not None
    outcomes = await companies.run("job-1", companies.plan(model={"iterations": 8}, dealt="ahead"))
    assert all("other jobs have all stocks that fit" in str(one.public_warnings) for one in outcomes.values())
    assert any(label.kind is Kind.DEALT_TRUNCATION for label, _ in companies.trio.to_party[Party.GRID].log)
    result = outcomes[Party.BANK].evaluation
    assert result is not None and result.joint.auc > result.bank_only.auc + 0.08
    held.close()
    assert names(tmp_path) == {"grid": ["predeal-1"], "bank": ["predeal-1"]}
    await deal(tmp_path, PredealPlan.model_validate({"serves": "scores", **sizes, "rows": 600}), "predeal-2")
    place = companies.stocks(Party.GRID)
    held = place.reserve(next(label for label in place.unspent() if label.name == "predeal-2"))
    assert held is not None
    outcomes = await companies.run("job-2", companies.plan(kind="score", model="job-1", dealt="ahead"))
    assert all("other jobs have all stocks that fit" in str(one.public_warnings) for one in outcomes.values())
    held.close()
    assert names(tmp_path) == {"grid": ["predeal-1", "predeal-2"], "bank": ["predeal-1", "predeal-2"]}


async def test_parties_whose_releases_deal_otherwise_spend_nothing_and_hear_why(tmp_path: Path) -> None:
    await deal(tmp_path, EXACT)
    make_old(tmp_path)
    trio = Trio()

    async def side(party: Party) -> Any:
        wants = WANTS if party is Party.GRID else Wants("of another release", SIZE, TRAINING)
        return await _take(trio.session[party], shelf(tmp_path, party), wants, may_lack=False)

    found = await asyncio.gather(*map(side, Party), return_exceptions=True)
    assert [type(one) for one in found] == [PeerProtocolError] * 2
    assert all("release deals otherwise" in str(one) for one in found)
    assert names(tmp_path) == {"grid": ["predeal-1"], "bank": ["predeal-1"]}


async def test_nothing_is_masked_by_a_stock_that_the_other_party_has_not_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bank ends before it has: it holds the stock still. So does the grid, once its home is restored, and masks by it."""
    await deal(tmp_path, EXACT)
    shutil.copytree(tmp_path / "grid", tmp_path / "back-up")
    trio, use, post, spent, next_ = Trio(), Stocks.use, Session.post, list[Party](), Event()

    def uses(self: Stocks, stock: StockFile) -> None:
        if self._folder.is_relative_to(tmp_path / "bank"):
            assert next_.wait(patience(10.0))  # for whatever the grid sends once it has spent it
            raise DataError("the disk is full", public="a disk is full")
        use(self, stock)
        spent.append(Party.GRID)

    async def posts(self: Session, kind: Kind, mine: Any) -> None:
        await post(self, kind, mine)
        if spent and self.party is Party.GRID:
            next_.set()

    monkeypatch.setattr(Stocks, "use", uses)
    monkeypatch.setattr(Session, "post", posts)
    with pytest.raises(DataError):
        await ahead(tmp_path, trio)
    monkeypatch.undo()
    assert names(tmp_path) == {"grid": [], "bank": ["predeal-1"]}
    assert trio.session[Party.GRID].traffic.sent.keys() == {Kind.STOCK}
    shutil.rmtree(tmp_path / "grid")
    (tmp_path / "back-up").rename(tmp_path / "grid")
    assert await took(tmp_path) == dict.fromkeys(Party, "predeal-1")


HOLDS = """
import sys
from pathlib import Path
from common.home.stocks import Stocks

home = Path(sys.argv[1])
shelf = Stocks(home / "stock", home / "spent.sqlite", "wattscore://neutral/coordinator", 64)
(label,) = shelf.unspent()
stock = shelf.reserve(label)
if sys.argv[2] == "uses":
    shelf._enter(label.name, stock.seed)
print("there", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("party", list(Party))
@pytest.mark.parametrize("then", ["has", "uses"])
async def test_a_process_killed_while_it_has_a_stock_gives_it_back_unless_it_may_have_sent_of_it(
    tmp_path: Path, party: Party, then: str
) -> None:
    await deal(tmp_path, EXACT)
    make_old(tmp_path)
    command = [sys.executable, "-c", HOLDS, str(tmp_path / party.value), then]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "there\n"
        if then == "has":
            with pytest.raises(PolicyError, match="other jobs have all"):
                await ahead(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
    if then == "has":
        await ahead(tmp_path)
    else:
        with pytest.raises(PolicyError, match="there is none"):
            await ahead(tmp_path)
    assert names(tmp_path) == {"grid": [], "bank": []}


async def test_who_is_ended_while_a_stock_is_used_up_knows_what_became_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled job waits for the three steps: closed between, a file's number might be another file's."""
    await deal(tmp_path, EXACT)
    loop, erasing, erase, ended = asyncio.get_running_loop(), asyncio.Event(), StockFile.erase, list[bool]()

    def erases(self: StockFile) -> None:
        loop.call_soon_threadsafe(erasing.set)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()  # the cancelled job has had its turn
        erase(self)
        ended.append(self.erased)

    monkeypatch.setattr(StockFile, "erase", erases)
    job = asyncio.ensure_future(took(tmp_path))
    await erasing.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert ended and all(ended)
    monkeypatch.undo()
    for party in Party:
        place = shelf(tmp_path, party)
        assert len(place.unspent()) + place.position == 1


def test_a_stock_that_a_job_has_lies_on_the_shelf_for_who_looks(tmp_path: Path) -> None:
    """Pages and lists show it, a prune may delete it: the job that has it uses it up all the same."""
    asyncio.run(deal(tmp_path, EXACT))
    place: Stocks = shelf(tmp_path, Party.GRID)
    (label,) = place.unspent()
    held = place.reserve(label)
    assert held is not None
    assert [one.label for one in place.held()] == [label] == place.unspent() and place.reserve(label) is None
    assert not place.drop(label) and place.unspent() == [label]
    place.remove(label.name)
    place.use(held)
    held.close()
    with pytest.raises(PolicyError, match="is spent"):
        place.reserve(label)
    assert place.position == 1
