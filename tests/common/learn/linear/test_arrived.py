"""Whether a linear training arrived: one that went right does, and none that a changed word has spoilt in silence."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from common.errors import PeerProtocolError, WattScoreError
from common.learn.linear import train as training
from common.learn.linear.path import REST_SCALE
from common.learn.linear.steps import make_steps, make_work, rest_limit
from common.learn.linear.train import TrainingInputs, train
from common.mpc.arrived import CHECK_BITS, COMBINATIONS, signs
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import X_SCALE, Reals, Words, encode
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.linear import Model
from tests.common.mpc.problems import RIDGE_SCALE, Problem, make_problem
from tests.common.stages.test_changed_words import Change, Place, install
from tests.peers import Trio, coordinate

MODEL = Model(reveal="owners")
PROBLEM = make_problem(600, 3, 3, seed=2)
SPOILT = 0.25  # of a whitened weight, on which a standard error is some 0.1
PLACES: list[Place] = [
    ("grid", "train", "masked_matrix"),
    ("bank", "train", "masked_matrix"),
    ("bank", "train", "masked_weights"),
    ("grid", "train", "masked_operand"),
    ("grid", "train", "masked_u"),
    ("bank", "train", "masked_residual"),
    ("grid", "train", "masked_update"),
    ("dealer", "train", "dealt_link"),
]


async def run(
    change: Change | None = None, problem: Problem = PROBLEM, model: Model = MODEL, seed: int = 7
) -> tuple[Reals, bool, Trio]:
    """All whitened weights, whether the bank found the training as it should be, and the lines."""
    trio = install(Trio(seed=seed), change or Change(), lambda party: "train")

    async def side(session: Session, correlations: DealtCorrelations) -> tuple[Reals, bool]:
        party, bank = session.party, session.party is Party.BANK
        own = np.asfortranarray(encode(problem.x[party], X_SCALE).view(np.int64).astype(np.int32))
        pull = np.asfortranarray(encode((model.step or 4.0) * problem.ridge[party], RIDGE_SCALE))
        label = problem.y if bank else None
        other = problem.columns[party.other]
        inputs = TrainingInputs(model, own, pull, other, np.zeros(own.shape[1]), label, gain=float(bank))
        found = await train(session, correlations, inputs)
        assert isinstance(found, np.ndarray)
        return found, session.settled

    found = await coordinate(trio, side, lambda demand: make_work(model, demand))
    assert found[Party.GRID][1]  # who is not told says nothing
    return np.concatenate([found[p][0] for p in Party]), found[Party.BANK][1], trio


async def test_the_bank_alone_is_told_four_coarse_numbers() -> None:
    _, settled, trio = await run()
    told = [(p, values) for p in Party for label, values in trio.peer[p].log if label.kind is Kind.TRAINING_CHECK]
    assert settled and [(p, values.shape) for p, values in told] == [(Party.GRID, (4,))]
    assert (told[0][1] >> np.uint64(64 - REST_SCALE + CHECK_BITS) == 0).all()  # of a share its lowest bits are not said


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0]} {place[2]}")
async def test_a_high_bit_that_changes_spoils_no_training_in_silence(place: Place) -> None:
    """In whatever message of its kind, and word."""
    seen, rng = Change(), np.random.default_rng(PLACES.index(place))
    right, _, _ = await run(seen)
    for attempt in range(3):
        number = int(rng.integers(seen.seen[place]))
        change = Change(place, number, float(rng.random()), float(rng.uniform(0.75, 0.98)))
        try:
            weights, settled, _ = await run(change, seed=attempt)
        except WattScoreError:
            continue
        assert change.done
        assert not settled or np.abs(weights - right).max() < SPOILT, (number, change.word, change.bit)


@pytest.mark.parametrize(
    ("place", "each"), [(("grid", "train", "masked_u"), 1), (("dealer", "train", "dealt_link"), 2)], ids=["u", "tables"]
)
async def test_a_word_that_changes_where_all_rows_correct_a_part_of_them_spoils_nothing_in_silence(
    monkeypatch: pytest.MonkeyPatch, place: Place, each: int
) -> None:
    """Steps that are corrected wrongly come to rest in the wrong place, which the last step, over all rows, does not."""
    monkeypatch.setattr("common.learn.linear.schedule.LEVEL_ROWS", 150)
    monkeypatch.setattr("common.learn.linear.schedule.COLUMN_ROWS", 33)
    # measured once, it would be by the coins whether a training by parts of so few rows rests as usual
    model = MODEL.model_copy(update={"iterations": 18, "full_steps": 3})
    assert [len(step.measures) for step in make_steps(model, PROBLEM.rows, 6)] == [*[0] * 5, 3, *[0] * 9, 3, *[0] * 10]
    right, settled, _ = await run(model=model)
    assert settled
    last = 5 + 3 + 9  # arrays before those of the step that measures last
    found = []
    for attempt, bit in enumerate(np.linspace(0.7, 0.98, 8)):
        change = Change(place, each * last, float(np.random.default_rng(attempt).random()), float(bit))
        try:
            weights, settled, _ = await run(change, model=model, seed=7)
        except PeerProtocolError:
            found.append("refused")
            continue
        assert change.done
        found.append("warned" if not settled else "near" if np.abs(weights - right).max() < SPOILT else "spoilt")
    assert "spoilt" not in found and set(found) != {"near"}, found


async def test_values_that_cancel_in_one_combination_are_seen_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A descent that left two weights in motion, of which the first combination takes the one from the other."""
    own = training.combinations

    def moving(share: Words, coin: bytes) -> Words:
        drawn = signs(coin, COMBINATIONS * len(share)).reshape(COMBINATIONS, -1)
        pair = next(
            [a, b]
            for a, b in itertools.combinations(range(len(share)), 2)
            if drawn[0, a] != drawn[0, b] and (drawn[1:, a] == drawn[1:, b]).any()
        )
        spoilt = np.zeros_like(share)
        spoilt[pair] = encode(np.full(2, 16.0), 27)  # at both parties: 16 in all at scale 28
        assert own(spoilt, coin)[0] == 0
        return own(share + spoilt, coin)

    monkeypatch.setattr(training, "combinations", moving)
    with pytest.raises(PeerProtocolError, match="the training did not arrive"):
        await run()


def worlds() -> dict[str, tuple[Problem, dict[str, Any]]]:
    near, rng = make_problem(500, 6, 5, ridge=1e-4, seed=8), np.random.default_rng(1)
    mixed = near.x[Party.GRID][:, :4] + 0.3 * rng.standard_normal((500, 4))
    bank = np.column_stack([mixed - mixed.mean(axis=0), np.ones(500)])
    bank = bank @ np.linalg.inv(np.linalg.cholesky(bank.T @ bank / 500)).T
    alike = Problem({Party.GRID: near.x[Party.GRID], Party.BANK: bank}, near.ridge, near.y)
    return {
        "one column": (make_problem(400, 1, 1, seed=3), {}),
        "many columns": (make_problem(1000, 20, 15, seed=4), {}),
        "of one ridge that is large": (make_problem(400, 4, 3, ridge=1.0, seed=5), {}),
        "alike sides": (alike, {}),
        "taylor": (make_problem(400, 4, 3, seed=6), {"link": "taylor"}),
        "batches": (make_problem(400, 4, 3, seed=6), {"optimiser": "sgd", "batch": 200, "epochs": 10}),
    }


@pytest.mark.parametrize("world", worlds())
async def test_one_that_went_right_is_as_usual(world: str) -> None:
    problem, section = worlds()[world]
    _, settled, _ = await run(problem=problem, model=Model.model_validate({"reveal": "owners", **section}))
    assert settled


def test_limits_are_of_public_numbers() -> None:
    """As section 17 writes them."""
    steps = make_steps(Model(), 9000, 23)
    rest = rest_limit(Model(), steps, 23)
    assert (rest.most, rest.usual, rest.bits) == (4.0, 0.25, CHECK_BITS)
    assert rest_limit(Model(iterations=5), make_steps(Model(iterations=5), 9000, 23), 23).most == 16.0
    batches = Model(optimiser="sgd", batch=1000, epochs=2)
    assert rest_limit(batches, make_steps(batches, 9000, 40), 40).most == pytest.approx(4.0 + 2.0 * (40 / 1000) ** 0.5)
