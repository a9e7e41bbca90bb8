"""Trainings whose rows are cut into runs: the same bytes between the parties, and the same model, into however many."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from common.errors import LocalProtocolError, PeerProtocolError
from common.learn.learners import runs_of
from common.learn.linear import path
from common.learn.linear.deal import TrainingDemand
from common.learn.linear.lane import about
from common.learn.linear.steps import lanes_of, make_steps, make_work
from common.learn.linear.train import Shares, TrainingInputs, train
from common.mpc.abreast import Account, Part, Runner, RunSession, in_turns, run_of
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import RIDGE_SCALE, X_SCALE, Words, encode
from common.mpc.session import Array, Kind, Session
from common.party import Party
from common.plan.linear import Model
from tests.channels import MemoryChannel, memory_pair
from tests.common.mpc.problems import make_problem
from tests.peers import DealerEnd, Trio, coordinate

ROWS, GRID, BANK = 6000, 3, 4
PROBLEM = make_problem(ROWS, GRID, BANK)
PLAN = Model(iterations=8)
MASKED = (Kind.MASKED_U, Kind.MASKED_RESIDUAL)


class InMemory:
    """Runs of rows over channels within this process; `logs` has what each party has sent on each."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.peers = [memory_pair() for _ in range(most)]
        self.dealt = [{party: memory_pair() for party in Party} for _ in range(most)]

    async def of_run(self, run: int) -> Mapping[Party, MemoryChannel]:
        return {party: pair[0] for party, pair in self.dealt[run - 1].items()}


class Side:
    """One party's `Spread` of these."""

    elsewhere = False

    def __init__(self, memory: InMemory, party: Party, seed: bytes) -> None:
        self.most, self._memory, self._party, self._seed = memory.most, memory, party, seed
        self.runs = list[Any]()

    @asynccontextmanager
    async def opened(
        self, learner: str, about: Mapping[str, Any], arrays: Mapping[str, Array], lanes: int
    ) -> AsyncIterator[Sequence[Runner]]:
        for run in range(1, lanes + 1):
            session = RunSession(self._party, self._memory.peers[run - 1][self._party.index], run)
            dealer = DealerEnd(self._memory.dealt[run - 1][self._party][1])
            correlations = DealtCorrelations(self._party, self._seed, dealer)
            rows = runs_of(learner).rows(about, run)
            own = {name: Part(values, rows) for name, values in arrays.items()}
            self.runs.append(Here(session, runs_of(learner).make(session, correlations, about, own, run)))
        yield self.runs


class Here:
    def __init__(self, session: Session, run: Any) -> None:
        self.session, self.step = session, run.step

    async def account(self) -> Account:
        return Account.of(self.session)


async def trained(lanes: int, model: Model = PLAN, rows: int = ROWS) -> tuple[list[Words], Trio, InMemory]:
    """What both hold in the end, and all lines."""
    trio = Trio(seed=5)
    memory = InMemory(lanes)
    trio.dealer._runs = memory.of_run

    async def side(session: Session, correlations: DealtCorrelations) -> list[Words]:
        party, bank = session.party, session.party is Party.BANK
        if lanes:
            correlations.spread = Side(memory, party, correlations._prg._seed)
        own = np.asfortranarray(encode(PROBLEM.x[party][:rows], X_SCALE).view(np.int64).astype(np.int32))
        pull = np.asfortranarray(encode((model.step or 4.0) * PROBLEM.ridge[party], RIDGE_SCALE))
        label, other = (PROBLEM.y[:rows] if bank else None), PROBLEM.columns[party.other]
        if bank:
            own[:, -1] = 1 << X_SCALE
        inputs = TrainingInputs(model, own, pull, other, np.zeros(own.shape[1]), label, gain=float(bank))
        found = await train(session, correlations, inputs)
        await session.compare()
        return [found.own, found.other] if isinstance(found, Shares) else [np.asarray(found)]

    found = await coordinate(trio, side, lambda demand: make_work(model, demand))
    return [words for party in Party for words in found[party]], trio, memory


@pytest.fixture
def short_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some 500 rows."""
    monkeypatch.setattr(path, "SPAN_ROWS", 1 << 9)


def swept(*logs: MemoryChannel) -> list[bytes]:
    """What these channels have carried of u and residuals, whatever the order."""
    return sorted(values.tobytes() for one in logs for label, values in one.log if label.kind in MASKED)


@pytest.mark.usefixtures("short_spans")
@pytest.mark.parametrize("more", [{}, {"reveal": "owners"}, {"link": "taylor"}], ids=str)
async def test_any_number_of_runs_gives_the_same_bytes(more: dict[str, Any]) -> None:
    model = Model(iterations=8, **more)
    words, whole, _ = await trained(0, model)
    for lanes in (2, 3, 5):
        found, trio, memory = await trained(lanes, model)
        assert [one.tobytes() for one in found] == [one.tobytes() for one in words]
        apart = any(label.kind in MASKED for pair in memory.peers for one in pair for label, _ in one.log)
        assert apart == (lanes_of(model, make_steps(model, ROWS, GRID + BANK), lanes) > 0)
        for party in Party:
            mine = [pair[party.index] for pair in memory.peers]
            assert swept(trio.peer[party], *mine) == swept(whole.peer[party])
            assert trio.session[party].traffic.sent == whole.session[party].traffic.sent
            if apart:
                assert not swept(trio.peer[party])
                assert all(swept(one) for one in mine)


@pytest.mark.usefixtures("short_spans")
async def test_a_run_serves_no_step_twice_nor_an_earlier_one() -> None:
    """Its masks would hide two values."""
    memory = InMemory(2)
    grid = DealtCorrelations(Party.GRID, bytes(32), DealerEnd(memory.dealt[0][Party.GRID][1]))
    session = RunSession(Party.GRID, memory.peers[0][0], 1)
    told = about(PLAN, (ROWS, GRID), BANK, None, 2)
    arrays = {"own": np.zeros((ROWS, GRID), np.int32, order="F"), "masked": np.zeros((ROWS, BANK), np.uint64, order="F")}
    run = runs_of("linear").make(session, grid, told, arrays, 1)
    run._last = 3  # type: ignore[attr-defined]
    for number in (3, 2, 0, 10_000):
        with pytest.raises(LocalProtocolError, match="out of order"):
            await run.step(number, np.zeros(GRID, np.uint64), np.zeros(BANK, np.uint64))
    assert not memory.peers[0][0].log


@pytest.mark.parametrize("count", [1, 2, 7, 16])
@pytest.mark.parametrize("lanes", [2, 3, 16])
def test_each_run_is_dealt_its_spans_in_order_and_none_waits_for_all_of_another(count: int, lanes: int) -> None:
    places = in_turns(count, lanes)
    assert sorted(places) == list(range(count))
    runs = [run_of(place, count, lanes) for place in places]
    for run in range(lanes):
        assert (own := [place for place in places if run_of(place, count, lanes) == run]) == sorted(own)
    assert runs[: len(set(runs))] == sorted(set(runs))


def test_runs_that_a_training_has_not_are_not_dealt() -> None:
    batches = Model(optimiser="sgd", batch=512, reveal="owners")
    for model in (batches, Model(link="taylor"), PLAN):
        with pytest.raises(PeerProtocolError, match="has not"):
            make_work(model, TrainingDemand(ROWS, GRID, BANK, lanes=3))  # of PLAN there are one or two spans
    steps = make_steps(PLAN, 1 << 20, GRID + BANK)
    assert [lanes_of(PLAN, steps, most) for most in (0, 1, 2, 99)] == [0, 0, 2, 16]
