"""The dealing of a job of several banks replayed from all parties' openings; who lacks, or opens something else, is named."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from common.auditor.replay import replay
from common.errors import DataError, PeerProtocolError
from common.home.dealt import Common, DealtBook, Heard, Opening, read_openings
from common.learn.dealings import MESSAGES
from common.mpc.correlations.asked import DealerLink
from common.mpc.correlations.dealt import DealtSeed
from common.mpc.session import Array, Kind, Round
from common.party import Party
from tests.banks import Banks, nonce, several_plan
from tests.common.learn.linear.test_several import RIDGE, World, trained
from tests.common.mpc.several.test_hub import sums

ROWS = (60, 50)
PLAN = several_plan(2, model={"iterations": 2, "ridge": RIDGE, "period": 32}).canonical()


class Noting(Banks):
    """Banks, and a grid, that note what each line is dealt. lie: line, party and place of an array of another word."""

    def __init__(self, lie: tuple[int, Party, int] | None = None) -> None:
        super().__init__(len(ROWS))
        self.heard, self._lie = dict[tuple[int, Party], Heard](), lie

    def link(self, line: int, party: Party, given: DealtSeed, common: DealtSeed | None) -> DealerLink:
        shared = None if common is None else Common.of(common, nonce(line, party, common=True))
        opening = Opening.of("job-1", 0, party, PLAN, given, nonce(line, party), line + 1, shared)
        link: DealerLink = super().link(line, party, given, common)
        if self._lie is not None and self._lie[:2] == (line, party):
            link = Changed(link, self._lie[2])
        heard = self.heard[line, party] = Heard(opening, link, MESSAGES)
        return heard

    @property
    def openings(self) -> list[Opening]:
        return [heard.opening for heard in self.heard.values()]


class Changed:
    """A line on which the array at one place is another: as if the dealer had dealt it."""

    def __init__(self, link: DealerLink, place: int) -> None:
        self._link, self._left = link, place
        self.demand, self.send = link.demand, link.send

    async def receive(self, round: Round) -> Array:
        values, self._left = await self._link.receive(round), self._left - 1
        if self._left == 0:
            values = values.copy()
            values.flat[0] ^= 1
        return values


async def job(lie: tuple[int, Party, int] | None = None) -> list[Opening]:
    """A short training of two banks."""
    banks = Noting(lie)
    with suppress(PeerProtocolError) if lie is not None else nullcontext():  # it has spoilt the training
        await trained(World(ROWS), 2, banks=banks)
    return banks.openings


@pytest.fixture(scope="module")
def _openings() -> list[Opening]:
    return asyncio.run(job())


async def test_an_honest_dealing_agrees_on_all_lines_whatever_the_order_of_files(_openings: list[Opening]) -> None:
    assert len(_openings) == 2 * len(ROWS)
    for openings in (_openings, _openings[::-1]):
        verdict = await replay(openings)
        noted = [kind for opening in openings for kind, *_ in opening.arrays]
        assert verdict.wrong == () and verdict.compared == len(noted) - noted.count(Kind.DEALT_TAGS.value) > 20
    assert {name for opening in _openings for name, _ in opening.demands} == {"several"}


@pytest.mark.parametrize(("line", "party"), [(0, Party.GRID), (0, Party.BANK), (1, Party.GRID), (1, Party.BANK)])
async def test_the_first_wrong_array_is_named_with_its_line(line: int, party: Party, _openings: list[Opening]) -> None:
    arrays = next(one.arrays for one in _openings if (one.line, one.party) == (line + 1, party))
    place = [k for k, (kind, *_) in enumerate(arrays, 1) if kind != Kind.DEALT_TAGS.value][1]
    whom = f"the bank bank-{line}" if party is Party.BANK else f"the grid on the line to the bank bank-{line}"
    (text,) = (await replay(await job((line, party, place)))).wrong
    assert text.startswith(f"array {place} to {whom}: {arrays[place - 1][0]}/") and text.endswith("is not what the seeds give")


async def test_sums_over_banks_are_replayed_too() -> None:
    banks = Noting()
    await sums(banks, 2)
    verdict = await replay(banks.openings)
    assert verdict.wrong == () and verdict.compared > 0
    # One line has asked for one thing more when the job ended: that was never dealt.
    longer = [one.model_copy(update={"demands": one.demands + one.demands[: one.line == 1]}) for one in banks.openings]
    assert (await replay(longer)).wrong == ()


async def test_who_lacks_or_opens_another_seed_is_named(_openings: list[Opening]) -> None:
    def with_one(line: int, party: Party, change: Mapping[str, Any]) -> list[Opening]:
        return [one.model_copy(update=change) if (one.line, one.party) == (line, party) else one for one in _openings]

    for missing, name in (((2, Party.BANK), "bank bank-1"), ((1, Party.GRID), "grid")):
        with pytest.raises(DataError, match=f"there is no opening of job .* of the {name}"):
            await replay([one for one in _openings if (one.line, one.party) != missing])
    with pytest.raises(DataError, match="of one party twice"):
        await replay([*_openings, _openings[0]])
    for party, name in ((Party.GRID, "grid"), (Party.BANK, "bank bank-1")):
        verdict = await replay(with_one(2, party, {"dealt": "00" * 32}))
        assert verdict.compared == 0 and f"the {name} opens another seed than the dealer" in verdict.wrong[0]
    common = next(one.common for one in _openings if (one.line, one.party) == (2, Party.BANK))
    assert common is not None
    verdict = await replay(with_one(2, Party.BANK, {"common": common.model_copy(update={"dealt": "00" * 32})}))
    assert verdict.compared == 0 and "the bank bank-1 opens another seed of all banks" in verdict.wrong[0]
    verdict = await replay(with_one(2, Party.BANK, {"common": common.model_copy(update={"nonce": "00" * 32})}))
    assert verdict.compared == 0 and "one of them opens another nonce" in verdict.wrong[0]
    with pytest.raises(DataError, match="committed itself to for all banks"):
        await replay(with_one(2, Party.BANK, {"common": None}))


def test_all_lines_of_an_attempt_are_kept_and_read_together(tmp_path: Path, _openings: list[Opening]) -> None:
    book = DealtBook(tmp_path)
    grid = [one for one in _openings if one.party is Party.GRID]
    for opening in (*grid[::-1], grid[0].model_copy(update={"attempt": 2})):
        book.keep(opening)
    assert book.read("job-1", 0) == tuple(grid) and [one.attempt for one in book.read("job-1")] == [2]
    whole = "\n".join(opening.text for opening in grid).encode()
    assert read_openings(whole, "x") == grid
    blank = grid[0].model_copy(update={"dealt": "", "nonce": ""})
    assert blank.digest == grid[0].digest != grid[1].digest
