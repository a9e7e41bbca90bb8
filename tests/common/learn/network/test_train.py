"""A network trained on shares against its plaintext twin: the same weights, and the same scores of every row."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from common.learn.learner import Size
from common.learn.network import steps
from common.learn.network.cost import training
from common.learn.network.deal import NetworkDemand, training_arrays
from common.learn.network.learner import NetworkLearner
from common.mpc.session import Kind
from common.party import Party
from common.plan.network import Network
from tests.common.learn.network import twin
from tests.common.learn.network.problems import Problem, opened, trained
from tests.peers import Trio

PROBLEM = Problem.made(3000)
SECTIONS = {
    "batches": Network(hidden=5, epochs=6, batch=512),
    "all rows": Network(hidden=4, epochs=12, batch=0),
    "one unit": Network(hidden=1, epochs=3, batch=1000, momentum=0.5),
    "fewer rows than a batch": Network(hidden=3, epochs=8, batch=1 << 12),
    "relu": Network(hidden=5, epochs=6, batch=512, activation="relu"),
    "relu, all rows": Network(hidden=4, epochs=12, batch=0, activation="relu"),
}


@pytest.mark.parametrize("case", SECTIONS)
async def test_a_training_on_shares_is_its_twin(case: str) -> None:
    section = SECTIONS[case]
    found, expected = (
        opened(await trained(Trio(seed=1), PROBLEM, section), section.activation),
        twin.train(section, PROBLEM.grid, PROBLEM.bank, PROBLEM.label),
    )
    for name in ("grid", "bank", "output"):
        assert np.abs(getattr(found, name) - getattr(expected, name)).max() < 0.01, name
    assert abs(found.intercept - expected.intercept) < 0.01
    apart = found.scores(PROBLEM.grid, PROBLEM.bank) - expected.scores(PROBLEM.grid, PROBLEM.bank)
    assert np.abs(apart).max() < (2.0**-5 if section.activation == "sine" else 2.0**-4)  # a sine stays below one


async def test_many_steps_of_the_default_plan_end_where_its_twin_does() -> None:
    """What the link rounds is another in each row: an error that all rows shared moved scores by more than 2^-5."""
    problem, section = Problem.made(10_000, seed=5), Network()
    found = opened(await trained(Trio(seed=4), problem, section))
    expected = twin.train(section, problem.grid, problem.bank, problem.label)
    assert np.abs(found.scores(problem.grid, problem.bank) - expected.scores(problem.grid, problem.bank)).max() < 2.0**-6


@pytest.mark.parametrize("case", ["all rows", "relu, all rows"])
async def test_steps_in_spans_are_the_steps(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SPAN_CELLS", 700)
    section = SECTIONS[case]
    assert len(next(iter(steps.make_steps(section, 3000))).spans(section.hidden)) > 3
    found, expected = (
        opened(await trained(Trio(seed=2), PROBLEM, section)),
        twin.train(section, PROBLEM.grid, PROBLEM.bank, PROBLEM.label),
    )
    assert np.abs(found.grid - expected.grid).max() < 0.01


@pytest.mark.parametrize("case", SECTIONS)
async def test_a_training_sends_and_is_dealt_what_it_states(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SPAN_CELLS", 2000)
    section, trio = SECTIONS[case], Trio()
    await trained(trio, PROBLEM, section)
    for party in Party:
        stated = training(party, section, NetworkDemand(3000, 3, 3))
        assert sum(values.nbytes for _, values in trio.peer[party].log) == stated.peer_sent
        assert sum(values.nbytes for label, values in trio.to_party[party].log if label.kind is not Kind.SEED) == stated.dealt
        assert trio.session[party].traffic.rounds == NetworkLearner().rounds(section, Size(3000, 1, 1)) + 1
        listed = list(training_arrays(party, section, NetworkDemand(3000, 3, 3)))
        assert listed == [(label, values.shape) for label, values in trio.to_party[party].log if label.kind is not Kind.SEED]


EACH_WAY, DEALT = {"sine": 12.0, "relu": 24.875}, {"sine": 24.0, "relu": 21.0}  # bytes a unit, row and step


@pytest.mark.parametrize("activation", EACH_WAY)
@pytest.mark.parametrize("party", list(Party))
def test_bytes_are_those_of_the_protocol(party: Party, activation: Literal["sine", "relu"]) -> None:
    """Within a hundredth: 30,000 x 13 + 10, 16 units, 20 epochs, by the formulas of section 15 as they are written there."""
    section, rows, columns = Network(hidden=16, epochs=20, activation=activation), 30_000, {Party.GRID: 13, Party.BANK: 10}
    units, count = section.hidden, 20 * (rows // 1024)
    words = 23 * units + units + 1
    found = training(party, section, NetworkDemand(rows, columns[Party.GRID], columns[Party.BANK]))
    sent = 1024 * (EACH_WAY[activation] * units + 12) + 8 * units * (columns[party.other] + 1) + 16 * words
    assert found.peer_sent == pytest.approx(8 * rows * columns[party] + count * sent, rel=0.01)
    dealt = 1024 * (DEALT[activation] * units + 4 * section.link.tables) + 16 * words + 8 * 23 * units
    assert found.dealt == pytest.approx(count * dealt, rel=0.01)


@pytest.mark.parametrize("case", ["all rows", "relu, all rows"])
async def test_zeros_to_spare_change_nothing(case: str) -> None:
    """A stock for more rows and columns: the weights of data are those without it, up to rounding; the others stay zero."""
    section = SECTIONS[case]
    wide = await trained(Trio(seed=3), PROBLEM, section, Size(3200, 5, 4))
    found, expected = opened(wide), twin.train(section, PROBLEM.grid, PROBLEM.bank, PROBLEM.label)
    assert found.grid.shape == (3, 4) and np.abs(found.grid - expected.grid).max() < 0.01
    assert np.abs(found.bank - expected.bank).max() < 0.01 and abs(found.intercept - expected.intercept) < 0.01
