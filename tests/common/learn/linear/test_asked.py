"""Rows that the bank asks for: one message each way; the bank learns what it learns of rows scored at once, the grid less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from common.errors import PolicyError
from common.learn.learner import Telling
from common.learn.linear.deal_scores import SCORE_SCALE
from common.learn.linear.half import ClosedModel
from common.learn.linear.score import Scores
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import Reals, decode
from common.mpc.session import Kind, Session
from common.mpc.short import lengthen
from common.mpc.truncate import opened
from common.party import Party
from tests.common.learn.linear.test_score import BITS, COUNT, models, rows
from tests.extent import extent
from tests.peers import Trio, coordinate

Asked = tuple[int, list[int], list[int]]  # how many rows are asked for; the places of those held, and of those scored


async def request(
    trio: Trio, halves: dict[Party, ClosedModel], dealt: int, asked: Sequence[Asked], warm: bool = True, of: int = COUNT
) -> list[Reals | None]:
    """u of the rows scored of the first rows of the table, asked for once and again, within one demand for `dealt` rows.

    of: rows of the table.
    """

    async def side(session: Session, correlations: DealtCorrelations) -> list[Reals | None]:
        party, found = session.party, list[Reals | None]()
        scores = await Scores.begin(session, correlations, halves[party], dealt, Telling(Kind.SCORES, BITS))
        if warm:
            await scores.warm()
        for count, held, kept in asked:
            at = np.arange(count) if party is Party.BANK else np.array(held, np.int64)
            one = await scores.ask(rows(party, of).take(at), at, count)
            assert one.taken == count
            found.append(await one.open(np.array(kept, np.int64)) if kept else None)
        return found

    result = await coordinate(trio, side)
    assert all(one is None for one in result[Party.GRID])
    return result[Party.BANK]


SHAPES: list[tuple[int, list[Asked]]] = [
    (300, [(300, list(range(300)), list(range(300)))]),
    (40, [(1, [0], [0])] * 40),
    (64, [(7, [0, 2, 3, 6], [2, 6]), (20, [], []), (1, [0], []), (36, list(range(1, 36)), [1, 34])]),
    (33, [(15, [4], [4]), (17, list(range(17)), list(range(0, 17, 3))), (1, [0], [0])]),
]


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize(("dealt", "asked"), SHAPES)
async def test_rows_that_may_be_are_scored_across_blocks_and_no_mask_serves_twice(
    monkeypatch: pytest.MonkeyPatch, dealt: int, asked: list[Asked], warm: bool
) -> None:
    monkeypatch.setattr("common.learn.linear.deal_scores.MATRIX_BLOCK", 16)
    halves, u = models()
    trio = Trio()
    found = await request(trio, halves, dealt, asked, warm)
    for one, (_, _, kept) in zip(found, asked, strict=True):
        assert one is None if not kept else np.abs(one - u[kept]).max() < 1.5 * 2.0**-BITS + 0.005
    for party, most in ((Party.BANK, sum(count for count, _, _ in asked)), (Party.GRID, sum(len(k) for _, _, k in asked))):
        masked = [values for label, values in trio.peer[party].log if label.kind is Kind.MASKED_MATRIX]
        words = np.concatenate([lengthen(values, 6, (len(values) // 6,)) for values in masked])
        assert len(words) == 3 * most and len(np.unique(words)) == len(words)  # the same first rows each time


async def test_a_request_is_one_message_of_the_bank_and_then_the_grids() -> None:
    halves, _ = models()
    trio = Trio()
    await request(trio, halves, 20, [(9, [0, 3, 5, 8], [3, 8])] * 2)
    sent = {party: [(label.kind, values.nbytes) for label, values in trio.peer[party].log] for party in Party}
    weights = (Kind.MASKED_WEIGHTS, 16 * (3 + 1))
    assert sent[Party.BANK] == [weights, *[(Kind.MASKED_MATRIX, 6 * 3 * 9)] * 2]
    once = [(Kind.MASKED_MATRIX, 6 * 3 * 2), (Kind.MASKED_UPDATE, 8 * 2), (Kind.SCORES, 16 * 2)]
    assert sent[Party.GRID] == [weights, *once * 2]


async def test_both_shares_of_the_mask_say_what_c_and_the_score_say_and_no_more() -> None:
    """The bank could compute the mask's body and top of c and the score, which it learns in any case: one pair gives each."""
    halves, _ = models()
    trio, every = Trio(), list(range(COUNT))
    (u,) = await request(trio, halves, COUNT, [(COUNT, every, every)])
    assert u is not None
    shift, steps = SCORE_SCALE - BITS, np.round(u * 2.0**BITS).astype(np.int64).astype(np.uint64)
    seen: dict[str, Any] = {}

    async def side(session: Session, correlations: DealtCorrelations) -> None:
        party = session.party
        scores = await Scores.begin(session, correlations, halves[party], COUNT, Telling(Kind.SCORES, BITS))
        one: Any = await scores.ask(rows(party), np.arange(COUNT), COUNT)
        seen[party.value] = one.asked.part
        await one.open(np.arange(COUNT))

    await coordinate(again := Trio(seed=7), side)
    grid, bank = seen["grid"], seen["bank"]
    body, top = grid.body + bank.body, grid.top + bank.top
    assert (body < np.uint64(1) << np.uint64(63 - shift)).all() and (top < 2).all()
    told = {label.kind: values for label, values in again.peer[Party.GRID].log}
    assert (told[Kind.SCORES] == np.stack([grid.body, grid.top], axis=1)).all()
    for c in (np.zeros(COUNT, np.uint64), ~np.zeros(COUNT, np.uint64), steps * np.uint64(2654435761)):
        public, sign = opened(c, shift)
        score = public + sign * top - body
        for other in (0, 1):  # the only body by which another top would give the same score is none
            elsewhere = public + sign * np.uint64(other) - score
            assert ((elsewhere < np.uint64(1) << np.uint64(63 - shift)) == (top == other)).all()


async def test_every_message_looks_uniform_whatever_rows_and_weights_are() -> None:
    """Over many seeds, the top bits of each word of each kind, refused rows included, as of rows scored at once."""
    halves, _ = models(20)
    seen: dict[tuple[Party, Kind, int], list[np.ndarray[Any, Any]]] = {}
    for seed in range(extent(130, 400)):
        trio = Trio(seed=seed)
        await request(trio, halves, 20, [(20, list(range(4, 20)), list(range(4, 20, 2)))])
        for party in Party:
            for label, values in trio.peer[party].log:
                for column in range(values.shape[1] if values.ndim == 2 else 1):
                    words = values[:, column] if values.ndim == 2 else values
                    seen.setdefault((party, label.kind, column), []).append(words >> (8 * values.itemsize - 4))
    assert {kind for party, kind, _ in seen if party is Party.GRID} == {
        *(Kind.MASKED_WEIGHTS, Kind.MASKED_MATRIX, Kind.MASKED_UPDATE, Kind.SCORES)
    }
    for values in seen.values():
        counts = np.bincount(np.concatenate(values).astype(np.int64), minlength=16)
        expected = counts.sum() / 16
        assert float(((counts - expected) ** 2 / expected).sum()) < 50  # 15 degrees of freedom: beyond by chance in 1e-5


async def test_a_row_asked_for_again_and_again_tells_no_finer_bits() -> None:
    halves, u = models(40)
    every = list(range(40))
    told = await request(Trio(), halves, 40 * 256, [(40, every, every)] * 256, of=40)
    off = (np.mean([one for one in told if one is not None], axis=0) - u) * 2.0**BITS
    assert 0.2 < float(off.std()) < 0.4 and float(np.abs(off).max()) < 0.8


async def test_rows_beyond_those_dealt_are_refused_at_both() -> None:
    halves, _ = models()
    with pytest.raises(PolicyError, match="2 rows are to be scored, and randomness is left for 1"):
        await request(Trio(), halves, 3, [(2, [0, 1], []), (2, [0, 1], [0])])


async def test_what_the_scores_are_is_told_as_of_rows_scored_at_once() -> None:
    halves, u = models()
    (found,) = await request(Trio(seed=3), halves, COUNT, [(COUNT, list(range(COUNT)), list(range(COUNT)))])
    assert found is not None and (found == decode(np.round(found * 2**BITS).astype(np.int64).astype(np.uint64), BITS)).all()
    assert abs(float((found - u).mean())) < 4 * 2.0**-BITS / np.sqrt(COUNT) + 1e-3  # up or down without bias
