"""The byte formulas against what the sessions and the dealer really sent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.learn.learner import Size
from common.learn.learners import learner_of
from common.learn.linear import cost as linear
from common.learn.linear.cost import descent
from common.learn.linear.path import Step
from common.learn.linear.schedule import nesterov, sgd
from common.match.agree import MatchLimits
from common.match.ecdh import match_ids
from common.mpc import cost
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.cost import Cost, alignment, matching_by_curve, matching_by_tags, periods
from common.mpc.link import Fourier, Link, Taylor
from common.mpc.seeds import DEALT_BYTES
from common.mpc.session import Session
from common.party import Party
from common.plan.linear import Model
from common.rows.table import FeatureTable, Ids
from common.stages.align import align
from tests.channels import MemoryChannel
from tests.common.mpc.problems import make_problem, train
from tests.peers import Trio, coordinate

FULL = Step(0, 0, 10**6, 4.0, 0)


def measured(trio: Trio, party: Party) -> Cost:
    """Payload bytes on this party's channels; all it receives was logged where it was sent."""

    def total(*channels: MemoryChannel) -> int:
        return sum(values.nbytes for channel in channels for _, values in channel.log)

    received = total(trio.to_party[party], trio.neutral.at_neutral[party])
    return Cost(total(trio.peer[party]), total(trio.peer[party.other]), received, total(trio.neutral.at_party[party]))


@pytest.mark.parametrize(
    ("bits", "gain"), [(8, None), (20, None), (20, 2.0), (None, None)], ids=["8 bits", "20 bits", "joint", "owned"]
)
@pytest.mark.parametrize("link", [Fourier(32, 5), Taylor()], ids=str)
async def test_descent(link: Link, bits: int | None, gain: float | None) -> None:
    problem, trio = make_problem(70, 3, 2), Trio()
    steps = nesterov(70, 2, 2.5) if bits else sgd(70, 20, 2, 1.0)
    await train(trio, problem, steps, link, bits, gain=gain)
    for party in Party:
        expected = descent(party, problem.work(steps, link, bits, gain is not None)) + Cost(dealt=DEALT_BYTES)
        assert measured(trio, party) == expected


@pytest.mark.parametrize("matching", ["neutral", "ecdh"])
@pytest.mark.parametrize("by_period", [False, True])
async def test_alignment(by_period: bool, matching: str) -> None:
    ids = {Party.GRID: range(0, 90), Party.BANK: range(40, 110)}
    months = range(24290, 24297)
    trio = Trio()

    def table(party: Party) -> FeatureTable:
        rows = [(str(i), m) for i in ids[party] for m in (months if by_period else [0])]
        return FeatureTable(
            Ids.of([i for i, _ in rows]),
            np.array([m for _, m in rows], np.int32) if by_period else None,
            {},
            {},
        )

    async def side(session: Session, correlations: DealtCorrelations) -> int:
        mine, limits = table(session.party), MatchLimits(min_matched=1)
        match = trio.neutral.match(session.party) if matching == "neutral" else match_ids
        return (await align(session, correlations, mine, by_period=by_period, domain=b"job", limits=limits, match=match))[1]

    assert set((await coordinate(trio, side)).values()) == {50}
    for party in Party:
        own, other = len(ids[party]), len(ids[party.other])
        expected = alignment(party, own, other, 50, len(months) if by_period else 0, matching)
        assert measured(trio, party) == expected + Cost(dealt=DEALT_BYTES)


def test_the_formulas_as_documented() -> None:
    assert matching_by_curve(1000, 2000) == matching_by_curve(2000, 1000) == Cost(48 + 32 * 3000, 48 + 32 * 3000)
    assert matching_by_tags(1001) == Cost(80, 80, 126, 16 + 16 * 1001)
    assert periods(50, 7) == 16 + 2 * 48  # 350 bits in 6 words
    assert linear.matrices(10**6, 20, 6) == 6 * 10**6 * 20 + 8 * 20 * 20
    assert linear.matrices(10**7, 20) == 8 * (10**7 + 20) * 20
    assert linear.shared_step(FULL, Fourier(), 20, 21) == 8 * 21 + 8 * 10**6 + 8 * 41
    assert linear.owned_step(Step(0, 0, 1024, 4.0, 0), Taylor(), 20, 21) == 7 * 1024 + 8 * 21
    assert [linear.reveal(20, 21, bits) for bits in (8, 20)] == [8 * 41 + 8 * 21, 8 * 21]
    # five words of 6 bytes a row for each party at K = 5: the dealer's largest flow
    zeros = sum(-5 * span.rows * 6 % 8 for span in FULL.spans())
    assert linear.dealt_step(FULL, 41, Fourier(), Party.GRID) == 30 * 10**6 + zeros + 8 * 41 and zeros < 8 * 16
    assert linear.dealt_step(replace(FULL, size=2.0), 41, Taylor(), Party.GRID) - 8 * 41 - 7 * 10**6 in range(8 * 16)
    assert linear.dealt_step(FULL, 41, Taylor(), Party.GRID) - 8 * 41 - 6 * 10**6 in range(8 * 16)
    assert (cost.split(17), cost.scores(17), cost.SIZES) == (3, 136, 97)


@pytest.mark.parametrize(("rows", "width"), [(10_000, 5), (1_000_000, 6)])
def test_bytes_grow_with_columns_as_they_do_with_rows_and_by_a_joint_matrix(rows: int, width: int) -> None:
    """F n + 5 n m, or 6 n m of more rows, + 280 m^2 of m columns, half at each side, where the steps are the same for all m."""
    model, columns = Model(), np.array([10, 30, 100, 300])

    def sent(party: Party, half: int) -> int:
        found = learner_of(model).cost(party, model, Size.of(party, rows, half, half))
        return found.peer_sent + found.dealt

    total = np.array([sum(sent(party, m // 2) for party in Party) for m in columns.tolist()], np.float64)
    square, line, fixed = np.polyfit(columns, total, 2)
    np.testing.assert_allclose(np.polyval([square, line, fixed], columns), total, rtol=1e-6)
    assert 270 < square < 290 and -0.1 < line / rows - width < 0.2 and 150 < fixed / rows < 1000
