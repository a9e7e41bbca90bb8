"""Trainings that end once rows held back gain no more: as the plaintext twin would, by one opened bit an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.disclosure import Opened
from common.errors import PeerProtocolError, PlanError, PolicyError
from common.learn.diary import Forgetful
from common.learn.learner import Size
from common.learn.network import course, steps
from common.learn.network.cost import training
from common.learn.network.deal import NetworkDemand, deal_training, training_arrays
from common.learn.network.deal_stopping import EpochDemand, deal_epoch
from common.learn.network.learner import NetworkLearner
from common.learn.network.scales import Scales
from common.learn.network.steps import first_compared, fit_rows
from common.learn.network.train import Found, train
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.prg import Prg
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.network import Network
from common.plan.policy import Policy
from common.plan.train import TrainPlan
from common.stats.measures import sigmoid
from tests.common.learn.network import twin
from tests.common.learn.network.problems import Problem, dealt, opened, plan_of
from tests.common.learn.network.test_course import Kept
from tests.peers import ALL, Trio, coordinate

PROBLEM = Problem.made(640, seed=3)
SECTION = Network(hidden=6, epochs=30, batch=56, step=1.0, decay=1e-4, early_stop=3)  # ten steps an epoch: each is compared
CLEAR = 2.0**-13  # of losses that both sides tell apart


async def run(section: Network, trio: Trio, problem: Problem = PROBLEM, diaries: Any = None) -> dict[Party, Found]:
    async def protocol(session: Session, correlations: DealtCorrelations) -> Found:
        diary = Forgetful() if diaries is None else diaries[session.party]
        return await train(session, correlations, problem.inputs(section, session.party), None, diary)

    return await coordinate(trio, protocol, more=dealt(section))


def expected(section: Network, problem: Problem = PROBLEM) -> tuple[int, int]:
    """After how many epochs the twin ends, and which of them, from 0 on, it keeps. Its losses differ clearly."""
    losses = [loss for _, loss in twin.stopped(section, problem.grid, problem.bank, problem.label)]
    best, first = 0, first_compared(section, len(problem.label))
    best, waited = first, 0
    for epoch in range(first + 1, len(losses)):
        assert abs(losses[epoch] - losses[best]) > CLEAR
        best, waited = (epoch, 0) if losses[epoch] < losses[best] else (best, waited + 1)
        if waited == section.early_stop:
            return epoch + 1, best
    return len(losses), best


async def test_it_ends_where_the_twin_does_with_the_weights_of_its_best_epoch() -> None:
    trio = Trio(seed=1)
    epochs, best = expected(SECTION)
    assert 1 < epochs < SECTION.epochs and best + 3 == epochs - 1
    found = await run(SECTION, trio)
    assert {party: one.steps for party, one in found.items()} == dict.fromkeys(Party, 10 * epochs)
    secure = opened({party: one.weights for party, one in found.items()})
    plain = twin.stopped(SECTION, PROBLEM.grid, PROBLEM.bank, PROBLEM.label)[best][0]
    assert np.abs(secure.scores(PROBLEM.grid, PROBLEM.bank) - plain.scores(PROBLEM.grid, PROBLEM.bank)).max() < 2.0**-4
    told = {p: [int(v[0]) for label, v in trio.peer[p].log if label.kind is Kind.EARLY_STOP] for p in Party}
    assert len(told[Party.GRID]) == epochs - 1 and set(told[Party.GRID] + told[Party.BANK]) == {0, 1}
    assert told[Party.GRID] != told[Party.BANK]  # halves of what hides each sign
    for party in Party:
        ways = {way: seen for (value, _, way), seen in trio.session[party].openings.items() if value is Opened.EARLY_STOP}
        assert {way: seen.arrays for way, seen in ways.items()} == {"in": epochs - 1, "out": epochs - 1}


@pytest.mark.parametrize("activation", ["sine", "relu"])
async def test_each_bit_says_whether_the_loss_of_the_weights_at_hand_is_the_least(
    activation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "KEEP_CELLS", 1)
    section, diaries = SECTION.model_copy(update={"activation": activation, "epochs": 16}), {party: Kept() for party in Party}
    found = await run(section, Trio(seed=3), diaries=diaries)
    held, losses = slice(fit_rows(section, 640), 640), []
    shape = found[Party.GRID].weights, found[Party.BANK].weights
    for entries in zip(*(diaries[party].entries[:-1] for party in Party), strict=True):
        halves = [w.split(p, entry.arrays["now"]) for w, p, entry in zip(shape, Party, entries, strict=True)]
        weights = opened(dict(zip(Party, halves, strict=True)), activation)
        apart = sigmoid(weights.scores(PROBLEM.grid[held], PROBLEM.bank[held])) - PROBLEM.label[held]
        losses.append(float((apart**2).mean()))
    waited = [int(entry.arrays["waited"][0]) for entry in diaries[Party.BANK].entries[:-1]]
    best, count = losses[0], 0
    for loss, said in zip(losses[1:], waited[1:], strict=True):
        assert abs(loss - best) > CLEAR
        best, count = (loss, 0) if loss < best else (best, count + 1)
        assert said == count
    assert found[Party.GRID].steps == min(160, 10 * (len(losses) + 1))
    kept = diaries[Party.BANK].entries[losses.index(best)].arrays["now"]
    assert count == 0 or (found[Party.BANK].weights.joined(Party.BANK) == kept).all()


async def test_at_most_what_is_stated_is_sent_and_dealt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly, where all epochs gain enough; rows held back in several spans."""
    monkeypatch.setattr(steps, "SPAN_CELLS", 200)
    for section in (
        SECTION.model_copy(update={"epochs": 4, "early_stop": 9}),
        SECTION.model_copy(update={"epochs": 12, "early_stop": 12, "batch": 0, "activation": "relu"}),
    ):
        trio, demand = Trio(), NetworkDemand(640, 3, 3)
        await run(section, trio)
        for party in Party:
            stated = training(party, section, demand)
            assert sum(values.nbytes for _, values in trio.peer[party].log) == stated.peer_sent
            got = [(label, values) for label, values in trio.to_party[party].log if label.kind is not Kind.SEED]
            assert sum(values.nbytes for _, values in got) == stated.dealt
            assert list(training_arrays(party, section, demand)) == [(label, values.shape) for label, values in got]
            assert trio.session[party].traffic.rounds == NetworkLearner().rounds(section, Size(640, 1, 1)) + 1


async def test_an_interrupted_one_ends_where_it_would_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best epoch's weights and loss are kept, as shares, with how long they have been the best."""
    monkeypatch.setattr(course, "KEEP_CELLS", 1)
    diaries = {party: Kept() for party in Party}
    whole = await run(SECTION, Trio(seed=1), diaries=diaries)
    epochs, _ = expected(SECTION)
    dones = [entry.done for entry in diaries[Party.BANK].entries]
    assert dones == [10 * e for e in range(1, epochs)] + [300]
    assert set(diaries[Party.GRID].entries[1].arrays) == {"now", "before", "moved", "best", "loss", "waited"}
    assert set(diaries[Party.GRID].entries[-1].arrays) == {"now", "taken"}
    trio = Trio(seed=5)
    late = {party: Kept(diaries[party].entries[epochs - 2]) for party in Party}  # all but the last epoch
    again = await run(SECTION, trio, diaries=late)
    assert [label.kind for label, _ in trio.peer[Party.GRID].log].count(Kind.EARLY_STOP) == 1
    assert again[Party.GRID].steps == whole[Party.GRID].steps == 10 * epochs
    for party in Party:  # the best weights are what was kept of them
        assert (again[party].weights.joined(party) == whole[party].weights.joined(party)).all()
    through = await run(SECTION, Trio(seed=6), diaries={p: Kept(diaries[p].entries[-1]) for p in Party})
    assert through[Party.BANK].steps == 10 * epochs


async def test_one_interrupted_before_any_epoch_is_looked_at_goes_on_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of the first nine epochs of all rows at once has no best one yet."""
    monkeypatch.setattr(course, "KEEP_CELLS", 1)
    section, diaries = SECTION.model_copy(update={"batch": 0, "epochs": 13, "early_stop": 13}), {p: Kept() for p in Party}
    whole = await run(section, Trio(seed=1), diaries=diaries)
    early = {party: Kept(diaries[party].entries[6]) for party in Party}
    assert all(set(one.begin.arrays) == {"now", "before", "moved"} for one in early.values() if one.begin is not None)
    again = await run(section, trio := Trio(seed=5), diaries=early)
    assert again[Party.GRID].steps == whole[Party.GRID].steps == 13
    assert [label.kind for label, _ in trio.peer[Party.GRID].log].count(Kind.EARLY_STOP) == 13 - 10
    scores = [opened({p: one[p].weights for p in Party}).scores(PROBLEM.grid, PROBLEM.bank) for one in (whole, again)]
    assert np.abs(scores[0] - scores[1]).max() < 2.0**-4


async def test_a_plan_that_does_not_list_it_opens_nothing() -> None:
    trio = Trio(ALL - {Opened.EARLY_STOP})
    with pytest.raises(PolicyError, match="early_stop"):
        await run(SECTION, trio)
    assert not any(label.kind is Kind.EARLY_STOP for p in Party for label, _ in trio.peer[p].log)


def test_plans_declare_it_and_policies_may_refuse_it() -> None:
    plan, without = plan_of(SECTION), plan_of(SECTION.model_copy(update={"early_stop": None}))
    assert plan.needs - without.needs == {Opened.EARLY_STOP}
    policy = Policy()
    policy.check(plan)
    with pytest.raises(PolicyError, match="early_stop"):
        Policy(may_open=tuple(o for o in policy.may_open if o is not Opened.EARLY_STOP)).check(plan)
    with pytest.raises(ValueError, match="early_stop cannot be dealt ahead"):
        TrainPlan.model_validate(
            {"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "dealt": "ahead"}
            | {"model": {"kind": "network", "batch": 0, "early_stop": 2}}
        )


def test_each_epoch_has_its_price_and_no_early_one_is_compared() -> None:
    """All rows at once are ten epochs of a step each before the first that may be kept."""
    learner, size = NetworkLearner(), Size(1000, 3, 3)
    assert learner.label_bits(SECTION, size) == 240 and learner.label_bits(Network(), size) == 0
    full = Network(batch=0, epochs=60, early_stop=5)
    assert (first_compared(full, 1000), first_compared(SECTION, 640), first_compared(Network(early_stop=1), 30_000)) == (
        9,
        0,
        0,
    )
    learner.check(full, size, Policy())
    with pytest.raises(PolicyError, match="too few steps") as error:
        learner.check(full, size, Policy(min_iterations=20))
    assert "early_stop" in (error.value.remedy or "")
    learner.check(full.model_copy(update={"early_stop": None}), size, Policy(min_iterations=20))


@pytest.mark.parametrize("rows", [2, 7, 8, 9, 350, 1001, 21_000, 1 << 22])
def test_a_row_held_back_pays_for_what_is_told_of_it_and_its_like_alone(rows: int) -> None:
    """Losses that are compared are sums over these rows: of each an epoch's bit tells its part of them, not of all."""
    held = rows - fit_rows(SECTION, rows)
    each = NetworkLearner().label_bits(SECTION, Size(rows, 3, 3)) / rows
    assert SECTION.epochs / held <= each < SECTION.epochs / held + 1 / rows


@pytest.mark.parametrize("section", [Network(early_stop=1), Network(early_stop=1, batch=0), Network(early_stop=1, batch=7)])
def test_one_row_is_too_few_to_hold_one_back(section: Network) -> None:
    prg = {party: Prg(bytes([i]) * 32, bytes([7 + i]) * 32) for i, party in enumerate(Party)}
    with pytest.raises(PeerProtocolError, match="an epoch over no rows"):
        next(deal_epoch(prg, EpochDemand(0, 1, 2, 2), plan_of(section), 1 << 20))
    assert list(deal_epoch(prg, EpochDemand(0, 2, 2, 2), plan_of(section), 1 << 20))
    with pytest.raises(PlanError, match="too few training rows"):
        NetworkLearner().steps(section, Size(1, 1, 1))
    assert NetworkLearner().steps(section, Size(2, 1, 1)) == section.epochs


@pytest.mark.parametrize("rows", [1, 125, 4096, 1 << 20, 1 << 28])
def test_a_loss_fits_its_word_whatever_the_rows(rows: int) -> None:
    scales = Scales.of_loss(rows, "sine")
    assert scales.loss_bits <= 62 and rows * (2.0**scales.mean / rows) ** 2 * 4.0**scales.residual < 2.0 ** (
        scales.loss_bits - 1
    )
    assert scales.residual >= 16


def test_epochs_that_there_are_not_are_not_dealt() -> None:
    for number in (-1, 30):
        with pytest.raises(PeerProtocolError, match="epoch that there is not"):
            next(deal_epoch({}, EpochDemand(number, 640, 3, 3), plan_of(SECTION), 1 << 30))
    with pytest.raises(PeerProtocolError, match="by epochs"):
        next(deal_training({}, NetworkDemand(640, 3, 3), plan_of(SECTION), 1 << 30))
    with pytest.raises(PeerProtocolError, match="epoch that there is not"):
        next(deal_epoch({}, EpochDemand(0, 640, 3, 3), plan_of(Network()), 1 << 30))
    with pytest.raises(PlanError):
        next(
            deal_epoch(
                {}, EpochDemand(0, 640, 3, 3), TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}}), 1
            )
        )
