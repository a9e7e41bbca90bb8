"""Products with a matrix masked once: exact modulo 2^64, given what the dealer knows."""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import LocalProtocolError
from common.learn.linear.cost import matrices
from common.mpc import product
from common.mpc.correlations import dealt
from common.mpc.correlations.asked import MATRIX_BLOCK
from common.mpc.correlations.dealt import DealtCorrelations, MaskRows, matrix_mask, ridge_mask
from common.mpc.dealer import Dealer
from common.mpc.fixedpoint import Words
from common.mpc.prg import Prg, Purpose
from common.mpc.product import Matrices, backward, forward, share_matrices
from common.mpc.session import Kind, Session
from common.mpc.short import WIDE
from common.party import Party
from tests.peers import Trio

ROWS, COLUMNS = 10, {Party.GRID: 3, Party.BANK: 2}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (dealt, product):
        monkeypatch.setattr(module, "MATRIX_BLOCK", 4)


def uniform(*shape: int, seed: int = 0) -> Words:
    return np.asfortranarray(np.random.default_rng(seed).integers(0, 2**64, shape, dtype=np.uint64))


def exactly(a: Words, b: Words) -> list[int]:
    """a @ b modulo 2^64 in Python's integers."""
    return [int(v) % 2**64 for v in a.astype(object) @ b.astype(object)]


OWN = {party: uniform(ROWS, COLUMNS[party], seed=party.index) for party in Party}
RIDGE = {party: uniform(COLUMNS[party], COLUMNS[party], seed=2 + party.index) for party in Party}


async def shared(width: int = WIDE, ones: Words | None = None) -> tuple[Trio, dict[Party, Matrices]]:
    trio = Trio()

    async def side(session: Session, correlations: DealtCorrelations) -> Matrices:
        party = session.party
        own, others = OWN[party], COLUMNS[party.other]
        return await share_matrices(session, correlations, own, RIDGE[party], others, width=width, ones=ones)

    async def nothing(dealer: Dealer) -> None:
        pass

    return trio, await trio.run(side, nothing)


@pytest.mark.parametrize("owner", Party)
async def test_forward_and_transposed(owner: Party) -> None:
    """w is the other's: it sends w - v; owner's X (w - v), the other's E v and the dealer's U v sum to X w."""
    trio, held = await shared()
    prg = trio.dealer._prg[owner]
    masks = matrix_mask(prg, ROWS, COLUMNS[owner]), ridge_mask(prg, COLUMNS[owner])
    mine, theirs = held[owner], held[owner.other]
    cases = [
        (forward, mine.own, theirs.masked, masks[0], OWN[owner], COLUMNS[owner]),
        (backward, mine.own, theirs.masked, masks[0], OWN[owner].T, ROWS),
        (forward, mine.own_ridge, theirs.masked_ridge, masks[1], RIDGE[owner], COLUMNS[owner]),
    ]
    for times, own, masked, mask, matrix, size in cases:
        w, v = uniform(size, seed=8), uniform(size, seed=9)
        total = times(own, w - v) + times(masked, v) + times(mask, v)
        assert total.tolist() == exactly(matrix, w)


@pytest.mark.parametrize("width", [6, 7])
async def test_short_matrices_lose_no_bit_that_counts(width: int) -> None:
    """Modulo 2^48 or 2^56, of any words; and whole where the vectors' low bits are zero, as residuals' are."""
    trio, held = await shared(width)
    spare = np.uint64(64 - 8 * width)
    for owner in Party:
        mask, theirs = matrix_mask(trio.dealer._prg[owner], ROWS, COLUMNS[owner]), held[owner.other].masked
        assert isinstance(theirs, np.ndarray) and theirs.max() >> np.uint64(8 * width) == 0
        assert trio.session[owner].traffic.sent == {Kind.MASKED_MATRIX: matrices(ROWS, COLUMNS[owner], width)}
        for times, matrix, size in ((forward, OWN[owner], COLUMNS[owner]), (backward, OWN[owner].T, ROWS)):
            edges = np.full(size, 2**64 - 1, np.uint64)
            for w, v in ((uniform(size, seed=8), uniform(size, seed=9)), (edges, edges), (edges, edges >> np.uint64(1))):
                total = times(OWN[owner], w - v) + times(theirs, v) + times(mask, v)
                assert (total << spare).tolist() == [(value << int(spare)) % 2**64 for value in exactly(matrix, w)]
                lifted = times(OWN[owner], w - v << spare) + times(theirs, v << spare) + times(mask, v << spare)
                assert lifted.tolist() == exactly(matrix, w << spare)


@pytest.mark.parametrize("width", [6, WIDE])
async def test_a_column_that_both_know_is_neither_masked_nor_sent(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ones = np.where(np.arange(ROWS) < 7, 1024, 0).astype(np.uint64)
    monkeypatch.setitem(OWN, Party.BANK, np.asfortranarray(np.column_stack([OWN[Party.BANK][:, :1], ones])))
    trio, held = await shared(width, ones)
    mask, theirs, cut = matrix_mask(trio.dealer._prg[Party.BANK], ROWS, 1), held[Party.GRID].masked, np.uint64(64 - 8 * width)
    assert (theirs[:, 1] == ones).all() and held[Party.BANK].ones and held[Party.GRID].ones
    assert (theirs[:, :1] << cut == OWN[Party.BANK][:, :1] - mask << cut).all()
    for party in Party:
        sent = {Kind.MASKED_MATRIX: matrices(ROWS, COLUMNS[party], width, party is Party.BANK)}
        assert trio.session[party].traffic.sent == sent


async def test_a_bank_that_has_another_column_there_sends_nothing_of_it() -> None:
    with pytest.raises(LocalProtocolError, match="the bank's last column is not what both take it for"):
        await shared(6, OWN[Party.BANK][:, -1] + np.uint64(1))


async def test_column_major() -> None:
    """Row-major transposes are several times slower."""
    _, held = await shared()
    for party in Party:
        for matrix in (held[party].own, held[party].masked, held[party].masked_ridge):
            assert matrix.flags.f_contiguous and matrix.dtype == np.uint64


async def test_cost_and_blocks() -> None:
    trio, _ = await shared()
    for party in Party:
        traffic = trio.session[party].traffic
        assert traffic.rounds == 4  # three blocks of rows, one ridge matrix
        sent = {Kind.MASKED_MATRIX: matrices(ROWS, COLUMNS[party])}
        assert traffic.sent == sent == {Kind.MASKED_MATRIX: 8 * (ROWS + COLUMNS[party]) * COLUMNS[party]}


def test_each_block_of_rows_has_a_key_of_its_own() -> None:
    prg = Prg(bytes(32))
    mask = matrix_mask(prg, ROWS, 3)
    for block, low in enumerate((0, 4, 8)):
        words = prg.words(Purpose.MATRIX, block, 3 * len(mask[low : low + 4]))
        assert (mask[low : low + 4].T.ravel() == words).all()
    assert len(np.unique(mask)) == mask.size


def test_a_mask_expanded_block_by_block_is_the_mask() -> None:
    prg, rows = Prg(bytes(32)), MATRIX_BLOCK + 1000
    whole, read = matrix_mask(prg, rows, 3), MaskRows(prg, rows, 3)
    assert read.shape == whole.shape
    for low, high in [(0, 10), (0, rows), (MATRIX_BLOCK - 5, MATRIX_BLOCK + 5), (MATRIX_BLOCK, rows), (7, 8), (0, 0)]:
        np.testing.assert_array_equal(read[low:high], whole[low:high])
        pieces = [np.zeros((0, 3), np.uint64), *(piece.copy() for _, piece in read.pieces(slice(low, high)))]
        np.testing.assert_array_equal(np.concatenate(pieces), whole[low:high])


def test_signed_numbers_multiply_as_ring_words() -> None:
    rng = np.random.default_rng(3)
    small = rng.integers(-(2**16), 2**16, (50, 4)).astype(np.int32)
    words = small.astype(np.int64).view(np.uint64)
    across, down = rng.integers(0, 2**63, 4).astype(np.uint64), rng.integers(0, 2**63, 50).astype(np.uint64)
    np.testing.assert_array_equal(forward(small, across), words @ across)
    np.testing.assert_array_equal(backward(small, down), words.T @ down)
