"""What both have sent and taken: the same in whatever order it is added, another for another word, and compared in a round."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import LocalProtocolError, PeerProtocolError
from common.mpc.session import Array, Kind, Round
from common.mpc.transcript import SUM_BYTES, Transcript
from common.party import Party
from tests.peers import Trio

ARRAYS = [np.arange(7, dtype=np.uint64), np.arange(12, dtype=np.uint32).reshape(3, 4), np.empty(0, np.uint8)]


def said(arrays: list[tuple[int, Array]]) -> bytes:
    found = Transcript()
    for number, values in arrays:
        found.add(Round(Kind.MASKED_U, number), values)
    assert found.sum.shape == (SUM_BYTES,)
    return found.sum.tobytes()


def test_arrays_are_added_in_any_order() -> None:
    numbered = list(enumerate(ARRAYS, 1))
    assert said(numbered) == said(numbered[::-1]) != said([])


@given(which=st.integers(0, 1), place=st.integers(0, 6), bit=st.integers(0, 31))
def test_any_bit_of_any_word_counts(which: int, place: int, bit: int) -> None:
    changed = [values.copy() for values in ARRAYS]
    flat = changed[which].reshape(-1)
    flat[place] ^= flat.dtype.type(1 << bit)
    assert said(list(enumerate(changed, 1))) != said(list(enumerate(ARRAYS, 1)))


@pytest.mark.parametrize(
    "other",
    [
        [(2, ARRAYS[0])],
        [(1, ARRAYS[0][None])],
        [(1, ARRAYS[0].view(np.uint32))],
        [(1, ARRAYS[0]), (2, ARRAYS[2])],
        [(1, ARRAYS[0]), (1, ARRAYS[0])],
    ],
    ids=["number", "shape", "type", "one more, empty", "twice"],
)
def test_an_array_counts_with_its_number_shape_and_type(other: list[tuple[int, Array]]) -> None:
    assert said(other) != said([(1, ARRAYS[0])])


def test_columns_count_row_by_row_as_they_travel() -> None:
    turned = np.asfortranarray(ARRAYS[1])
    assert said([(1, turned)]) == said([(1, ARRAYS[1])])


def test_what_was_not_summed_is_not_compared() -> None:
    found = Transcript()
    found.add(Round(Kind.MASKED_U, 1), ARRAYS[0])
    found.stop()
    found.add(Round(Kind.MASKED_U, 2), ARRAYS[0])
    with pytest.raises(LocalProtocolError, match="summed no more"):
        found.sum  # noqa: B018


async def talk(trio: Trio) -> list[Any]:
    async def one(party: Party) -> None:
        session = trio.session[party]
        mine = np.arange(5, dtype=np.uint64) + np.uint64(party.index)
        for number in range(3):
            await session.exchange(Kind.MASKED_U, mine * np.uint64(number))
            await session.compare()  # also of what was compared before
        if party is Party.GRID:
            await session.send(Kind.MASKED_BRANCH, mine)
        else:
            await session.receive(Kind.MASKED_BRANCH, mine.dtype, mine.shape)
        await session.compare()

    return await asyncio.gather(*(one(party) for party in Party), return_exceptions=True)


async def test_what_arrived_as_it_was_sent_is_no_matter_and_opens_nothing() -> None:
    trio = Trio(frozenset())
    assert await talk(trio) == [None, None]
    told = [values for label, values in trio.peer[Party.GRID].log if label.kind is Kind.TRANSCRIPT]
    assert len(told) == 4 and all(values.nbytes == 2 * SUM_BYTES for values in told)
    assert all(len(np.unique([values[at : at + SUM_BYTES] for values in told], axis=0)) == 4 for at in (0, SUM_BYTES))


@pytest.mark.parametrize("whose", Party)
@pytest.mark.parametrize("kind", [Kind.MASKED_U, Kind.MASKED_BRANCH, Kind.TRANSCRIPT])
async def test_a_word_that_is_another_at_who_took_it_is_found_out_on_both_sides(whose: Party, kind: Kind) -> None:
    """Unless it is of what is compared itself: who was told right does not hear of it there."""
    if (whose, kind) == (Party.BANK, Kind.MASKED_BRANCH):
        pytest.skip("the grid alone sends it")
    trio, left = Trio(frozenset()), [4 if kind is Kind.TRANSCRIPT else 1]  # of the last one: nobody waits for another
    own = trio.peer[whose].send

    async def send(label: Round, values: Array) -> None:
        left[0] -= label.kind is kind
        if label.kind is kind and not left[0]:
            values = values.copy()
            values[-1] ^= values.dtype.type(1)
        await own(label, values)

    trio.peer[whose].send = send  # type: ignore[method-assign]
    found = await talk(trio)
    failed = [isinstance(error, PeerProtocolError) and "a word between them" in str(error) for error in found]
    assert left[0] <= 0 and (failed[whose.other.index] if kind is Kind.TRANSCRIPT else all(failed))
