"""Matching by a helper process: the right rows, and every way a helper can fail, with a stand-in for the real one."""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from common.disclosure import Opened
from common.errors import ConfigError, HelperFailed, PlanError, PolicyError
from common.match.choose import Finder, MatcherSettings, check_matcher, choose_match
from common.match.ecdh import MatchLimits, match_ids
from common.match.tags import match_tags
from common.mpc.session import Kind, Session, Silent, memory_pair
from common.party import Party
from common.plan.read import make_plan
from tests.common.match.fake import fake_python

GRID, BANK = [f"E{n:04d}" for n in range(600)], [f"E{n:04d}" for n in range(900, 200, -1)]
COMMON = set(GRID) & set(BANK)
SIDES: dict[str, Any] = {"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}}


class Recorder(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []

    def progress(self, done: int, total: int) -> None:
        self.seen.append((done, total))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where helpers get their folders."""
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    return tmp_path / "t"


def pair(limit: int = 0) -> tuple[Session, Session]:
    allowed = frozenset({Opened.MATCHED_IDS})
    grid, bank = memory_pair(limit)
    return Session(Party.GRID, grid, Recorder(), allowed=allowed), Session(Party.BANK, bank, Recorder(), allowed=allowed)


def start(
    sessions: tuple[Session, Session], grid: Path, bank: Path, timeout: float = 20.0, ids: Any = (GRID, BANK)
) -> list[asyncio.Task[Any]]:
    limits = MatchLimits(min_matched=1)
    return [
        asyncio.create_task(match_tags(session, own, domain=b"job", limits=limits, find=Finder(python, timeout)))
        for session, own, python in zip(sessions, ids, (grid, bank), strict=True)
    ]


async def first_failure(tasks: list[asyncio.Task[Any]]) -> tuple[int, BaseException]:
    """Which side failed first and how; the other is then cancelled, as a runner that hears of it does."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    error = next(iter(done)).exception()
    place = tasks.index(next(iter(done)))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert error is not None
    return place, error


def is_gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" in status.read_text()


async def until_gone(told: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(told.read_text())
    end = time.monotonic() + 5.0
    while not all(is_gone(pid) for pid in facts["pids"]):
        assert time.monotonic() < end, "a helper, or what it has started, is still there"
        await asyncio.sleep(0.02)
    return facts


@pytest.mark.parametrize(("limit", "padding", "pause"), [(0, 0, 0.0), (1, 3_000_000, 0.3)], ids=["small", "thin"])
async def test_both_find_the_same_ids_in_the_same_order(
    tmp_path: Path, folder: Path, limit: int, padding: int, pause: float
) -> None:
    told = tmp_path / "told"
    sessions = pair(limit)
    grid = fake_python(tmp_path / "grid", padding=padding, told=told)
    bank = fake_python(tmp_path / "bank", padding=padding, pause=pause)
    one, two = await asyncio.gather(*start(sessions, grid, bank))
    assert [GRID[row] for row in one] == [BANK[row] for row in two]
    assert {GRID[row] for row in one} == COMMON
    assert [GRID[row] for row in one] != sorted(COMMON)  # tags order them
    facts = await until_gone(told)
    assert Path(facts["folder"]).parent == folder and not list(folder.iterdir())
    assert {"HOME", "LC_ALL", "PATH", "TMPDIR"} <= set(facts["environment"]) <= {"HOME", "LC_ALL", "PATH", "TMPDIR", "LC_CTYPE"}
    for session, own in zip(sessions, (GRID, BANK), strict=True):
        assert session.traffic.sent[Kind.PSI_COUNT] == 80
        assert session.traffic.sent[Kind.PSI_TUNNEL] >= 33 * (len(own) + 1) + padding
        reporter: Any = session.reporter
        assert reporter.seen and all(done <= total == 20 * (len(own) + 2 + 700) for done, total in reporter.seen)


async def test_the_session_goes_on_after_the_tunnel(tmp_path: Path) -> None:
    sessions = pair()
    python = fake_python(tmp_path / "python")
    await asyncio.gather(*start(sessions, python, python))
    await asyncio.gather(*start(sessions, python, python))


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        ("start", "the matcher ended with code 1"),
        ("garbage", "the matcher"),
        ("silent", "the matchers exchanged nothing for 1 s"),
        ("killed", "the matcher ended with signal 9"),
        ("end", "the matcher ended with code 9"),
        ("short", "the matcher left no result that can be read"),
        ("foreign", "the matcher named ids that this party has not, or one twice"),
        ("twice", "the matcher named ids that this party has not, or one twice"),
    ],
)
async def test_a_helper_that_fails_is_heard_of_where_it_failed(tmp_path: Path, folder: Path, fail: str, message: str) -> None:
    good, bad = fake_python(tmp_path / "good", told=tmp_path / "told"), fake_python(tmp_path / "bad", fail)
    tasks = start(pair(), good, bad, timeout=1.0 if fail == "silent" else 20.0)
    place, error = await first_failure(tasks)
    assert isinstance(error, HelperFailed) and message in error.message
    if fail != "silent":
        assert place == 1
    assert "/home/someone" not in error.public and "spu at" not in error.public
    if fail == "start":
        assert "no module named spu at /home/someone" in str(error)
    elif (tmp_path / "told").exists():
        await until_gone(tmp_path / "told")
    assert not list(folder.iterdir())


async def test_a_cancelled_job_leaves_no_helper_and_no_file(tmp_path: Path, folder: Path) -> None:
    told = [tmp_path / "told0", tmp_path / "told1"]
    pythons = [fake_python(tmp_path / f"p{k}", "silent", told=told[k]) for k in (0, 1)]
    tasks = start(pair(), *pythons)
    end = time.monotonic() + 10.0
    while not all(file.exists() and file.read_text() for file in told):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)
    for task in tasks:
        task.cancel()
    assert all(isinstance(e, asyncio.CancelledError) for e in await asyncio.gather(*tasks, return_exceptions=True))
    for file in told:
        await until_gone(file)
    assert not list(folder.iterdir())


async def test_two_versions_do_not_speak(tmp_path: Path) -> None:
    tasks = start(pair(), fake_python(tmp_path / "new", version="2.0"), fake_python(tmp_path / "old", version="1.9"))
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in errors] == [ConfigError, ConfigError]
    assert str(errors[0]) == (
        "the two parties' matchers differ (expected spu 2.0, got spu 1.9). Install the same version of spu on both."
    )


async def test_no_common_id_is_a_policy_error_as_ever(tmp_path: Path) -> None:
    python = fake_python(tmp_path / "python")
    errors = await asyncio.gather(*start(pair(), python, python, ids=(["a"], ["b"])), return_exceptions=True)
    assert all(isinstance(error, PolicyError) and "no id is common" in error.message for error in errors)


async def test_a_program_that_cannot_be_run_is_said(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    _, error = await first_failure(start(pair(), tmp_path / "text", tmp_path / "text"))
    assert isinstance(error, HelperFailed)
    assert "matcher.python" in error.remedy and str(tmp_path) in str(error) and str(tmp_path) not in error.public


async def test_a_folder_too_deep_for_a_socket_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    python = fake_python(tmp_path / "python")
    _, error = await first_failure(start(pair(), python, python))
    assert isinstance(error, HelperFailed) and "TMPDIR" in error.remedy and not list(deep.iterdir())


def test_the_plan_chooses() -> None:
    settings = MatcherSettings(python=Path("/usr/bin/python3"), timeout=7)
    assert choose_match(make_plan(SIDES, "plan"), settings) is match_ids
    chosen: Any = choose_match(make_plan({**SIDES, "matching": "rr22"}, "plan"), settings)
    assert isinstance(chosen, functools.partial) and chosen.func is match_tags


def test_a_party_without_a_matcher_refuses_at_the_offer(tmp_path: Path) -> None:
    plan = make_plan({**SIDES, "matching": "rr22"}, "plan")
    check_matcher(make_plan(SIDES, "plan"), MatcherSettings())
    check_matcher(plan, MatcherSettings(python=fake_python(tmp_path / "python")))
    with pytest.raises(PlanError, match="this party has no matcher") as none:
        check_matcher(plan, MatcherSettings())
    assert "Set matcher.python" in none.value.remedy
    with pytest.raises(ConfigError, match="no program that can be run") as wrong:
        check_matcher(plan, MatcherSettings(python=tmp_path / "nothing"))
    assert str(tmp_path) in str(wrong.value) and str(tmp_path) not in wrong.value.public
