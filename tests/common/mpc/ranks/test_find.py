"""The largest one or two of each row's values: told to the bank alone, exactly, by uniform messages of the stated size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.mpc.compare.masks import IGNORED
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.correlations.source import Source
from common.mpc.dealer import Dealer
from common.mpc.narrow import Bytes
from common.mpc.ranks import find
from common.mpc.ranks.dealer import deal_ranks
from common.mpc.ranks.find import ROUNDS, tell_largest
from common.mpc.ranks.masks import MOST, WIDTH, all_dealt, compared, pack_values, sent_bytes, unpack_values
from common.mpc.session import Kind, Session
from common.party import Party
from tests.common.mpc.uniform import uneven
from tests.peers import Trio

NUMBER, STEP = 6, 1 << IGNORED
Values = npt.NDArray[np.int64]


async def largest(trio: Trio, values: Values, most: int = 2, seed: int = 1) -> Bytes:
    """What the bank hears of values (count, rows); shares and what the dealer adds are random."""
    draw = np.random.default_rng(seed)
    grid, lacks = draw.integers(0, 1 << 32, (2, *values.shape), np.uint32)
    shares = {Party.GRID: grid, Party.BANK: values.astype(np.uint32) - grid - lacks}

    async def protocol(session: Session, correlations: DealtCorrelations) -> Bytes | None:
        source = Source(session.party, correlations._prg, correlations._dealt)
        return await tell_largest(session, source, NUMBER, shares[session.party], most, Kind.GRID_REASONS)

    async def deal(dealer: Dealer) -> None:
        await dealer.deal(deal_ranks(dealer.expanded, NUMBER, lacks))

    found = await trio.run(protocol, deal)
    told = found[Party.BANK]
    assert found[Party.GRID] is None and told is not None
    return told


def expected(values: Values, most: int) -> list[list[int]]:
    """By plain sorting: places of the largest values above zero, the first of equal ones first."""
    out = []
    for row in values.T.tolist():
        order = sorted(range(len(row)), key=lambda place: (-row[place], place))
        codes = [place + 1 for place in order if row[place] > 0][:most]
        out.append(codes + [0] * (most - len(codes)))
    return out


def apart(draw: np.random.Generator, count: int, rows: int) -> Values:
    """Values of which any two, and any and zero, are more than four steps apart."""
    places = np.argsort(draw.random((4 * MOST, rows)), axis=0)[:count] - 2 * MOST
    return (places * 2 + 1) * (STEP * 64)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(1, 9), st.sampled_from([1, 2]), st.integers(0, 1 << 30))
async def test_the_bank_hears_the_largest_above_zero(count: int, rows: int, most: int, seed: int) -> None:
    values = apart(np.random.default_rng(seed), count, rows)
    assert (await largest(Trio(), values, most, seed)).tolist() == expected(values, most)


async def test_of_the_most_values_at_the_ends_of_the_range() -> None:
    values = apart(np.random.default_rng(0), MOST, 200)
    values[0, :50], values[1, :50] = (1 << 30) - 2 * STEP, 2 * STEP - (1 << 30)
    assert (await largest(Trio(), values)).tolist() == expected(values, 2)


async def test_where_values_all_but_tie_one_of_those_is_told_and_never_a_third() -> None:
    draw = np.random.default_rng(2)
    base = np.full((6, 3000), -(1 << 28))
    base[1], base[4], base[5] = 1 << 28, (1 << 28) + draw.integers(-STEP, STEP, 3000), 1 << 27
    for place in (1, 4):
        base[place] += draw.integers(-STEP // 2, STEP // 2, 3000)
    found = await largest(Trio(), base)
    assert {tuple(sorted(row)) for row in found.tolist()} == {(2, 5)}


async def test_equal_values_everywhere_are_told_as_two_different_ones() -> None:
    for value in (1 << 20, 3 * STEP, 5 * STEP // 2):
        found = (await largest(Trio(), np.full((8, 2000), value))).tolist()
        assert all(one != two and 1 <= one <= 8 and 1 <= two <= 8 for one, two in found)


async def test_near_zero_a_value_is_told_or_not_and_nothing_else() -> None:
    values = np.random.default_rng(3).integers(-2 * STEP, 2 * STEP, (3, 4000))
    values[1] = -(1 << 25)
    found = await largest(Trio(), values)
    assert set(np.unique(found)) <= {0, 1, 3}
    assert not ((found[:, 0] == 0) & (found[:, 1] > 0)).any()  # a next one only behind a largest
    assert (found[:, 0] != found[:, 1])[found[:, 0] > 0].all()


async def test_rounding_is_within_two_steps_and_centred() -> None:
    """Zero is told of half of the rows: three uniform parts of a step are dropped, and one step is added."""
    for shift, likely in ((-2, 0.0), (-0.5, 1 / 8), (0, 1 / 2), (0.5, 7 / 8), (2, 1.0)):
        told = (await largest(Trio(), np.full((1, 4000), int(shift * STEP)), 1)).ravel() == 1
        assert told.mean() == pytest.approx(likely, abs=0.0 if likely in (0.0, 1.0) else 0.04)


@pytest.mark.parametrize(("count", "rows", "most"), [(1, 1, 1), (8, 100, 2), (8, 101, 1), (30, 3, 2)])
async def test_what_is_sent_and_dealt_is_what_is_stated(count: int, rows: int, most: int) -> None:
    trio = Trio()
    await largest(trio, apart(np.random.default_rng(1), count, rows), most)
    for party in Party:
        traffic = trio.session[party].traffic
        told = rows * most if party is Party.GRID else 0
        assert sum(traffic.sent.values()) == sent_bytes(count, rows) + told
        assert traffic.rounds == ROUNDS + 1
        dealt = sum(values.nbytes for _, values in trio.to_party[party].log[1:])
        assert dealt == 8 * all_dealt(count, rows, party)
    cells = compared(count) * rows
    assert sent_bytes(count, rows) <= 3.125 * count * rows + 0.875 * cells + 9


async def test_messages_are_uniform_whatever_the_values() -> None:
    seen: dict[tuple[Party, Kind], list[bytes]] = {}
    rows = 2048
    for values in (np.zeros((4, rows), np.int64), apart(np.random.default_rng(5), 4, rows), np.full((4, rows), -(1 << 30))):
        for seed in range(3):
            trio = Trio()
            await largest(trio, values, 2, seed)
            for party in Party:
                for label, sent in (*trio.peer[party].log, *trio.to_party[party].log[1:]):
                    if label.kind is Kind.MASKED_RANKS:
                        sent = sent[:, ::2] | sent[:, 1::2] << np.uint8(5)
                    if label.kind is not Kind.GRID_REASONS:
                        seen.setdefault((party, label.kind), []).append(np.ascontiguousarray(sent).tobytes())
    assert len(seen) == 2 * 4 + 2 * 2
    for kind, parts in seen.items():
        assert uneven(b"".join(parts)) < 6.0, kind


async def test_what_the_grid_hears_is_the_same_whatever_the_values_but_for_pads() -> None:
    """Every message to the grid, under fixed seeds, moves with the values by pads alone: it has no message of codes."""
    trio = Trio()
    await largest(trio, apart(np.random.default_rng(7), 5, 64))
    kinds = [label.kind for label, _ in trio.peer[Party.BANK].log]
    assert kinds == [Kind.MASKED_COMPARED, Kind.MASKED_DIGITS, Kind.MASKED_SIGNS, Kind.MASKED_RANKS]


@given(st.integers(1, 5), st.integers(1, 50), st.integers(0, 1 << 30))
def test_packed_values_come_back(count: int, rows: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << WIDTH, (count, rows), np.uint32)
    packed = pack_values(values)
    assert packed.nbytes == 2 * values.size + -(-values.size // 8)
    assert (unpack_values(packed, (count, rows)) == values).all()


@pytest.mark.parametrize("party", Party)
@pytest.mark.parametrize("count", [1, 2, 8, MOST])
def test_losses_of_few_rows_are_those_of_many(party: Party, count: int) -> None:
    rows, draw = find.FEW + 30, np.random.default_rng(count)
    below, bits = (draw.integers(0, most, (compared(count), rows), np.uint8) for most in (2, 256))
    many = find._losses(party, below, bits, count)
    for at in (slice(0, 1), slice(3, 3 + find.FEW)):
        np.testing.assert_array_equal(find._losses(party, below[:, at], bits[:, at], count), many[:, at])
