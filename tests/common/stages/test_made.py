"""A stock that two companies make between them: made, found by both, used once, and left where either's key is another."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from common.errors import PeerProtocolError, PolicyError
from common.home.outcome import Outcome
from common.home.stock import StockFile
from common.home.stocks import Stocks
from common.learn.linear.made import SPARE_ROWS
from common.match.ecdh import match_ids
from common.mpc.prg import Prg
from common.mpc.session import Array, Kind, Round
from common.party import Party
from common.plan.policy import Policy
from common.plan.predeal import PredealPlan
from common.stages.ahead import TRAINING
from common.stages.estimate import Sizes, estimate
from common.stages.predeal import predeal
from tests.common.stages.companies import POLICY, Companies, Recorder, frames
from tests.common.stages.test_ahead import names, shelf
from tests.common.stages.test_undealt import auc, dealt
from tests.patience import patience
from tests.peers import KEYS, Trio

MODEL: dict[str, Any] = {"dealer": "none", "reveal": "owners", "iterations": 12}
PLAN = PredealPlan.model_validate({"model": MODEL, "rows": 400, "grid_columns": 6, "bank_columns": 4})


async def make(
    folder: Path, plan: PredealPlan = PLAN, job: str = "predeal-1", keys: dict[Party, bytes] = KEYS, trio: Trio | None = None
) -> dict[Party, Outcome]:
    """A predealing job between the two alone."""
    trio = trio or Trio(plan.allowed)

    async def side(party: Party) -> Outcome:
        made = predeal(job, plan, trio.session[party], None, Prg.fresh_seed(), shelf(folder, party), Recorder(), keys[party])
        return await made

    tasks = [asyncio.create_task(side(party)) for party in Party]
    try:
        return dict(zip(Party, await asyncio.gather(*tasks), strict=True))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def companies(folder: Path) -> Companies:
    found = Companies(folder, policy=POLICY.model_copy(update={"no_dealer": True}))
    found.match = lambda _: match_ids
    found.write(frames(seed=3, monthly=False))
    return found


@pytest.mark.parametrize("link", ["fourier", "taylor"])
@pytest.mark.parametrize("reveal", ["none", "owners"])
async def test_a_training_takes_one_asks_nobody_and_ranks_as_without(tmp_path: Path, link: str, reveal: str) -> None:
    both, model = companies(tmp_path), {**MODEL, "link": link, "reveal": reveal, "iterations": 20}
    plan = both.plan(model=model, matching="ecdh", dealt="ahead")
    trio, stock = Trio(PLAN.allowed), PredealPlan.model_validate({**PLAN.model_dump(), "model": model})
    outcomes = await make(tmp_path, stock, trio=trio)
    assert outcomes[Party.BANK].counts == {"train_rows": 400, "trained_columns": 4, "iterations": 20}
    sent = {f"{p.value}_to_{p.other.value}": sum(v.nbytes for _, v in trio.peer[p].log) for p in Party}
    told = {line: count for line, count in estimate(stock, Sizes(1, 1, 1)).bytes.items() if count}
    assert told == sent

    found = await both.run("job-1", plan)
    assert dealt(both) == {Kind.SEED} and names(tmp_path) == {"grid": [], "bank": []}
    assert Kind.LATTICE_BITS not in both.trio.session[Party.GRID].traffic.sent
    expected = estimate(plan, Sizes(500, 5, 3, 560, 540)).bytes
    for p in Party:
        count = sum(v.nbytes for _, v in both.trio.peer[p].log)
        assert expected[f"{p.value}_to_{p.other.value}"] == pytest.approx(count, rel=0.01)
    online = await both.run("job-2", both.plan(model=model, matching="ecdh"))
    assert abs(auc(found) - auc(online)) < 0.01


async def test_one_that_was_made_under_another_key_is_left_and_spent(tmp_path: Path) -> None:
    both = companies(tmp_path)
    plan = both.plan(model=MODEL, matching="ecdh", dealt="ahead")
    await make(tmp_path, keys={**KEYS, Party.GRID: bytes(32)})
    back_up = {p: (tmp_path / p.value / "stock" / "predeal-1.stock").read_bytes() for p in Party}
    with pytest.raises(PolicyError, match=r"fits 350 rows x \(5 \+ 3\) columns: there is none"):
        await both.run("job-1", plan)
    for party, data in back_up.items():  # no copy of it comes back
        (tmp_path / party.value / "stock" / "predeal-1.stock").write_bytes(data)
    assert names(tmp_path) == {"grid": [], "bank": []}
    await make(tmp_path, job="predeal-2")
    await both.run("job-2", plan)


@pytest.mark.parametrize(
    "party, kind",
    [*((party, Kind.LATTICE_BITS) for party in Party), (Party.GRID, Kind.LATTICE_PHASORS), (Party.BANK, Kind.LATTICE_REPLY)],
)
async def test_a_stock_of_a_word_that_the_line_changed_is_nobody_s(tmp_path: Path, party: Party, kind: Kind) -> None:
    """The training that takes it would compare its own words alone."""
    trio, left = Trio(PLAN.allowed), [1]
    own = trio.peer[party].send

    async def send(label: Round, values: Array) -> None:
        if label.kind is kind and left[0]:
            left[0], values = 0, values.copy()
            values[-1, -1] ^= values.dtype.type(1)
        await own(label, values)

    trio.peer[party].send = send  # type: ignore[method-assign]
    with pytest.raises(PeerProtocolError, match="a word between them is another"):
        await make(tmp_path, trio=trio)
    assert not left[0] and not list(tmp_path.glob("*/stock/*"))


@pytest.mark.parametrize("party", list(Party))
async def test_a_company_that_dies_between_taking_and_using_uses_it_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, party: Party
) -> None:
    both = companies(tmp_path)
    plan = both.plan(model=MODEL, matching="ecdh", dealt="ahead")
    await make(tmp_path)
    use, other_has = Stocks.use, threading.Event()

    def dies(self: Stocks, stock: StockFile) -> None:
        use(self, stock)
        if self._folder.parent.name == party.value:
            assert other_has.wait(patience(60))  # one that is broken off before it spends keeps its half for a while
            raise ConnectionError("killed")
        other_has.set()

    monkeypatch.setattr(Stocks, "use", dies)
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(both.run("job-1", plan), patience(60))
    assert {label.kind for p in Party for label, _ in both.trio.peer[p].log} & {Kind.MASKED_U, Kind.LATTICE_WEIGHTS} == set()
    monkeypatch.undo()
    with pytest.raises(PolicyError):
        await both.run("job-2", plan)
    assert names(tmp_path) == {"grid": [], "bank": []}
    again = await both.run("job-1", plan, attempt=1)  # made anew now, with what nobody has used
    assert again[Party.BANK].counts["iterations"] == 12


async def test_of_a_making_in_which_one_fails_neither_has_a_stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("common.home.stock.StockWriter.finish", full)
    with pytest.raises(Exception, match="No space left"):
        await make(tmp_path)
    assert not list(tmp_path.glob("*/stock/*"))


def test_a_policy_that_wants_a_dealer_makes_none() -> None:
    with pytest.raises(PolicyError, match="no_dealer = false"):
        Policy().check(PLAN)
    Policy(no_dealer=True).check(PLAN)


def test_scores_take_none() -> None:
    with pytest.raises(ValueError, match="take no stock"):
        PredealPlan.model_validate({**PLAN.model_dump(), "serves": "scores"})


def test_as_many_rows_to_spare_as_the_scale_of_phasors_has_room_for() -> None:
    assert TRAINING.rows == SPARE_ROWS
