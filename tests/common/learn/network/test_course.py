"""A training of a network that is interrupted goes on from what was kept: the same course, under fresh masks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from common.errors import PeerProtocolError
from common.learn.diary import Progress
from common.learn.network import course, deal
from common.learn.network.cost import training
from common.learn.network.deal import NetworkDemand
from common.learn.network.learner import NetworkTask
from common.learn.network.scales import AHEAD
from common.learn.network.weights import Weights
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import Words
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.network import Network
from tests.common.learn.network import twin
from tests.common.learn.network.problems import Problem, opened, plan_of
from tests.peers import Trio, coordinate

PROBLEM = Problem.made(2000, seed=4)
SECTION = Network(hidden=3, epochs=5, batch=250)
STEPS = 40


@dataclass
class Kept:
    """A diary in memory."""

    begin: Progress | None = None
    entries: list[Progress] = field(default_factory=list)

    async def enter(self, progress: Progress) -> None:
        self.entries.append(progress)


async def run(trio: Trio, diaries: dict[Party, Kept], section: Network = SECTION) -> dict[Party, Weights]:
    async def protocol(session: Session, correlations: DealtCorrelations) -> Weights:
        task = NetworkTask(PROBLEM.prepared[session.party], PROBLEM.inputs(section, session.party), [])
        return (await task.resume(session, correlations, None, diaries[session.party])).weights

    plan = plan_of(section)
    dealings = {NetworkDemand: lambda prg, demand: deal.deal_training(prg, demand, plan, 1 << 30)}
    return await coordinate(trio, protocol, more=dealings)


@pytest.fixture
async def whole(monkeypatch: pytest.MonkeyPatch) -> dict[Party, Kept]:
    """Both diaries of a training that nothing disturbed, with an entry every ten steps."""
    monkeypatch.setattr(course, "KEEP_CELLS", 10 * (250 * 3 + course.STEP_CELLS))
    diaries = {party: Kept() for party in Party}
    await run(Trio(seed=1), diaries)
    return diaries


async def test_it_goes_on_with_the_next_step_and_ends_where_it_would_have(whole: dict[Party, Kept]) -> None:
    assert [entry.done for entry in whole[Party.GRID].entries] == [10, 20, 30, STEPS]
    expected = twin.train(SECTION, PROBLEM.grid, PROBLEM.bank, PROBLEM.label)
    for place in range(3):
        diaries, trio = {party: Kept(whole[party].entries[place]) for party in Party}, Trio(seed=2 + place)
        found = opened(await run(trio, diaries))
        assert np.abs(found.grid - expected.grid).max() < 0.01 and np.abs(found.bank - expected.bank).max() < 0.01
        left = STEPS - 10 * (place + 1)
        assert sum(label.kind is Kind.MASKED_WEIGHTS for label, _ in trio.peer[Party.GRID].log) == left
        dealt = [(label, values) for label, values in trio.to_party[Party.BANK].log if label.kind is not Kind.SEED]
        every = training(Party.BANK, SECTION, NetworkDemand(2000, 3, 3)).dealt
        assert sum(values.nbytes for _, values in dealt) * STEPS == every * left


async def test_one_that_is_through_is_not_trained_again(whole: dict[Party, Kept]) -> None:
    trio = Trio()
    found = await run(trio, {party: Kept(whole[party].entries[-1]) for party in Party})
    assert all(trio.peer[party].log == [] for party in Party)
    for party in Party:
        assert (found[party].joined(party) == whole[party].entries[-1].arrays["now"]).all()


async def test_one_that_was_begun_over_other_steps_begins_anew(whole: dict[Party, Kept]) -> None:
    trio, other = Trio(), SECTION.model_copy(update={"epochs": 6})
    await run(trio, {party: Kept(whole[party].entries[1]) for party in Party}, other)
    assert sum(label.kind is Kind.MASKED_WEIGHTS for label, _ in trio.peer[Party.GRID].log) == 48


async def test_what_is_kept_is_a_share_that_is_uniform_by_itself(whole: dict[Party, Kept]) -> None:
    top = np.concatenate([entry.arrays[name] for entry in whole[Party.GRID].entries for name in entry.arrays]) >> 62
    assert all(abs((top == value).mean() - 0.25) < 0.12 for value in range(4))
    for party in Party:
        assert [set(entry.arrays) for entry in whole[party].entries] == [{"now", "before", "moved"}] * 3 + [{"now"}]


async def test_what_an_interruption_hides_is_found_all_the_same(whole: dict[Party, Kept]) -> None:
    """Steps before it count with those after it: what was moved too far then ends the training that goes on."""
    entries = {party: whole[party].entries[1] for party in Party}
    wrong = entries[Party.BANK].arrays["moved"] + np.uint64(20 << AHEAD)
    diaries = {Party.GRID: Kept(entries[Party.GRID]), Party.BANK: Kept(_changed(entries[Party.BANK], wrong))}
    with pytest.raises(PeerProtocolError, match="did not arrive"):
        await run(Trio(seed=8), diaries)
    assert [entry.done for entry in diaries[Party.BANK].entries] == [30]  # the last one is not entered


def _changed(entry: Progress, moved: Words) -> Progress:
    return Progress(entry.done, entry.steps, {**entry.arrays, "moved": moved})


@pytest.mark.parametrize("first", [-1, STEPS, 1 << 31])
def test_steps_that_there_are_not_are_not_dealt(first: int) -> None:
    with pytest.raises(PeerProtocolError, match="steps that there are not"):
        next(deal.deal_training({}, NetworkDemand(2000, 3, 3, first), plan_of(SECTION), 1 << 30))
