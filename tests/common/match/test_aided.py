"""Matching by the neutral process: the rows and their order, what each of the three sees, and who must be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.disclosure import Opened
from common.errors import LocalProtocolError, PeerProtocolError, PolicyError
from common.match import aided, intersect
from common.match.agree import MatchLimits, Rows
from common.match.aided import make_tags
from common.mpc import cost
from common.mpc.session import Array, Kind, Round, Session
from common.party import Party
from tests.channels import MemoryChannel, memory_pair
from tests.patience import patience
from tests.peers import Neutral

SMALL = MatchLimits(min_matched=1)
LISTED = frozenset({Opened.MATCHED_IDS, Opened.COUNTS})
Alter = Callable[[Round, Array], Array]


class Lying(MemoryChannel):
    """An end whose messages are changed on their way out."""

    def __init__(self, honest: MemoryChannel, alter: Alter) -> None:
        super().__init__(honest._out, honest._in)
        self._alter = alter

    async def send(self, round: Round, values: Array) -> None:
        await super().send(round, self._alter(round, values.copy()))


class Three:
    """Both parties' sessions and the neutral process, for one matching."""

    def __init__(self, allowed: frozenset[Opened] = LISTED, most: int = 1000) -> None:
        self.peer = dict(zip(Party, memory_pair(), strict=True))
        self.session = {party: Session(party, self.peer[party], allowed=allowed) for party in Party}
        self.neutral = Neutral(most)

    async def match(
        self,
        grid: list[str],
        bank: list[str],
        limits: tuple[MatchLimits, MatchLimits] = (SMALL, SMALL),
        until: Party | None = None,
    ) -> list[Any]:
        """What each party returned or raised. until: the other one may be left waiting, and is cancelled."""
        sides = zip(Party, (grid, bank), limits, strict=True)
        tasks = {party: asyncio.create_task(self.side(party, ids, limit)) for party, ids, limit in sides}
        await asyncio.wait(tasks.values() if until is None else [tasks[until]], timeout=patience(5))
        for task in tasks.values():
            task.cancel()
        return list(await asyncio.gather(*tasks.values(), return_exceptions=True))

    async def side(self, party: Party, ids: list[str], limits: MatchLimits) -> Rows:
        match = self.neutral.match(party)
        return await match(self.session[party], pa.array(ids, pa.string()), domain=b"job", limits=limits)

    def tags(self, party: Party) -> Array:
        """What the neutral process saw of a party's ids."""
        sent = [values for round, values in self.neutral.at_party[party].log if round.kind is Kind.PSI_TAGS]
        return np.concatenate(sent)


def names(start: int, stop: int) -> list[str]:
    return [f"91{number:016d}" for number in range(start, stop)]


ids = st.lists(st.integers(0, 30).map(lambda n: f"企业 {n}"), min_size=1, max_size=25, unique=True)


@settings(max_examples=40, deadline=None)
@given(ids, ids)
def test_rows_are_the_intersection_in_one_order(grid: list[str], bank: list[str]) -> None:
    async def run() -> list[Any]:
        return await Three().match(grid, bank)

    one, two = asyncio.run(run())
    common = set(grid) & set(bank)
    if not common:
        assert isinstance(one, PolicyError) and isinstance(two, PolicyError)
        assert "written alike" in str(one)
        return
    assert one.dtype == two.dtype == np.int64
    assert [grid[row] for row in one] == [bank[row] for row in two]
    assert {grid[row] for row in one} == common and len(one) == len(common)


@pytest.mark.parametrize(("n", "m"), [(150, 70), (10, 129), (64, 64)])
async def test_rounds_and_bytes_are_as_stated(n: int, m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (aided, intersect):
        monkeypatch.setattr(module, "PIECE", 64)
    three = Three()
    one, two = await three.match(names(0, n), names(5, 5 + m))
    assert len(one) == len(two) == min(n, m + 5) - 5
    for party, own, other in ((Party.GRID, n, m), (Party.BANK, m, n)):
        traffic = three.session[party].traffic
        assert (traffic.rounds, traffic.sent) == (2, {Kind.PSI_COUNT: 80})
        out, back = (sum(v.nbytes for _, v in end[party].log) for end in (three.neutral.at_party, three.neutral.at_neutral))
        assert cost.alignment(party, own, other) == cost.Cost(80, 80, back, out)
        assert (out, back) == (16 + 16 * own, -(-own // 8))


async def test_the_neutral_process_sees_ascending_uniform_tags_fresh_in_each_job() -> None:
    grid, bank = names(0, 800), names(400, 1200)
    first, second = Three(), Three()
    await first.match(grid, bank)
    await second.match(grid, bank)
    one, two = first.tags(Party.GRID), first.tags(Party.BANK)
    seen = [{tag.tobytes() for tag in tags} for tags in (one, two, second.tags(Party.GRID))]
    assert [len(tags) for tags in seen] == [800, 800, 800]
    assert len(seen[0] & seen[1]) == 400  # the number in common, and nothing else, is told
    assert not seen[0] & seen[2]  # of two jobs nothing can be compared
    for tags in (one, two):
        pairs = [tuple(tag) for tag in tags.tolist()]
        assert pairs == sorted(pairs)
        ones = np.unpackbits(tags.view(np.uint8).reshape(-1, 16), axis=1).mean(axis=0)
        assert np.abs(ones - 0.5).max() < 6 * 0.5 / np.sqrt(800)  # six deviations, of each of the 128 bits


async def test_where_the_common_ones_stand_says_nothing_of_ids() -> None:
    """The place of an id among the tags is independent of its place in the table: of the first hundred, half are in front."""
    in_front = 0
    for _ in range(20):
        three = Three()
        one, _ = await three.match(names(0, 200), names(0, 200))
        in_front += int((one[:100] < 100).sum())
    assert abs(in_front - 1000) < 6 * np.sqrt(2000 * 0.25)


async def test_a_party_sees_of_the_other_a_number_random_words_and_a_bit_for_each_of_its_own() -> None:
    three = Three()
    await three.match(names(0, 90), names(50, 200))
    sent = [values for _, values in three.peer[Party.BANK].log]
    assert [values.shape for values in sent] == [(5,), (5,)]
    assert sent[0][0] == 150 and len(set(sent[0][1:].tolist())) == 4
    ((label, bits),) = three.neutral.at_neutral[Party.GRID].log
    assert label == Round(Kind.PSI_COMMON, 1) and int(np.unpackbits(bits, count=90).sum()) == 40


async def test_only_who_knows_the_key_can_tag_an_id() -> None:
    """The tags are of ids, job and both parties' random words: with another of these all are others."""
    three = Three()
    await three.match(names(0, 50), names(0, 50))
    tags = {tag.tobytes() for tag in three.tags(Party.GRID)}
    halves = [three.peer[party].log[0][1][1:].astype("<u8").tobytes() for party in Party]

    def made(first: bytes, second: bytes, domain: bytes) -> set[bytes]:
        key = aided.blake2b(first + second + domain, digest_size=16, person=b"wattscore tags").digest()
        return {tag.tobytes() for tag in make_tags(pa.array(names(0, 50)), key)[0]}

    assert made(*halves, b"job") == tags
    for other in ((*halves[::-1], b"job"), (*halves, b"job-2"), (bytes(32), halves[1], b"job"), (halves[0], bytes(32), b"job")):
        assert not made(*other) & tags


def tell(change: Callable[[Array], None]) -> Alter:
    """A neutral process that changes the bits it tells the bank."""

    def alter(round: Round, values: Array) -> Array:
        bits = np.unpackbits(values)
        change(bits)
        return np.packbits(bits)

    return alter


def swap(bits: Array) -> None:
    place = [int(np.flatnonzero(bits[:60] == value)[0]) for value in (0, 1)]
    bits[place] = bits[place[::-1]]


def hide_first(bits: Array) -> None:
    bits[np.flatnonzero(bits)[0]] = 0


def add(bits: Array) -> None:
    bits[np.flatnonzero(bits[:60] == 0)[0]] = 1


@pytest.mark.parametrize("change", [hide_first, add, swap], ids=["less to one", "more to one", "another to one"])
async def test_a_neutral_process_with_two_faces_is_noticed_by_both(change: Callable[[Array], None]) -> None:
    three = Three()
    three.neutral.at_neutral[Party.BANK] = Lying(three.neutral.at_neutral[Party.BANK], tell(change))
    for error in await three.match(names(0, 60), names(30, 90)):
        assert isinstance(error, PeerProtocolError) and "did not find the same common ids" in error.message
        assert "do not trust it" in error.remedy


async def test_a_match_that_it_invents_for_both_is_noticed_too() -> None:
    """It would have to name a tag of each, and these are not the same."""
    three = Three()
    for party in Party:
        three.neutral.at_neutral[party] = Lying(three.neutral.at_neutral[party], tell(add))
    for error in await three.match(names(0, 60), names(30, 90)):
        assert isinstance(error, PeerProtocolError) and "did not find the same common ids" in error.message


async def test_all_it_can_do_is_leave_some_out() -> None:
    three = Three()
    for party in Party:
        three.neutral.at_neutral[party] = Lying(three.neutral.at_neutral[party], tell(hide_first))
    one, two = await three.match(names(0, 60), names(30, 90))
    assert len(one) == len(two) == 29 and (one - 30).tolist() == two.tolist()


@pytest.mark.parametrize(
    "alter",
    [lambda _, v: v[:-1], lambda _, v: np.append(v, v[-1]), lambda _, v: v.astype(np.uint64)],
    ids=["less", "more", "wide"],
)
async def test_an_answer_of_another_form_is_refused(alter: Alter) -> None:
    three = Three()
    three.neutral.at_neutral[Party.BANK] = Lying(three.neutral.at_neutral[Party.BANK], alter)
    _, error = await three.match(names(0, 60), names(30, 90), until=Party.BANK)
    assert isinstance(error, PeerProtocolError) and error.message == "the coordinator sent an array of another shape"


async def test_a_party_that_tells_the_other_fewer_ids_than_it_sends_is_found_out() -> None:
    """max_ids binds what the other party brings; the neutral process sees that both speak of the same numbers."""

    def fewer(round: Round, values: Array) -> Array:
        values[0] = 10 if round.number == 1 else values[0]
        return values

    three = Three()
    three.session[Party.BANK] = Session(Party.BANK, Lying(three.peer[Party.BANK], fewer), allowed=LISTED)
    for error in await three.match(names(0, 60), names(0, 60), (MatchLimits(max_ids=60, min_matched=1), SMALL)):
        assert isinstance(error, PeerProtocolError) and "do not agree on how many ids they match" in error.message


async def test_limits_bind_before_anything_is_sent() -> None:
    strict = MatchLimits(max_ids=10, min_matched=1)
    for grid, bank, says in ((11, 5, "this party brings 11 ids"), (5, 11, "the other party brings 11 ids")):
        three = Three()
        one, _ = await three.match(names(0, grid), names(0, bank), (strict, SMALL), Party.GRID)
        assert isinstance(one, PolicyError) and f"{says}, more than max_ids = 10" in str(one)
        assert not three.neutral.at_party[Party.GRID].log
    three = Three()
    for error in await three.match(names(0, 9), names(0, 50), (MatchLimits(min_matched=10),) * 2):
        assert isinstance(error, PolicyError) and "too few ids" in error.message
    assert three.neutral.work is None
    for error in await Three().match(names(0, 50), names(41, 90), (MatchLimits(min_matched=10),) * 2):
        assert isinstance(error, PolicyError) and "only 9 ids are common" in error.message


async def test_more_ids_than_the_coordinator_takes_are_refused_by_it() -> None:
    for error in await Three(most=55).match(names(0, 50), names(0, 60)):
        assert isinstance(error, PolicyError) and "the bank brings 60 ids, more than max_ids = 55 of the coordinator" in str(
            error
        )


@pytest.mark.parametrize("lacking", LISTED)
async def test_a_plan_that_does_not_disclose_what_it_tells_sends_nothing_of_it(lacking: Opened) -> None:
    three = Three(LISTED - {lacking})
    one, _ = await three.match(names(0, 5), names(0, 5))
    assert isinstance(one, PolicyError) and lacking.value in str(one)
    assert not three.neutral.at_party[Party.GRID].log


async def test_what_was_opened_is_in_the_jobs_own_book() -> None:
    three = Three()
    await three.match(names(0, 5), names(0, 5))
    assert all(session.opened == LISTED for session in three.session.values())


async def test_an_id_twice_is_a_local_error_and_is_not_named() -> None:
    one, _ = await Three().match(["S3CRET", "b", "S3CRET"], ["b", "c"], until=Party.GRID)
    assert isinstance(one, LocalProtocolError) and "S3CRET" not in str(one)


def test_tags_that_share_their_first_word_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """By chance in one of 10^5 tables of ten million; the order and the check for doubles must hold all the same."""
    words = np.array([[5, 3], [5, 1], [4, 9], [5, 2]], np.uint64)
    monkeypatch.setattr(aided, "cmac", lambda ids, key: words.copy())
    tags, order = make_tags(pa.array(["a", "b", "c", "d"]), bytes(16))
    assert tags.tolist() == [[4, 9], [5, 1], [5, 2], [5, 3]] and order.tolist() == [2, 1, 3, 0]
    words[3] = words[0]
    with pytest.raises(LocalProtocolError):
        make_tags(pa.array(["a", "b", "c", "d"]), bytes(16))


async def test_progress_counts_the_tags_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (aided, intersect):
        monkeypatch.setattr(module, "PIECE", 16)
    seen: list[tuple[int, int]] = []

    class Recorder:
        def progress(self, done: int, total: int) -> None:
            seen.append((done, total))

        def warn(self, text: str) -> None:
            raise AssertionError(text)

    three = Three()
    three.session[Party.GRID] = Session(Party.GRID, three.peer[Party.GRID], Recorder(), allowed=LISTED)
    await three.match(names(0, 40), names(0, 30))
    assert seen == [(16, 40), (32, 40), (40, 40)]
