"""Whether a network's training arrived: one that went right does, and none that a changed word has spoilt in silence."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from common.disclosure import Opened
from common.errors import PeerProtocolError, PolicyError, WattScoreError
from common.learn.diary import Forgetful
from common.learn.network import deal
from common.learn.network.deal import NetworkDemand
from common.learn.network.scales import AHEAD
from common.learn.network.steps import lift, make_steps, rest_limit
from common.learn.network.train import train
from common.learn.network.weights import Weights
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.network import Network
from common.stats.measures import auc
from tests.common.learn.network.problems import Problem, opened, plan_of
from tests.common.stages.test_changed_words import (
    FOUND,
    NOISE,
    NOISE_ONLY,
    NOT_FOUND,
    WARNED,
    Change,
    Place,
    check_table,
    drawn,
    install,
    lines,
)
from tests.peers import Trio, coordinate

PROBLEM, HELD = Problem.made(1200, seed=4), Problem.made(4000, seed=9)
SECTION, RELU = Network(hidden=4, epochs=6, batch=200), Network(hidden=4, epochs=6, batch=200, activation="relu")
STEPS = 36


async def run(
    section: Network = SECTION, change: Change | None = None, problem: Problem = PROBLEM, trio: Trio | None = None
) -> tuple[dict[Party, Weights], bool]:
    """Both shares, and whether the bank found the training as it should be."""
    trio = install(trio or Trio(seed=7), change or Change(), lambda party: "train")

    async def protocol(session: Session, correlations: DealtCorrelations) -> tuple[Weights, bool]:
        found = await train(session, correlations, problem.inputs(section, session.party), None, Forgetful())
        return found.weights, session.settled

    plan = plan_of(section)
    dealings = {NetworkDemand: lambda prg, demand: deal.deal_training(prg, demand, plan, 1 << 30)}
    found = await coordinate(trio, protocol, more=dealings)
    return {party: weights for party, (weights, _) in found.items()}, found[Party.BANK][1]


def ranks(shares: dict[Party, Weights], section: Network) -> float:
    return auc(HELD.label, opened(shares, section.activation).scores(HELD.grid, HELD.bank))


async def comes(change: Change, section: Network, right: float) -> str:
    try:
        shares, settled = await run(section, change)
    except WattScoreError:
        return FOUND
    assert change.done, change.place
    if abs(ranks(shares, section) - right) <= NOISE:
        return NOISE_ONLY
    return NOT_FOUND if settled else WARNED


def table(activation: str) -> dict[str, set[str]]:
    """What section 17 says may come of a changed word in a network's training, by who and kind."""
    at = {"sine": 2, "relu": 3}[activation]
    found = {f"{row[0]} {row[1].strip('`')}": row[at] for row in lines("A changed word of a network's training")}
    return {name: set(said.split(", ")) for name, said in found.items() if said != "–"}


@pytest.mark.untraced
@pytest.mark.parametrize("activation", ["sine", "relu"])
async def test_a_changed_word_comes_to_what_the_table_says(activation: Literal["sine", "relu"]) -> None:
    section, change = (SECTION if activation == "sine" else RELU), Change()
    shares, settled = await run(section, change)
    assert settled
    right, claimed = ranks(shares, section), table(activation)
    seen: dict[Place, int] = {place: count for place, count in change.seen.items() if place[2] != Kind.SEED.value}
    assert {f"{who} {kind}" for who, _, kind in seen} == claimed.keys()
    found = []
    for one in drawn(seen):
        assert one.place is not None
        found.append((f"{one.place[0]} {one.place[2]}", one, await comes(one, section, right)))
    check_table(found, claimed)


@pytest.mark.parametrize("step", range(0, STEPS, 5))
async def test_a_weight_that_a_truncation_gets_wrong_is_found_in_whatever_step(step: int) -> None:
    """Descent goes on for up to 36 steps; what an early one spoilt may stand still at the end."""
    with pytest.raises(PeerProtocolError, match="the training did not arrive") as error:
        await run(change=Change(("grid", "train", "masked_update"), 2 * step + 1, 0.3, 0.98))
    assert "smaller `step`" in (error.value.remedy or "")


async def test_a_training_that_diverged_is_said() -> None:
    """By the default step: weights of many columns that say the same leave what the ring holds; what is left is no model."""
    rng = np.random.default_rng(1)
    columns = np.round((rng.standard_normal((400, 1)) + rng.standard_normal((400, 80)) / 4) * 1024.0) / 1024.0
    label = (rng.random(400) < 0.4).astype(float)
    problem = Problem(columns[:, :40], np.column_stack([columns[:, 40:], np.ones(400)]), label)
    with pytest.raises(PeerProtocolError, match="its steps are too long"):
        await run(Network(hidden=16, epochs=40, batch=0, decay=1e-4, activation="relu"), problem=problem)


async def test_the_bank_alone_is_told_four_coarse_numbers_and_only_if_the_plan_lists_them() -> None:
    trio = Trio(seed=7)
    await run(trio=trio)
    told = [(p, values.shape) for p in Party for label, values in trio.peer[p].log if label.kind is Kind.TRAINING_CHECK]
    assert told == [(Party.GRID, (4,))]
    with pytest.raises(PolicyError, match="training_check"):
        await run(trio=Trio(frozenset(Opened) - {Opened.TRAINING_CHECK}, seed=7))


def test_limits_follow_the_plan_in_public_numbers() -> None:
    """As section 17 writes them; steps of what is told are 1/16 to 1/32 of the limit."""
    steps = list(make_steps(Network(), 9000))
    first = rest_limit(steps, 23)
    assert first.most == pytest.approx(6 * 0.3 * (1 + (len(steps) * 23 / 512) ** 0.5), rel=0.01)
    assert first.usual == pytest.approx(first.most * 1.25 / 6)
    for columns in (2, 23, 500):
        for section in (Network(step=0.001), Network(), Network(step=3.0, decay=0.0, epochs=200)):
            found = rest_limit(list(make_steps(section, 9000)), columns)
            assert 16 <= found.most * 2.0**found.bits < 32 and AHEAD - found.bits > 0
    lifts = [lift(steps, step) for step in steps]
    assert lifts == sorted(lifts) and lifts[len(steps) // 2] == 1 and lifts[-1] == round(steps[0].size / steps[-1].size) == 4
