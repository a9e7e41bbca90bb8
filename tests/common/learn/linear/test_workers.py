"""What several threads deal, and what parties compute beside each other, is byte by byte what one after the other gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import pytest

from common.learn.dealings import dealings, together
from common.learn.layout import LineDemand
from common.learn.linear import deal, deal_scores, joint, path
from common.learn.linear import products as spans_products
from common.learn.linear.deal import Masks, Work
from common.learn.linear.deal_scores import ScoreDemand
from common.learn.linear.path import Step
from common.learn.linear.schedule import nesterov, sgd
from common.mpc import crossed, product, session, threads
from common.mpc.correlations import dealt
from common.mpc.dealer import Dealt
from common.mpc.link import Fourier, Taylor
from common.mpc.prg import Prg
from common.mpc.session import Array, Kind, Round
from common.mpc.several import dealer as several
from common.party import Party
from common.plan.linear import Model
from common.plan.predeal import PredealPlan
from tests.banks import several_plan
from tests.common.mpc.problems import make_problem, train
from tests.peers import Trio

ROWS, GRID, BANK = 700, 3, 4
PROBLEM = make_problem(ROWS, GRID, BANK)
COLUMNS = {Party.GRID: GRID, Party.BANK: BANK}
FULL, BATCHES = nesterov(ROWS, 3, 2.5), sgd(ROWS, 300, 1, 1.0)
WORKS = {
    "shared": Work(FULL, Fourier(), ROWS, COLUMNS, 20),
    "of ones": Work(FULL, Fourier(), ROWS, COLUMNS, 20, closed=True, joint=True, ones=True),
    "kept closed": Work(FULL, Fourier(), ROWS, COLUMNS, 20, closed=True, joint=True),
    "owned": Work(BATCHES, Taylor(), ROWS, COLUMNS, None),
    "goes on": Work(FULL, Taylor(), ROWS, COLUMNS, 20, first=1),
    "on a Hessian": Work(FULL, Taylor(), ROWS, COLUMNS, 20, closed=True, joint=True, quadratic=True),
    "half": Work(FULL, Fourier(), ROWS, COLUMNS, 20, joint=True, undealt=True),
}
PRG = {party: Prg(party.value.encode().ljust(32), party.value.encode().rjust(32)) for party in Party}
Log = list[tuple[Round, bytes]]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans and blocks of masks that do not end at the same rows."""
    monkeypatch.setattr(path, "SPAN_ROWS", 64)
    for module in (dealt, product, joint, crossed):
        monkeypatch.setattr(module, "MATRIX_BLOCK", 50)


def plain(items: Iterable[Dealt]) -> list[tuple[Party, Round, bytes]]:
    return [(party, label, values.tobytes()) for item in items for party, label, values in item]


def dealt_by(work: Work, memory: int, workers: int) -> list[tuple[Party, Round, bytes]]:
    return plain(Masks(PRG, work, memory, workers).deal())


@pytest.mark.parametrize("memory", [0, 1 << 30], ids=["masks expanded anew", "masks kept"])
@pytest.mark.parametrize("name", WORKS)
def test_any_number_of_threads_deals_the_same_bytes_in_the_same_order(name: str, memory: int) -> None:
    one = dealt_by(WORKS[name], memory, 1)
    assert len(one) > 20
    for workers in (2, 4, 7):
        assert dealt_by(WORKS[name], memory, workers) == one


@pytest.mark.parametrize("memory", [0, 1 << 30], ids=["masks expanded anew", "masks kept"])
@pytest.mark.parametrize("name", ["shared", "half"])
def test_spans_that_are_ahead_hold_no_more_than_is_allowed(name: str, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A span holds its tables and a piece of the masks; the bytes that are dealt are the same."""
    one, work = dealt_by(WORKS[name], memory, 1), WORKS[name]
    monkeypatch.setattr(deal, "PIECE_ROWS", 7)
    span = max(span.rows for span in FULL[0].spans()) * 16 * work.link.tables + 7 * 8 * (GRID + BANK)
    begun, link = 0, Masks._link

    def counted(self: Masks, *of: object) -> Dealt:
        nonlocal begun
        begun += 1
        return link(self, *of)  # type: ignore[arg-type]

    monkeypatch.setattr(Masks, "_link", counted)
    for room, most in ((3 * span, 3), (3 * span - 1, 2), (1, 1)):
        monkeypatch.setattr("common.mpc.threads.AHEAD_BYTES", room)
        begun, got, ahead = 0, list[tuple[Party, Round, bytes]](), 0
        for item in Masks(PRG, work, memory, 64).deal():
            got += plain([item])
            spans = sum(label.kind is Kind.DEALT_LINK for _, label, _ in got) // 2
            ahead = max(ahead, begun - spans)
        assert got == one and ahead <= most


def test_any_number_of_threads_deals_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deal_scores, "MATRIX_BLOCK", 50)
    demand = ScoreDemand(1, ROWS, GRID, BANK, 5)

    def scores(workers: int) -> list[tuple[Party, Round, bytes]]:
        dealt = dealings(PredealPlan(model=Model(), rows=ROWS, grid_columns=GRID, bank_columns=BANK), 0, ROWS, workers)
        return plain(dealt[ScoreDemand](PRG, demand))

    one = scores(1)
    assert len(one) == 2 * (1 + ROWS // 50)
    for workers in (2, 4, 7):
        assert scores(workers) == one


@pytest.mark.parametrize("memory", [0, 1 << 30], ids=["masks expanded anew", "masks kept"])
def test_so_it_does_for_several_banks_of_unequal_sizes(memory: int) -> None:
    prgs = [{party: Prg(bytes([place, party.index]) * 16, bytes(32)) for party in Party} for place in range(3)]
    masks, asked = several.Masks((prgs[0], prgs[1]), prgs[2]), [LineDemand(rows, GRID, BANK) for rows in (ROWS, 333)]

    def lines(workers: int) -> list[tuple[int, Party, Round, bytes]]:
        deal = together(several_plan(2), memory, ROWS, workers)[LineDemand]
        return [(line, p, label, values.tobytes()) for item in deal(masks, asked) for line, p, label, values in item]

    one = lines(1)
    assert {line for line, *_ in one} == {0, 1}
    for workers in (2, 5):
        assert lines(workers) == one


def test_masks_are_read_alike_by_many_threads_and_few_blocks_are_held() -> None:
    prg = Prg(bytes(32))
    whole, rows = dealt.matrix_mask(prg, ROWS, GRID), dealt.MaskRows(prg, ROWS, GRID)
    assert np.array_equal(whole, dealt.matrix_mask(prg, ROWS, GRID, workers=3))
    for low in (0, 40, 130, 649, 0):
        assert np.array_equal(rows[low : low + 51], whole[low : low + 51])
    assert len(rows._blocks) <= 2


def test_pieces_of_a_mask_are_read_alike_by_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    prg = Prg(bytes(32))
    whole, rows = dealt.matrix_mask(prg, ROWS, GRID), dealt.MaskRows(prg, ROWS, GRID)
    monkeypatch.setattr(dealt, "PIECE_ROWS", 7)

    def read(low: int) -> bool:
        part = slice(low, low + 51)
        found = np.zeros_like(whole[part])
        for at, piece in rows.pieces(part):
            assert len(piece) <= 7
            found[at] += piece
        return np.array_equal(found, whole[part])

    assert all(threads.in_order((partial(read, low) for low in (0, 40, 41, 130, 649, 0)), 4))


def logged(trio: Trio) -> dict[Party, Log]:
    return {party: [(label, values.tobytes()) for label, values in trio.peer[party].log] for party in Party}


async def trained(steps: Sequence[Step], bits: int | None) -> tuple[dict[Party, Log], Array]:
    trio = Trio(seed=3)
    found = await train(trio, PROBLEM, list(steps), Fourier(), bits)
    return logged(trio), found.weights


@pytest.mark.parametrize(("steps", "bits"), [(FULL, 20), (BATCHES, None)], ids=["shared", "owned"])
async def test_a_party_sends_the_same_bytes_whatever_it_computes_in_threads(
    steps: Sequence[Step], bits: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, weights = await trained(steps, bits)
    assert np.abs(weights - PROBLEM.twin(list(steps), Fourier())).max() < 2.0**-12
    monkeypatch.setattr(session, "OFFLOAD_WORDS", 0)
    again, same = await trained(steps, bits)
    assert again == sent and np.array_equal(same, weights)


async def test_what_fails_beside_other_work_fails_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(matrix: Array, vector: Array) -> Array:
        raise MemoryError("no room for a span")

    monkeypatch.setattr(spans_products, "backward", lost)
    monkeypatch.setattr(session, "OFFLOAD_WORDS", 0)
    with pytest.raises(MemoryError, match="no room"):
        await trained(FULL, 20)
