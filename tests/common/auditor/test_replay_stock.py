"""What a stock was dealt, replayed: an honest one agrees to the last array, of a changed one the first is named."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from common.auditor.replay import by_job, replay
from common.errors import DataError
from common.home.dealt import Heard, Opening
from common.home.stocks import Stocks, predealt
from common.learn.dealings import MESSAGES, dealings
from common.learn.linear.deal import KEPT_BYTES
from common.mpc.correlations.dealt import take_seed
from common.mpc.seeds import own_seed
from common.mpc.session import Kind, Round
from common.party import Party
from common.plan.predeal import PredealPlan
from common.stages.predeal import predeal
from tests.common.auditor.test_replay import Lying, Openings
from tests.common.stages.companies import Recorder
from tests.peers import KEYS, NONCES, DealerEnd, Trio

SIZES = {"rows": 120, "grid_columns": 2, "bank_columns": 3}
TREES = {"kind": "trees", "trees": 2, "depth": 2}
PLANS: dict[str, dict[str, Any]] = {
    "closed training": {"model": {"iterations": 3}, **SIZES},
    "opened training": {"model": {"iterations": 3, "reveal": "owners"}, **SIZES},
    "half a dealer": {"model": {"iterations": 3, "dealer": "half", "reveal": "owners"}, **SIZES},
    "scores": {"serves": "scores", **SIZES},
    "scores with reasons": {"serves": "scores", "reasons": 2, **SIZES},
    "scores by trees": {"serves": "scores", "rows": 120, "model": TREES},
    "scores by a network": {"serves": "scores", "model": {"kind": "network"}, **SIZES},
}


def plan_of(name: str) -> PredealPlan:
    return PredealPlan.model_validate(PLANS[name])


def labels(plan: PredealPlan, party: Party) -> list[Round]:
    """Of all that the stock holds."""
    return [label for part in predealt(plan).parts() for label, _ in part.arrays(party)]


async def stocked(folder: Path, plan: PredealPlan, to: Party | None = None, place: int = 0) -> Openings:
    """A predealing job as daemons run it, both parties' shelves under `folder`.

    What is dealt `to` a party at this place has one word changed.
    """
    trio = Trio(plan.allowed)
    ends = {party: DealerEnd(trio.from_dealer[party]) for party in Party}
    if to is not None:
        lie = Lying(trio.to_party[to], place, lambda words: words.__setitem__((0,) * words.ndim, words.flat[0] ^ 1))
        trio.dealer._channels[to] = lie

    async def side(party: Party) -> Opening:
        dealt, home = await take_seed(ends[party]), folder / party.value
        heard = Heard(Opening.of("predeal-1", 0, party, plan.canonical(), dealt, NONCES[party]), ends[party], MESSAGES)
        stocks = Stocks(home / "stock", home / "spent.sqlite", "wattscore://neutral/coordinator", 64)
        seed = own_seed(dealt.seed, NONCES[party])
        await predeal("predeal-1", plan, trio.session[party], heard, seed, stocks, Recorder(), KEYS[party])
        await ends[party].asked.put(None)
        return heard.opening

    serving = trio.dealer.serve({party: ends[party].demands() for party in Party}, dealings(plan, KEPT_BYTES))
    grid, bank, _ = await asyncio.gather(side(Party.GRID), side(Party.BANK), serving)
    return {Party.GRID: grid, Party.BANK: bank}


@pytest.mark.parametrize("name", PLANS)
async def test_an_honest_stock_agrees_to_the_last_array(tmp_path: Path, name: str) -> None:
    plan = plan_of(name)
    openings = await stocked(tmp_path, plan)
    verdict = await replay([*openings.values()])
    noted = [kind for opening in openings.values() for kind, *_ in opening.arrays]
    assert len(noted) == sum(len(labels(plan, party)) for party in Party) > 0
    assert verdict.wrong == () and verdict.compared == len(noted) - noted.count(Kind.DEALT_TAGS.value) > 0


@pytest.mark.parametrize("to", Party)
@pytest.mark.parametrize("name", PLANS)
async def test_of_a_changed_stock_the_first_wrong_array_is_named(tmp_path: Path, name: str, to: Party) -> None:
    """The stock itself is taken: what it holds is what came. One array of each kind is changed."""
    plan = plan_of(name)
    kinds = [label.kind for label in labels(plan, to)]
    for place in sorted({kinds.index(kind) for kind in kinds if kind is not Kind.DEALT_TAGS}):
        openings = await stocked(tmp_path / str(place), plan, to, place + 1)  # the seed comes first
        (line,) = (await replay([*openings.values()])).wrong
        assert line.startswith(f"array {place + 1} to the {to.value}: {kinds[place].value}/")
        assert "is not what the seeds give" in line


async def test_parties_that_name_other_jobs_as_who_took_it_are_refused(tmp_path: Path) -> None:
    openings = await stocked(tmp_path, plan_of("scores"))
    grid, bank = (one.model_copy(update={"taken": "score-1"}) for one in openings.values())
    verdict = await replay([grid, bank])
    assert verdict.wrong == () and verdict.taken == "score-1"
    for other in ("", "score-2"):
        with pytest.raises(DataError, match="of stock predeal-1 say different things of which job took it"):
            await replay([grid, bank.model_copy(update={"taken": other})])


async def test_which_job_took_it_is_told_to_an_auditor_and_is_in_no_digest(tmp_path: Path) -> None:
    grid = (await stocked(tmp_path, plan_of("scores")))[Party.GRID]
    taken = grid.model_copy(update={"taken": "score-1"})
    assert taken.digest == grid.digest and '"taken":"score-1"' in taken.text and "taken" not in grid.text
    assert Opening.model_validate_json(taken.text) == taken
    assert by_job([grid, taken.model_copy(update={"job": "x"}), taken]).keys() == {"predeal-1", "x"}
