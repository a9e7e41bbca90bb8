"""What a step pulls where nobody deals, against what it should be, its noise, its bytes and what is seen of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import numpy as np
import pytest

from common.errors import PeerProtocolError
from common.learn.learner import Size
from common.learn.linear.cost import phased_matrices, phased_step, unaided
from common.learn.linear.learner import Linear
from common.learn.linear.path import Blocks, Step
from common.learn.linear.phased import Phased, share_phased
from common.learn.linear.steps import make_steps
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.fixedpoint import RIDGE_SCALE, UNDEALT_SCALE, X_SCALE, Reals, decode, encode
from common.mpc.lattice.embedding import BLOCK
from common.mpc.lattice.phasors import SPAN_BLOCKS, spans_of
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.link import Fourier
from common.mpc.prg import Prg
from common.mpc.session import Array, Round
from common.party import Party
from common.plan.linear import Model
from common.stats.measures import evaluate
from tests.channels import MemoryChannel
from tests.common.learn.linear.test_unaided import trained
from tests.common.learn.linear.test_undealt import LOOKAHEAD, inputs_of
from tests.common.learn.linear.test_undealt import trained as dealt
from tests.common.learn.linear.test_undealt_views import uneven
from tests.common.mpc.problems import Problem, few_overdue, halves, make_problem
from tests.common.mpc.test_cost import measured
from tests.peers import Trio

COUNTED = 46  # bits of a look-ahead's share that count


async def phased(trio: Trio, problem: Problem, party: Party, model: Model) -> Phased:
    mine, nonces = inputs_of(problem, party, model), {p: bytes([p.index]) * 32 for p in Party}
    sampler, public = Sampler(Prg.fresh_seed()), {p: Public(nonces, p) for p in Party}
    own = mine.own, mine.own_ridge, mine.other_columns
    return await share_phased(trio.session[party], sampler, public, *own, mine.label, model)


async def pulled(
    problem: Problem, link: Fourier, steps: list[Step], points: Any, trio: Trio
) -> tuple[list[Reals], list[Reals]]:
    """Of shares that are anything above the bits that count: what is pulled, and what should be."""
    rng, model = np.random.default_rng(2), Model(dealer="none", reveal="owners", ridge=0.05)
    if link != Fourier():  # in its usual number of terms
        model = model.model_copy(update={"period": int(link.period), "terms": link.terms})
    assert model.fourier() == link
    shares = [halves(encode(point, LOOKAHEAD), rng) for point in points]
    for share in shares:
        for party in Party:
            share[party] += rng.integers(0, 1 << 64 - COUNTED, len(share[party]), np.uint64) << np.uint64(COUNTED)

    async def side(party: Party) -> list[Reals]:
        products, found = await phased(trio, problem, party, model), []
        zero = Blocks.zero(problem.columns[party], problem.columns[party.other])
        for step, share in zip(steps, shares, strict=True):
            found.append((await products.pull(step, zero.split(party, share[party]))).joined(party))
        return found

    grid, bank = await asyncio.gather(*map(side, Party))
    mine = {p: inputs_of(problem, p, model) for p in Party}
    both = np.column_stack([mine[p].own * 2.0**-X_SCALE for p in Party])
    ridge = [decode(mine[p].own_ridge, RIDGE_SCALE) for p in Party]
    want = []
    for step, point in zip(steps, points, strict=True):
        x, y = both[: step.high], problem.y[: step.high]
        at = problem.columns[Party.GRID]
        pull = np.concatenate([ridge[0] @ point[:at], ridge[1] @ point[at:]])
        want.append(step.size / step.high * x.T @ (link(x @ point) - y) + pull)
    return [decode(one + two, UNDEALT_SCALE) for one, two in zip(grid, bank, strict=True)], want


LINKS = [Fourier(), Fourier(32), Fourier(64)]


@pytest.mark.parametrize("link", LINKS, ids=str)
async def test_what_a_step_pulls_is_right(link: Fourier) -> None:
    """Over all rows, over the first ones alone, and over one block."""
    problem = make_problem(9000, 3, 4, ridge=0.05)
    steps = [Step(0, 0, 9000, 2.5, 0), Step(1, 0, 5000, 2.5, 0), Step(2, 0, 1000, 4.0, 0)]
    points = np.random.default_rng(1).uniform(-1.5, 1.5, (3, 7))
    found, want = await pulled(problem, link, steps, points, Trio())
    for step, got, should in zip(steps, found, want, strict=True):
        assert np.abs(got - should).max() < 0.04 * step.size / np.sqrt(step.high) + 2.0**-10  # of 25 runs half of that at most


async def test_messages_are_uniform_and_their_bytes_those_of_the_formula() -> None:
    """Of labels and rows, and of a table of zeros at weights of zeros."""
    problem, steps = make_problem(9000, 3, 4), [Step(0, 0, 9000, 2.5, 0), Step(1, 0, 2000, 2.5, 0)]
    zeros = Problem({p: np.zeros_like(x) for p, x in problem.x.items()}, problem.ridge, problem.y)
    for table, points in ((problem, np.ones((2, 7))), (zeros, np.zeros((2, 7)))):
        trio = Trio()
        await pulled(table, Fourier(), steps, points, trio)
        assert uneven(trio) == set()
        for party in Party:
            sent = phased_matrices(9000, problem.columns[party]) + sum(phased_step(step, 5, party) for step in steps)
            assert measured(trio, party).peer_sent == sent


async def test_rows_fill_spans_alike() -> None:
    problem = make_problem(SPAN_BLOCKS * BLOCK + 10, 1, 1)
    step = Step(0, 0, problem.rows, 2.5, 0)
    (got,), (want,) = await pulled(problem, Fourier(), [step], [np.array([0.5, -1.0])], Trio())
    assert np.abs(got - want).max() < 2.0**-10


def test_every_block_has_an_owner_and_rows_are_counted() -> None:
    for rows in (1, BLOCK, BLOCK + 1, SPAN_BLOCKS * BLOCK + 1, 3 * SPAN_BLOCKS * BLOCK - 1):
        seen = [place for span in spans_of(rows) for p in Party for place in range(span.last)[span.blocks(p)]]
        assert sorted(seen) == list(range(-(-rows // BLOCK)))
        assert sum(span.filled(p) for span in spans_of(rows) for p in Party) == rows


MODEL: dict[str, Any] = {"dealer": "none", "reveal": "owners"}


async def test_weights_are_those_of_plaintext_steps_and_bytes_those_of_the_formula() -> None:
    problem = make_problem(5000, 3, 4)
    model = Model(**MODEL, weight_bits=14)
    assert model.iterations == 20 and model.fourier() == Fourier()
    found, trio = await trained(problem, model)
    exact = problem.twin(make_steps(model, problem.rows, sum(problem.columns.values())), model.fourier())
    assert np.abs(found - exact).max() < 2.0**-7.5  # noise: of 40 runs up to 2^-8.5
    assert uneven(trio) == set()
    for party in Party:
        own, other = problem.columns[party], problem.columns[party.other]
        assert measured(trio, party) == unaided(party, model, problem.rows, own, other)


async def test_with_three_per_cent_overdue_it_ranks_as_a_dealers_does() -> None:
    """Weights in their usual steps, on rows that were not trained on."""
    first, x, y = few_overdue()
    course = {"step": 5.0, "iterations": 30, "weight_bits": 12}
    whole, _ = await dealt(first, Model(reveal="owners", **course))
    none, _ = await trained(first, Model(**MODEL, **course))
    by_whole, by_none = (evaluate(y, x @ weights) for weights in (whole, none))
    assert abs(by_whole.auc - by_none.auc) <= 0.0005 and abs(by_whole.logloss - by_none.logloss) <= 0.0002
    assert by_none.auc > 0.65


async def test_secrets_of_zeros_show_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is under a key, and what is told of vectors where these are shares of zeros; shifts go wrong then."""
    monkeypatch.setattr("common.mpc.lattice.sampled.Sampler.ternary", lambda _, *shape: np.zeros(shape, np.int64))
    trio = Trio()
    with pytest.raises(PeerProtocolError, match="message of the other party was wrong"):
        await trained(make_problem(5000, 3, 4), Model(**MODEL), trio=trio)
    shown = {kind for _, kind in uneven(trio)}
    assert {"lattice_matrix", "lattice_phasors", "lattice_bits"} <= shown


class Chained:
    """A channel that knows of each array how long the chain of arrays is that it comes after."""

    def __init__(self, channel: MemoryChannel) -> None:
        self.channel, self.longest, self.coming = channel, 0, asyncio.Queue[int]()
        self.other: Chained

    def send(self, round: Round, values: Array) -> Awaitable[None]:
        self.other.coming.put_nowait(self.longest + 1)  # as it is posted, not as it leaves
        return self.channel.send(round, values)

    async def receive(self, round: Round) -> Array:
        found = await self.channel.receive(round)
        self.longest = max(self.longest, await self.coming.get())
        return found


def chained(trio: Trio) -> dict[Party, Chained]:
    """Both ends of the line, which from now on know that."""
    ends = {party: Chained(trio.peer[party]) for party in Party}
    for party, end in ends.items():
        end.other, trio.session[party]._peer = ends[party.other], end  # type: ignore[assignment]
    return ends


@pytest.mark.parametrize("link", ["fourier", "taylor"])
@pytest.mark.parametrize("rows", [3000, 66_000])  # one span and one block of a matrix, and two
async def test_rounds_are_no_fewer_than_a_trainings_longest_chain_and_no_more_than_all_its_arrays(link: str, rows: int) -> None:
    problem, trio = make_problem(rows, 1, 2), Trio()
    ends = chained(trio)
    model = Model(**MODEL, weight_bits=10, iterations=3, link=link)  # type: ignore[arg-type]
    await trained(problem, model, trio=trio)
    matrices = -(-rows // MATRIX_BLOCK) + 1  # which a job is told to exchange besides
    stated = Linear().rounds(model, Size(rows, 3, 3)) + matrices
    assert max(end.longest for end in ends.values()) <= stated <= max(trio.session[p].traffic.rounds for p in Party)
