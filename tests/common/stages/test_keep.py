"""A training whose product one party cannot keep: neither has it, and the next one's number is the same at both."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from common.home.models import ModelStore
from common.home.registry import Registry
from common.party import Party
from common.stages import keep
from tests.common.stages.companies import Companies, frames

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
