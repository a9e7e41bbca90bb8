"""An enterprise that has not agreed is in no job: no frame of the job is other than if its rows were not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from common.errors import DataError
from common.party import Party
from common.rows.consent import ConsentConfig
from tests.common.stages.companies import Companies, frames

Frames = dict[str, list[tuple[str, tuple[int, ...]]]]


def recorded(companies: Companies) -> Frames:
    """Kind and shape of every array of the job, by the line and the end that sent it."""
    ends = {f"{party.value} to the other": companies.trio.peer[party] for party in Party}
    ends |= {f"{party.value} to the neutral": companies.trio.neutral.at_party[party] for party in Party}
    ends |= {f"the neutral to {party.value}": companies.trio.neutral.at_neutral[party] for party in Party}
    ends |= {f"the dealer to {party.value}": companies.trio.to_party[party] for party in Party}
    return {name: [(str(round.kind), values.shape) for round, values in end.log] for name, end in ends.items()}


def without(rows: dict[Party, pd.DataFrame], firms: set[str]) -> dict[Party, pd.DataFrame]:
    return {Party.GRID: rows[Party.GRID][~rows[Party.GRID]["id"].isin(firms)], Party.BANK: rows[Party.BANK]}


def agreed(folder: Path, firms: list[str]) -> dict[Party, ConsentConfig]:
    pd.DataFrame({"firm": firms}).to_csv(folder / "agreed.csv", index=False)
    return {Party.GRID: ConsentConfig(path=folder / "agreed.csv", id="firm")}


async def job(folder: Path, rows: dict[Party, pd.DataFrame], consent: dict[Party, ConsentConfig]) -> tuple[Companies, Any]:
    companies = Companies(folder, consent=consent)
    companies.write(rows)
    return companies, await companies.run("train-1", companies.plan())


async def test_training_and_scoring_are_as_if_the_rows_were_not_there(tmp_path: Path) -> None:
    rows = frames(7, monthly=False)
    every, shared = list(rows[Party.GRID]["id"]), sorted(set(rows[Party.GRID]["id"]) & set(rows[Party.BANK]["firm"]))
    refused = set(shared[::7])
    consent = agreed(tmp_path, [firm for firm in every if firm not in refused])
    held, one = await job(tmp_path / "held", rows, consent)
    gone, two = await job(tmp_path / "gone", without(rows, refused), {})
    both, three = await job(tmp_path / "both", rows, {})
    assert recorded(held) == recorded(gone) != recorded(both)
    counts = [found[Party.GRID].counts["matched_rows"] for found in (one, two, three)]
    assert counts == [len(shared) - len(refused)] * 2 + [len(shared)]
    (said,) = (text for text in one[Party.GRID].warnings if "authorisation" in text)
    assert f"{len(refused)} of {len(every)} enterprises" in said
    assert all("authorisation" not in text for text in one[Party.GRID].public_warnings + one[Party.BANK].warnings)

    plan = held.plan(kind="score", model="train-1")
    await held.run("score-1", plan)
    await gone.run("score-1", plan)
    assert recorded(held) == recorded(gone)
    scored = [pd.read_csv(c.home(Party.BANK) / "scores" / "score-1.csv", dtype=str) for c in (held, gone)]
    names = [set(found.loc[found["score"].notna(), found.columns[0]]) for found in scored]
    assert names[0] == names[1] and not names[0] & refused and names[0]


async def test_an_interrupted_job_does_not_go_on_with_others_than_it_began_with(tmp_path: Path) -> None:
    rows = frames(8, monthly=False)
    every = list(rows[Party.GRID]["id"])
    companies = Companies(tmp_path, consent=agreed(tmp_path, every))
    companies.write(rows)
    await companies.run("train-1", companies.plan())
    agreed(tmp_path, every[1:])
    with pytest.raises(DataError, match="who has authorised its use has changed since this job began"):
        await companies.run("train-1", companies.plan(), attempt=1)
