"""A stock of two parts under one seed: each is read in its own order, beside the other; labels say which stocks have both."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import LocalProtocolError, PolicyError
from common.home.stock import StockLabel, StoredArrays, stock_bytes
from common.home.stocks import Stocks, predealt
from common.learn.dealings import dealings
from common.learn.learner import Size
from common.learn.learners import scores_dealt
from common.learn.linear import deal_reasons as linear_reasons
from common.learn.linear.deal_reasons import ReasonsDemand
from common.learn.linear.deal_scores import ScoreDemand
from common.learn.network import deal_reasons as network_reasons
from common.learn.trees import deal_reasons as tree_reasons
from common.mpc.prg import Prg
from common.mpc.session import Kind, Round
from common.party import Party
from common.plan.linear import Model
from common.plan.network import Network
from common.plan.predeal import PredealPlan
from common.plan.trees import Trees

PLAN = PredealPlan(serves="scores", rows=70_000, grid_columns=4, bank_columns=3, reasons=2)  # two blocks of scores


def stored(folder: Path) -> tuple[Stocks, list[tuple[Round, tuple[int, ...]]]]:
    shelf, arrays = Stocks(folder / "stock", folder / "spent.sqlite", "d", 64), list(predealt(PLAN).all_arrays(Party.BANK))
    with shelf.create("predeal-1", PLAN, bytes(range(32))) as writer:
        for k, (label, shape) in enumerate(arrays):
            writer.add(label, np.full(shape, k, np.uint64))
        writer.finish()
        writer.commit()
    return shelf, arrays


async def test_each_part_is_read_in_its_order_beside_the_other(tmp_path: Path) -> None:
    shelf, arrays = stored(tmp_path)
    (label,) = shelf.unspent()
    assert label.reasons == 2
    stock = shelf.spend(label)
    scores, reasons = (list(part.arrays(Party.BANK)) for part in predealt(PLAN).parts())
    assert arrays == scores + reasons and len(scores) == 3 and len(reasons) == 5
    link = StoredArrays(stock, Party.BANK, predealt(PLAN))
    await link.demand(ScoreDemand(0, 70_000, 4, 3, 5))
    await link.demand(ReasonsDemand(70_000, 4, 2))
    with pytest.raises(LocalProtocolError):
        await link.demand(ReasonsDemand(70_000, 4, 3))
    with pytest.raises(LocalProtocolError, match="out of order"):
        await link.receive(reasons[1][0])
    for round, shape in (scores[0], reasons[0], reasons[1], scores[1], reasons[2], reasons[3], reasons[4], scores[2]):
        np.testing.assert_array_equal(await link.receive(round), np.full(shape, arrays.index((round, shape)), np.uint64))
    with pytest.raises(LocalProtocolError, match="out of order"):
        await link.receive(Round(Kind.DEALT_RANKS, 0))
    stock.close()


async def test_a_session_without_reasons_reads_the_first_part_alone(tmp_path: Path) -> None:
    shelf, _ = stored(tmp_path)
    stock = shelf.spend(shelf.unspent()[0])
    alone = replace(predealt(PLAN), then=None)
    link = StoredArrays(stock, Party.BANK, alone)
    with pytest.raises(LocalProtocolError):
        await link.demand(ReasonsDemand(70_000, 4, 2))
    for k, (round, shape) in enumerate(alone.arrays(Party.BANK)):
        np.testing.assert_array_equal(await link.receive(round), np.full(shape, k, np.uint64))
    stock.close()
    assert stock_bytes(Party.BANK, alone) < stock_bytes(Party.BANK, predealt(PLAN))


def test_labels_without_reasons_are_what_they_were_and_others_tell_how_many() -> None:
    plain = StockLabel("s", "d", "deals", 10, 2, 3)
    assert "reasons" not in plain.fields() and StockLabel(**plain.fields()) == plain
    told = [replace(plain, reasons=texts) for texts in (1, 2)]
    assert all(StockLabel(**label.fields()) == label for label in told)
    assert len({bytes(label.digest()) for label in (plain, *told)}) == 3


def test_reasons_are_dealt_for_scores_of_sizes_that_are_told() -> None:
    assert "reasons" not in PLAN.model_copy(update={"reasons": 0}).canonical() and '"reasons":2' in PLAN.canonical()
    sizes = {"rows": 9, "grid_columns": 4, "bank_columns": 3}
    with pytest.raises(ValueError, match="for scores alone"):
        PredealPlan.model_validate({**sizes, "serves": "training", "reasons": 1})
    with pytest.raises(PolicyError, match=r"30 texts over 3000 prepared columns .* too large a matrix"):
        scores_dealt("linear", Model(), Size(9, 3000, 3), 5, 30)


@pytest.mark.parametrize("most", [9, 3000])
@pytest.mark.parametrize(
    ("name", "section", "size"),
    [
        ("trees", Trees(kind="trees", trees=3, depth=2), Size(50, 3, 2)),
        ("network", Network(kind="network", hidden=2), Size(50, 4, 3)),
        ("network", Network(kind="network", hidden=2, activation="relu"), Size(50, 4, 3)),
        ("linear", Model(), Size(50, 4, 3)),
    ],
)
def test_what_a_stock_lists_of_reasons_is_what_is_dealt_for_them(
    name: str, section: Any, size: Size, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label, shape and order of each array, at either party, of one block and of several."""
    monkeypatch.setattr(tree_reasons, "BLOCK_ROWS", 3 * most)
    monkeypatch.setattr(network_reasons, "CELLS", 6 * most)
    monkeypatch.setattr(linear_reasons, "_CELLS", 3 * most)
    ahead = scores_dealt(name, section, size, 5, 2).then
    assert ahead is not None
    deal = dealings(PLAN, 1 << 20)[type(ahead.demand)]
    dealt = [one for group in deal({p: Prg(bytes([p.index]) * 32) for p in Party}, ahead.demand) for one in group]
    for party in Party:
        found = [(label, words.size) for to, label, words in dealt if to is party]
        assert found == [(label, math.prod(shape)) for label, shape in ahead.arrays(party)]
        assert len(found) > 6 or most > 50
