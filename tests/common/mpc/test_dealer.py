"""The dealer as a service: it deals what both ask for, once, and refuses anything else."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator, Sequence

import numpy as np
import pytest

from common.errors import LocalProtocolError, PeerLost, PeerProtocolError
from common.learn.linear.deal import Masks, TrainingDemand, Work
from common.learn.linear.path import Step
from common.learn.linear.reveal import reveal_weights
from common.learn.linear.schedule import nesterov, sgd
from common.mpc.correlations.asked import Demand, PeriodDemand
from common.mpc.correlations.dealt import DealtCorrelations, dealt_tables, take_seed
from common.mpc.counting.masks import CountsDemand
from common.mpc.dealer import Dealer, Dealt, Prgs
from common.mpc.fixedpoint import WEIGHT_SCALE, Reals, Words, decode
from common.mpc.link import Fourier, Taylor
from common.mpc.session import Array, Kind, Round, Session
from common.party import Party
from tests.channels import memory_pair
from tests.common.mpc.problems import begin, make_problem
from tests.peers import BASE, KEYS, NONCES, DealerEnd, Trio, coordinate, deal_work

PROBLEM = make_problem(300, 3, 2)
TRAINING = TrainingDemand(300, 3, 2)
COUNTS = CountsDemand(40, 3, 5, 2)


@pytest.mark.parametrize("bits", [20, None], ids=["shared", "owned"])
async def test_serves_periods_then_a_training(bits: int | None) -> None:
    steps: list[Step] = nesterov(300, 3, 2.5) if bits else sgd(300, 100, 2, 1.0)

    async def side(session: Session, correlations: DealtCorrelations) -> tuple[Words, Words, Reals]:
        await correlations.order(PeriodDemand(5))
        mask, share = await correlations.period_product(5)
        await correlations.order(TRAINING)
        descent = await begin(session, correlations, PROBLEM, Fourier(), steps[0].size)
        if bits is None:
            return mask, share, decode(await descent.owned(steps), WEIGHT_SCALE)
        found = await descent.shared(steps)
        opened = await reveal_weights(session, correlations, len(steps), found.own, found.other, bits)
        return mask, share, opened

    def work(demand: TrainingDemand) -> Work:
        assert demand == TRAINING
        return PROBLEM.work(steps, Fourier(), bits)

    result = await coordinate(Trio(seed=1), side, work)
    grid, bank = result[Party.GRID], result[Party.BANK]
    assert ((grid[0] & bank[0]) == (grid[1] ^ bank[1])).all() and grid[0].any()
    assert np.abs(np.concatenate([grid[2], bank[2]]) - PROBLEM.twin(steps, Fourier())).max() < 2.0**-12


async def asking(*demands: Demand) -> AsyncIterator[Demand]:
    for demand in demands:
        yield demand


async def serve(grid: Sequence[Demand], bank: Sequence[Demand]) -> dict[Party, list[Kind]]:
    """What each was dealt until the end or the refusal."""
    trio = Trio()
    demands = {Party.GRID: asking(*grid), Party.BANK: asking(*bank)}
    work = PROBLEM.work(nesterov(300, 1, 2.5), Taylor(), 8)
    try:
        await trio.dealer.serve(demands, BASE | {TrainingDemand: lambda prg, _: Masks(prg, work).deal()})
    finally:
        dealt = {party: [round.kind for round, _ in trio.to_party[party].log] for party in Party}
        served.append(dealt)
    return dealt


served: list[dict[Party, list[Kind]]] = []


@pytest.mark.parametrize(
    ("words", "long", "beside"),
    [
        (5, 60.0, [True, False, False, False, False, False]),
        (5, 0.0, [True, False, True, True, True, True]),
        (1 << 20, 60.0, [True] * 6),
    ],
)
async def test_few_words_are_computed_in_the_loop_and_many_beside_it(
    words: int, long: float, beside: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hop to a thread costs as much as few words do; between two items others have their turn all the same.

    What comes before the first may take long whatever its words, and so may trees or ranks of few rows: at most one of
    these holds up the other jobs.
    """
    monkeypatch.setattr("common.mpc.dealer._LONG", long)
    trio, threads, turns = Trio(), list[int](), list[int]()
    trio.dealer = Dealer(dict(trio.to_party), nonces=NONCES, keys=KEYS, clock=itertools.count().__next__)

    def dealing(prg: Prgs, demand: Demand) -> Iterator[Dealt]:
        for number in range(6):
            threads.append(threading.get_ident())
            turns.append(others)
            yield [(Party.BANK, Round(Kind.DEALT_PERIODS, number), np.zeros(1, np.uint64))]

    others = 0

    async def another() -> None:
        nonlocal others
        while len(turns) < 6:
            others += 1
            await asyncio.sleep(0)

    demand = PeriodDemand(words)
    demands = {party: asking(demand) for party in Party}
    await asyncio.gather(another(), trio.dealer.follow(demands, {PeriodDemand: dealing}, {}))
    assert [one != threading.get_ident() for one in threads] == beside
    assert beside[-1] or turns == sorted(set(turns))  # each later than the one before


async def test_nothing_asked_for() -> None:
    assert await serve([], []) == {party: [Kind.SEED] for party in Party}


@pytest.mark.parametrize(
    ("grid", "bank"),
    [
        ([PeriodDemand(4)], [PeriodDemand(5)]),
        ([PeriodDemand(4)], [TRAINING]),
        ([TRAINING], [TrainingDemand(300, 2, 3)]),
        ([COUNTS], [CountsDemand(40, 3, 4, 2)]),
    ],
)
async def test_demands_that_differ(grid: list[Demand], bank: list[Demand]) -> None:
    with pytest.raises(PeerProtocolError, match="different things"):
        await serve(grid, bank)
    assert served[-1] == {party: [Kind.SEED] for party in Party}


@pytest.mark.parametrize(
    ("grid", "bank", "said"),
    [
        ([PeriodDemand(4)], [], "the bank ended its dealer stream, while the grid asks for more"),
        ([], [TRAINING], "the grid ended its dealer stream, while the bank asks for more"),
    ],
)
async def test_a_stream_that_ends_before_the_others(grid: list[Demand], bank: list[Demand], said: str) -> None:
    """As gRPC reads a process that was killed: its job is interrupted, and goes on when it is back."""
    with pytest.raises(PeerLost, match=said):
        await serve(grid, bank)
    assert served[-1] == {party: [Kind.SEED] for party in Party}


@pytest.mark.parametrize("demand", [PeriodDemand(4), COUNTS, TRAINING], ids=["periods", "counts", "training"])
async def test_the_same_demand_twice(demand: Demand) -> None:
    """A second training or product would expand the same masks again."""
    with pytest.raises(PeerProtocolError, match="twice"):
        await serve([demand, demand], [demand, demand])
    await serve([demand], [demand])
    assert served[-1] == served[-2]


@pytest.mark.parametrize("demand", [PeriodDemand(4), COUNTS, TRAINING], ids=["periods", "counts", "training"])
async def test_a_party_does_not_order_twice(demand: Demand) -> None:
    end = DealerEnd(memory_pair()[0])
    correlations = DealtCorrelations(Party.GRID, bytes(32), end)
    await correlations.order(demand)
    with pytest.raises(LocalProtocolError, match="twice"):
        await correlations.order(demand)
    assert end.asked.qsize() == 1


@pytest.mark.parametrize("seed", [np.zeros(95, np.uint8), np.zeros(12, np.uint64), np.zeros((1, 96), np.uint8)], ids=str)
async def test_a_seed_of_another_size(seed: Array) -> None:
    here, there = memory_pair()
    await there.send(Round(Kind.SEED, 0), seed)
    with pytest.raises(PeerProtocolError, match="seed/0"):
        await take_seed(DealerEnd(here))


@pytest.mark.parametrize("dealt", [np.zeros(4, np.uint64), np.zeros(5, np.uint32), np.zeros((5, 1), np.uint64)], ids=str)
async def test_dealt_arrays_of_another_shape(dealt: Array) -> None:
    here, there = memory_pair()
    await there.send(Round(Kind.DEALT_TRUNCATION, 2), dealt)
    with pytest.raises(PeerProtocolError, match="dealt_truncation/2"):
        await DealtCorrelations(Party.GRID, bytes(32), DealerEnd(here)).truncation(2, 5)


@pytest.mark.parametrize("link", [Fourier(), Fourier(64, 11), Taylor()], ids=str)
def test_each_table_is_dealt_to_one_party(link: Fourier | Taylor) -> None:
    grid, bank = (dealt_tables(link, party) for party in Party)
    assert sorted(grid + bank) == list(range(link.tables)) and len(grid) == len(bank)


async def test_seeds_are_fresh() -> None:
    seeds = set()
    for _ in range(8):
        trio = Trio()
        await trio.dealer.seeds()
        seeds |= {trio.to_party[party].log[0][1].tobytes() for party in Party}
    assert len(seeds) == 16
    assert isinstance(Dealer({}, nonces=NONCES, keys=KEYS)._seeds[Party.GRID], bytes)


@pytest.mark.parametrize("bits", [8, 20])
async def test_final_truncation_is_dealt_when_it_rounds(bits: int) -> None:
    trio = Trio()
    steps = nesterov(300, 2, 2.5)
    await deal_work(trio.dealer, PROBLEM.work(steps, Taylor(), bits))
    for party in Party:
        dealt = [str(round) for round, _ in trio.to_party[party].log]
        expected = ["dealt_link/0", "dealt_truncation/0", f"dealt_link/{steps[1].spans()[0].number}", "dealt_truncation/1"]
        assert dealt == expected + (["dealt_truncation/2"] if bits < WEIGHT_SCALE else [])


async def test_a_dealer_short_of_memory_deals_the_same() -> None:
    logs = []
    for memory in (1 << 30, 0):
        trio = Trio(seed=7)
        trio.dealer._memory = memory
        await deal_work(trio.dealer, PROBLEM.work(nesterov(300, 2, 2.5), Fourier(), 8))
        logs.append({party: [(str(r), v.tobytes()) for r, v in trio.to_party[party].log] for party in Party})
    assert logs[0] == logs[1]
