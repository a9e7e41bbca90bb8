"""Rows that are asked for one after another are scored by trees as all at once are, and each by masks of its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from common.errors import PolicyError
from common.learn.learner import Telling
from common.learn.trees import deal, walk
from common.learn.trees.asked import Scores
from common.learn.trees.deal import TreeScoreDemand, deal_tree_scores
from common.learn.trees.forest import Shape
from common.learn.trees.half import TreesHalf
from common.learn.trees.masks import ChoiceMasks
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import Reals
from common.mpc.prg import Prg
from common.mpc.session import Kind, Session
from common.party import Party
from tests.common.learn.in_turn import in_turn
from tests.common.learn.trees.test_score import DEPTH, TREES, halves, plain, score, table
from tests.peers import Trio, coordinate


async def score_one_by_one(
    trio: Trio, models: dict[Party, TreesHalf], rows: int, sizes: Sequence[int], telling: Telling, warm: bool = True
) -> Reals:
    """u of the rows, so many at a time."""

    async def side(session: Session, correlations: DealtCorrelations) -> list[Reals | None]:
        scores = await Scores.begin(session, correlations, models[session.party], rows, telling)
        return await in_turn(scores, table(session.party, rows), sizes, warm=warm)

    told = (await coordinate(trio, side, more={TreeScoreDemand: deal_tree_scores}))[Party.BANK]
    return np.concatenate([one for one in told if one is not None])


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("bits", [5, 11])
async def test_rows_asked_for_one_after_another_are_scored_as_all_at_once(
    bits: int, warm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In lots, and within a lot in windows of pads, whose ends no table keeps to."""
    monkeypatch.setattr(deal, "BLOCK_ROWS", 100)
    monkeypatch.setattr(walk, "_PADS", 30 * TREES * (1 << DEPTH))
    models, leaves = halves()
    sizes = [1, 1, 27, 1, 1, 40, 120, 1, 8]  # within a window, over its end, over the end of a lot, over two
    found = await score_one_by_one(Trio(), models, 200, sizes, Telling(Kind.SCORES, bits, dealt=210), warm)
    exact = plain(models, leaves, 200)
    assert np.abs(found - exact).max() <= (0.0 if bits == 11 else 1.5 * 2.0**-bits)


async def test_a_table_asked_for_is_sent_as_it_is_where_all_are_scored_at_once() -> None:
    """The same arrays of the same masks, to the last bit."""
    models, _ = halves()
    logs = []
    for way in (score, partial(score_one_by_one, sizes=[90])):
        trio = Trio(seed=3)
        await way(trio, models, 90, telling=Telling(Kind.SCORES, 5))
        logs.append([[(label, values.tobytes()) for label, values in trio.peer[party].log] for party in Party])
    assert logs[0] == logs[1]


async def test_no_row_takes_the_masks_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same row asked for again and again: what hides its path is another one each time."""
    monkeypatch.setattr(walk, "_PADS", 7 * TREES * (1 << DEPTH))
    models, _ = halves()
    trio, used = Trio(), list[bytes]()
    made = walk._Masks.of

    def watched(*given: Any) -> Any:
        found = made(*given)
        used.extend(found.choice[:, 0, k].tobytes() for k in range(60))
        return found

    monkeypatch.setattr(walk._Masks, "of", watched)
    await score_one_by_one(trio, models, 60, [1] * 60, Telling(Kind.SCORES, 5))
    assert len(set(used)) == 120  # of both parties
    sent = [values.tobytes() for label, values in trio.peer[Party.GRID].log if label.kind is Kind.MASKED_LEAVES]
    assert len(sent) == 60 == len(set(sent))


async def test_more_rows_than_were_dealt_for_are_refused() -> None:
    with pytest.raises(PolicyError, match="randomness is left for 1"):
        await score_one_by_one(Trio(), halves()[0], 12, [8, 2], Telling(Kind.SCORES, 5, dealt=9))


@pytest.mark.parametrize("versions", [1, 3])
def test_the_pads_of_a_window_are_what_all_have_there(versions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, leaves = 103, 1 << DEPTH
    monkeypatch.setattr(walk, "_PADS", 40 * TREES * leaves * versions)
    trees = [ChoiceMasks(Prg(bytes(32)), t, versions * rows, Shape(TREES, DEPTH)) for t in range(TREES)]
    nothing = np.zeros((TREES, versions, rows), np.uint16)
    masks = walk._Masks(trees, nothing.astype(np.uint8), nothing, slice(0, 0), np.empty((0, 0, 0, 0), np.uint16))
    whole = np.stack([one.pads().reshape(leaves, versions, rows) for one in trees])
    for first, window in ((0, slice(0, 40)), (40, slice(40, 80)), (81, slice(81, 103)), (102, slice(102, 103))):
        masks.expand(first)
        assert masks.window == window and np.array_equal(masks.pads, whole[..., window])
