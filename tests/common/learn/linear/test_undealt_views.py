"""Half a dealer: what is recorded of whole trainings is uniform, and what opens labels where masks are dealt opens none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.learn.linear.products import DealtSweep
from common.learn.linear.steps import make_steps
from common.learn.linear.undealt import UndealtSweep
from common.mpc.fixedpoint import RESIDUAL_SCALE, Words
from common.mpc.lattice.ring import DEGREE
from common.mpc.prg import Purpose
from common.mpc.session import OPENS, Kind
from common.mpc.short import lengthen
from common.party import Party
from common.plan.linear import Model
from tests.common.learn.linear.test_undealt import HALF, trained
from tests.common.mpc.lattice.test_shares import distance
from tests.common.mpc.problems import Problem, make_problem
from tests.peers import Trio

COINS = 5.5
FINE = {"weight_bits": 20, "reveal": "owners"}
NOT_MASKED = {Kind.LATTICE_SEED} | set(OPENS)
UNAIDED = {Kind.LATTICE_BITS, Kind.LATTICE_CARRIES}  # of section 21 alone


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem(5000, 3, 4)


def uneven(trio: Trio) -> set[tuple[str, str]]:
    """(sender, kind) of messages whose words are not coins in each place; shorter ones are taken some at a time."""
    found: dict[tuple[str, str], list[Words]] = {}
    for party in Party:
        for label, values in trio.peer[party].log:
            if label.kind not in NOT_MASKED and values.size > 1:
                flat = np.ascontiguousarray(values).ravel().view(np.uint8)
                found.setdefault((party.value, label.kind.value), []).append(flat[: len(flat) // 8 * 8].view(np.uint64))
    return {key for key, words in found.items() if distance(np.concatenate(words)) > COINS}


async def test_two_recorded_trainings_are_uniform_whatever_the_table(problem: Problem) -> None:
    """All messages that open nothing, of two tables."""
    zeros = Problem({p: np.zeros_like(x) for p, x in problem.x.items()}, problem.ridge, problem.y)
    for table in (problem, zeros):
        _, trio = await trained(table, Model(**HALF))
        assert uneven(trio) == set()
        kinds = {label.kind for party in Party for label, _ in trio.peer[party].log} - NOT_MASKED
        lattice = {Kind.LATTICE_MATRIX, Kind.LATTICE_COLUMNS, Kind.LATTICE_WEIGHTS, Kind.LATTICE_RESIDUAL}
        assert kinds == lattice | {Kind.MASKED_U, Kind.MASKED_UPDATE, Kind.MASKED_OPERAND}


async def test_secrets_of_zeros_show_themselves(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first weights are zeros too, and shares of zeros; what hides later ones is multiplied by shares that are coins."""
    monkeypatch.setattr("common.mpc.lattice.sampled.Sampler.ternary", lambda _, *shape: np.zeros(shape, np.int64))
    _, trio = await trained(problem, Model(**HALF))
    assert uneven(trio) == {(p.value, kind.value) for p in Party for kind in (Kind.LATTICE_MATRIX, Kind.LATTICE_WEIGHTS)}


async def test_labels_that_a_whole_dealer_reads_with_the_grid_stay_hidden(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first step r = 1/2 - y: the grid's share of it, what the bank sends, and what the dealer knows of masks."""
    shares: dict[type, list[Words]] = {DealtSweep: [], UndealtSweep: []}
    for kind, seen in shares.items():
        give = kind.give

        async def watched(self: Any, span: Any, residual: Words, give: Any = give, seen: list[Words] = seen) -> None:
            if self._products.session.party is Party.GRID:
                seen.append(residual)
            await give(self, span, residual)

        monkeypatch.setattr(kind, "give", watched)

    def guessed(total: Words) -> float:
        """How many of the labels are as the signs of these residuals say."""
        return float(((total.view(np.int64) < 0) == (problem.y[: len(total)] == 1.0)).mean())

    model = Model(reveal="owners")
    step = make_steps(model, problem.rows, sum(problem.columns.values()))[0]
    number, scales = step.spans()[0].number, step.scales(model.make_link())
    _, whole = await trained(problem, model)
    sent = next(values for label, values in whole.peer[Party.BANK].log if label.kind is Kind.MASKED_RESIDUAL)
    mask = whole.dealer.expanded[Party.BANK].words(Purpose.RESIDUAL, number, problem.rows)
    masked = lengthen(sent, scales.sent_width, (problem.rows,)) + mask
    assert guessed(shares[DealtSweep][0] + (masked << np.uint64(scales.cut))) == 1.0

    _, half = await trained(problem, Model(**HALF))
    bank = [v for label, v in half.peer[Party.BANK].log if label.kind is Kind.LATTICE_RESIDUAL]
    first, chance = bank[0][1] | bank[0][2].astype(np.uint64) << np.uint64(32), 5.5 / 2 / np.sqrt(DEGREE)
    for purpose in Purpose:
        for party in Party:
            known = half.dealer.expanded[party].words(purpose, number, DEGREE)
            for lifted in (0, scales.spare, RESIDUAL_SCALE - 20):
                total = shares[UndealtSweep][0][:DEGREE] + (first << np.uint64(lifted)) + (known << np.uint64(lifted))
                assert abs(guessed(total) - 0.5) < chance


async def test_weights_are_off_by_what_the_protocol_says(problem: Problem) -> None:
    """Some 2^-12 after 16 steps: of two trainings beside each other, to two bits, from above and from below."""
    found = [(await trained(problem, Model(**FINE, dealer="half")))[0] for _ in range(2)]
    off = np.std(found, axis=0, ddof=1)
    assert 2.0**-15 < np.sqrt(np.mean(off**2)) < 2.0**-10
