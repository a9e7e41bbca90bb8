"""A training whose product one party cannot keep: neither has it, and the next one's number is the same at both."""

from __future__ import annotations

import asyncio
import errno
import gc
import threading
from pathlib import Path
from typing import Any

import pytest

from common.home.models import ModelStore
from common.home.registry import Registry
from common.party import Party
from common.stages import keep
from tests.common.stages.companies import Companies, frames
from tests.patience import patience

QUICK = {"model": {"iterations": 6}}


@pytest.fixture
def companies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Companies:
    monkeypatch.setattr(keep, "_LAST_WORD", 0.2)
    made = Companies(tmp_path)
    made.write(frames(seed=1, monthly=False))
    return made


def numbers(companies: Companies) -> dict[Party, list[tuple[int, str]]]:
    return {p: [(v.number, v.job) for v in Registry(companies.home(p) / "registry.sqlite").versions()] for p in Party}


@pytest.mark.parametrize("party", Party)
@pytest.mark.parametrize(("store", "verb"), [(ModelStore, "write"), (Registry, "enter")])
async def test_a_disk_that_is_full_at_one_party_leaves_nothing_at_either(
    companies: Companies, monkeypatch: pytest.MonkeyPatch, party: Party, store: type, verb: str
) -> None:
    as_it_is = getattr(store, verb)

    def full(self: Any, job: str, *rest: Any) -> Any:
        if str(companies.home(party)) in str(vars(self)):
            raise OSError(errno.ENOSPC, "No space left on device")
        return as_it_is(self, job, *rest)

    monkeypatch.setattr(store, verb, full)
    with pytest.raises(OSError, match="No space left"):
        await companies.run("job-1", companies.plan(**QUICK))
    assert not any(companies.models(p).folder("job-1").exists() for p in Party)
    monkeypatch.setattr(store, verb, as_it_is)
    await companies.run("job-2", companies.plan(**QUICK))
    assert numbers(companies) == {p: [(1, "job-2")] for p in Party}


async def test_a_disk_that_hangs_and_then_refuses_in_a_job_that_was_stopped_meanwhile_leaves_nothing_and_no_error_unlooked_at(
    companies: Companies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was logged as an error that nobody looked at, once the disk gave an answer that nobody waited for any more."""
    said, hang, go, gone = list[dict[str, Any]](), threading.Barrier(len(Party) + 1), threading.Event(), list[str]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    discard = keep.discard

    def write(self: ModelStore, job: str, *_: Any) -> Any:
        hang.wait(patience(60))
        go.wait(patience(30))
        raise OSError(errno.EIO, "Input/output error")

    def discarded(job: Any) -> None:
        discard(job)
        gone.append(job.party.value)

    monkeypatch.setattr(ModelStore, "write", write)
    monkeypatch.setattr(keep, "discard", discarded)
    monkeypatch.setattr(keep, "_LAST_WORD", 0.0)
    task = asyncio.create_task(companies.run("job-1", companies.plan(**QUICK)))
    await asyncio.to_thread(hang.wait, patience(60))
    task.cancel()
    for _ in range(50):  # turns, in which both stop waiting
        await asyncio.sleep(0)
    go.set()
    with pytest.raises((asyncio.CancelledError, OSError)):
        await task
    async with asyncio.timeout(patience(20)):
        while len(gone) < len(Party):
            await asyncio.sleep(0.01)
    del task
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert not any(companies.models(p).folder("job-1").exists() for p in Party) and said == []
