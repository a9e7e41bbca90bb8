"""A job that is broken off anywhere goes on from what both parties have, and ends as if nothing had been."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bank_party.judge.evaluation import Evaluation
from common.disclosure import Opened
from common.disk.data_folder import Name
from common.errors import DataError, PolicyError
from common.home.unfinished import Points
from common.learn.linear import course as linear
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.predeal import PredealPlan
from common.stages import pipeline
from common.stages.course import Course, Point
from common.stages.job import PartyJob
from tests.channels import MemoryChannel, memory_pair
from tests.common.stages.breaking import Breaking, broken_off
from tests.common.stages.companies import Companies, frames
from tests.common.stages.test_ahead import deal
from tests.extent import extent
from tests.scenarios.kill.masks import Sent, twice


@pytest.fixture
def companies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Companies]:
    monkeypatch.setattr(linear, "KEEP_CELLS", 1)  # a point after each step
    made = Companies(tmp_path, new_trio=Breaking)
    made.write(frames(seed=3, monthly=False))
    yield made
    Breaking.at = 0


async def broken(companies: Companies, plan: Any, whose: Party, at: int) -> dict[Party, list[Sent]]:
    """What each party has sent of a job that is broken off there; empty where it comes to its end before."""
    if await broken_off(companies, plan, whose, at):
        return {party: sent(companies, party, 0) for party in Party}
    return {}


def sent(companies: Companies, party: Party, life: int) -> list[Sent]:
    masked = [(label, values) for label, values in companies.trio.peer[party].log if label.kind.value.startswith("masked_")]
    return [Sent(label.kind.value, life, values) for label, values in masked]


def charged(companies: Companies) -> list[tuple[str, str, float]]:
    book = sqlite3.connect(companies.home(Party.BANK) / Name.TOLD)
    try:
        return book.execute("select job, what, bits from told order by 1, 2").fetchall()
    finally:
        book.close()


def auc(found: Evaluation | None) -> float:
    assert found is not None
    return found.joint.auc


PLANS: dict[str, dict[str, Any]] = {
    "closed": {"model": {"iterations": 6}},
    "opened": {"model": {"iterations": 6, "reveal": "owners"}},
    "owned": {"model": {"optimiser": "sgd", "batch": 1000, "epochs": 6, "reveal": "owners", "weights": "owned"}},
}


# Each so-manieth array is broken off at; until its end what is opened then goes as what stays closed.
EVERY = {"closed": extent(27, 9), "opened": extent(54, 18), "owned": extent(27, 9)}


@pytest.mark.untraced
@pytest.mark.parametrize("kind", PLANS)
async def test_a_training_broken_off_anywhere_ends_as_if_undisturbed(companies: Companies, kind: str, tmp_path: Path) -> None:
    plan = companies.plan(**PLANS[kind])
    quiet = Companies(tmp_path / "quiet")
    quiet.write(frames(seed=3, monthly=False))
    whole = await quiet.run("job-1", plan)
    arrays = {party: len(quiet.trio.peer[party].log) for party in Party}
    for whose in Party:
        for at in range(1, arrays[whose] + 1, EVERY[kind]):
            one = Companies(tmp_path / f"{whose.value}-{at}", new_trio=Breaking, own={Party.BANK: {"label_bits": 20.0}})
            one.write(frames(seed=3, monthly=False))
            before = await broken(one, plan, whose, at)
            assert before, at
            done = await one.run("job-1", plan, attempt=1)
            # dither of 1/32 moves the AUC of 150 rows by 0.0004 (standard deviation of 30 jobs), and this is asked 50 times
            assert auc(done[Party.BANK].evaluation) == pytest.approx(auc(whole[Party.BANK].evaluation), abs=0.004), at
            assert set(done[Party.GRID].opened) == set(whole[Party.GRID].opened), at
            assert done[Party.GRID].counts == whole[Party.GRID].counts, at
            digests = {party: one.models(party).digest("job-1") for party in Party}
            for party in Party:
                (version,) = one.opened_home(party).registry.versions()
                assert (version.number, version.digest, version.peer_digest) == (1, digests[party], digests[party.other])
                assert twice([*before[party], *sent(one, party, 1)]) == [], (at, party)
            again = [(job, what, bits) for job, what, bits in charged(one) if what not in MAY_COME_TWICE[kind]]
            assert again == [c for c in charged(quiet) if c[1] not in MAY_COME_TWICE[kind]], at


MAY_COME_TWICE = {"closed": {"warnings"}, "opened": {"warnings"}, "owned": {"warnings", "the grid's weights"}}


async def test_what_is_left_to_do_is_all_that_is_done(companies: Companies) -> None:
    plan = companies.plan(model={"iterations": 6})
    await companies.run("job-0", plan)
    kinds = [label.kind.value for label, _ in companies.trio.peer[Party.BANK].log]
    fourth = [i for i, kind in enumerate(kinds) if kind == "masked_weights"][3]
    await broken(companies, plan, Party.BANK, fourth + 1)
    done = await companies.run("job-1", plan, attempt=1)
    kinds = [label.kind.value for label, _ in companies.trio.peer[Party.BANK].log]
    assert kinds.count("masked_weights") == 1 + 3 + 1 and kinds.count("split") == 0  # anew, three steps that are left, scores
    assert "matched_ids" in done[Party.BANK].opened


async def test_steps_of_a_stock_are_told_by_who_was_killed_after_the_last_and_went_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.learn.linear.schedule.LEVEL_ROWS", 1080)  # the stock's rows have parts, the data's have none
    monkeypatch.setattr("common.learn.linear.schedule.COLUMN_ROWS", 1)
    model, found = {"iterations": 12}, {}
    sizes = {"rows": 1100, "grid_columns": 6, "bank_columns": 4}
    for kind in ("quiet", "broken"):
        one = Companies(tmp_path / kind, monthly=True, new_trio=Breaking)
        one.write(frames(seed=3, monthly=True))
        plan = one.plan(model=model, dealt="ahead")
        await deal(tmp_path / kind, PredealPlan.model_validate({"model": model, **sizes}))
        if kind == "quiet":
            found[kind] = await one.run("job-1", plan)
            last = max(n for n, (label, _) in enumerate(one.trio.peer[Party.GRID].log) if label.kind is Kind.TEST_SCORES)
        else:
            assert await broken_off(one, plan, Party.GRID, last + 1)
            found[kind] = await one.run("job-1", plan, attempt=1)
    for party in Party:
        assert found["broken"][party].counts == found["quiet"][party].counts
        assert found["broken"][party].counts["iterations"] == 11


async def test_a_dataset_that_has_changed_is_not_gone_on_with(companies: Companies) -> None:
    plan = companies.plan(model={"iterations": 6})
    await broken(companies, plan, Party.GRID, 40)
    data = frames(seed=3, monthly=False)
    data[Party.GRID].loc[data[Party.GRID].index[0], "kwh"] += 1.0
    companies.write(data)
    with pytest.raises(DataError, match="the dataset's file has changed since this job began"):
        await companies.run("job-1", plan, attempt=1)


async def test_the_file_whose_hash_is_kept_is_the_one_that_was_read(
    companies: Companies, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pipeline.check_data

    async def late(job: PartyJob) -> str:
        if job.party is Party.BANK:
            with job.dataset.path.open("a") as file:
                file.write("F9999,50.0,0.0,1\n")
        return await first(job)

    monkeypatch.setattr(pipeline, "check_data", late)
    with pytest.raises(DataError, match=r"changed while dataset .* was read"):
        await companies.run("job-1", companies.plan())


def pair(tmp_path: Path, attempt: int, ends: tuple[MemoryChannel, MemoryChannel] | None = None) -> dict[Party, Course]:
    ends, made = ends or memory_pair(), {}
    for party, end in zip(Party, ends, strict=True):
        (folder := tmp_path / party.value).mkdir(exist_ok=True)
        made[party] = Course(Session(party, end, allowed=frozenset(Opened)), Points(folder), attempt)
    return made


async def both(courses: dict[Party, Course]) -> None:
    await asyncio.gather(*(course.agree() for course in courses.values()))


async def test_both_go_on_from_the_last_point_that_both_have(tmp_path: Path) -> None:
    first = pair(tmp_path, 0)
    for course in first.values():
        await course.keep(Point.ALIGNED, {"matched": np.arange(3)}, facts={"counts": {}})
    await first[Party.GRID].keep(Point.TRAINING, {}, 5, {"done": 5, "steps": 9})
    second = pair(tmp_path, 1)
    await both(second)
    for course in second.values():
        found = course.at(Point.ALIGNED)
        assert found is not None and found[0]["matched"].tolist() == [0, 1, 2]
        assert course.at(Point.TRAINING) is None and course.begin is None
    assert len(Points(tmp_path / "grid").held()) == 1  # what only one has is gone


async def test_points_of_one_stage_and_two_attempts_are_not_the_same(tmp_path: Path) -> None:
    await pair(tmp_path, 0)[Party.GRID].keep(Point.ALIGNED, {"matched": np.arange(3)})
    await pair(tmp_path, 1)[Party.BANK].keep(Point.ALIGNED, {"matched": np.arange(3)[::-1]})
    third = pair(tmp_path, 2)
    await both(third)
    assert all(course.at(Point.ALIGNED) is None for course in third.values())


async def test_nobody_goes_back_behind_what_both_have_said_they_have(tmp_path: Path) -> None:
    first = pair(tmp_path, 0)
    for course in first.values():
        await course.keep(Point.ALIGNED, {"matched": np.arange(3)})
    await both(pair(tmp_path, 1))
    for file in (tmp_path / "bank").glob("*.npz"):
        file.unlink()
    with pytest.raises(PolicyError, match="has lost what both had kept of this job"):
        await both(pair(tmp_path, 2))


def test_without_a_folder_nothing_is_kept() -> None:
    assert Course().at(Point.ALIGNED) is None and not Course().again and not Course().through
