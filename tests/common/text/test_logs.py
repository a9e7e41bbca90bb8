"""JSON logs: one object a line, where it is from, and nothing in it that names what a dataset holds."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest

from common.errors import DataError, PlanError
from common.text.logs import JsonFormatter, LocalFormatter, Place, Seldom, TextFormatter, fatal, set_logging, within

SECRET = "ACME-0042"
ROW = DataError(f"row 17: {SECRET!r} is no number", public="a value of column 'debt' is no number", remedy="Correct it.")


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process with JSON logs writes; local.log is in tmp_path."""
    root = logging.getLogger()
    before, level, hook = root.handlers[:], root.level, sys.excepthook
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    set_logging("DEBUG", "json", tmp_path)
    yield written
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    monkeypatch.setattr("sys.excepthook", hook)


@pytest.fixture
def restored() -> Iterator[None]:
    """After it, logging is as it was."""
    root = logging.getLogger()
    before, level, hook = root.handlers[:], root.level, sys.excepthook
    yield
    for handler in root.handlers:
        with suppress(OSError):  # what a full disk has not taken
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    sys.excepthook = hook


def read(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_line_says_when_where_and_what(lines: io.StringIO) -> None:
    logging.getLogger("common.x").info("job %s: 中\n%d", "a", 2)
    with within(Place("train-1", "train", 7)):
        logging.getLogger("common.x").warning("slow", extra={"error": "PeerLost"})
    first, second = read(lines)
    assert first.pop("time").endswith("+00:00")
    assert first == {"level": "INFO", "logger": "common.x", "message": "job a: 中\n2"}
    second.pop("time")
    place = {"job": "train-1", "stage": "train", "round": 7, "error": "PeerLost"}
    assert second == {"level": "WARNING", "logger": "common.x", "message": "slow", **place}


async def test_tasks_and_threads_of_a_job_are_where_it_is_and_others_are_not(lines: io.StringIO) -> None:
    log = logging.getLogger("common.x")

    async def job(name: str) -> None:
        with within(place := Place(name)):
            begun, go_on = asyncio.Event(), asyncio.Event()

            async def inner() -> None:
                begun.set()
                await go_on.wait()
                log.info("inner %s", name)

            task = asyncio.create_task(inner())
            await begun.wait()
            place.stage = f"stage of {name}"  # after the task was begun
            go_on.set()
            await task
            await asyncio.to_thread(log.info, "thread %s", name)

    await asyncio.gather(job("a"), job("b"))
    log.info("outside")
    found = [(line["message"], line.get("job"), line.get("stage")) for line in read(lines)]
    assert found[-1] == ("outside", None, None)
    for name in "ab":
        assert {(f"{what} {name}", name, f"stage of {name}") for what in ("inner", "thread")} <= set(found)


def test_an_error_is_its_public_text_and_its_kind_and_whole_in_the_local_log(lines: io.StringIO, tmp_path: Path) -> None:
    log = logging.getLogger("common.x")
    log.warning("job %s ended: %s", "j", ROW)
    log.warning("%s", PlanError("no such column", local=f"It declares {SECRET}."))
    log.warning("job j: category %s is rare", SECRET, extra={"public": "job j: a warning"})
    found = read(lines)
    assert [line["message"] for line in found] == [
        "job j ended: a value of column 'debt' is no number. Correct it.",
        "no such column",
        "job j: a warning",
    ]
    assert [line.get("error") for line in found] == ["DataError", "PlanError", None]
    assert SECRET not in lines.getvalue()
    assert (tmp_path / "local.log").read_text().count(SECRET) == 3


def test_a_surprise_shows_places_and_no_values(lines: io.StringIO, tmp_path: Path) -> None:
    try:
        try:
            int(SECRET)
        except ValueError as error:
            raise RuntimeError(f"of {SECRET}") from error
    except RuntimeError as error:
        logging.getLogger("common.x").exception("job %s failed", "j")
        logging.getLogger("common.x").error("because %s", error)
        logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task %s>", SECRET)
    first, second, third = read(lines)
    assert (first["message"], first["error"]) == ("job j failed", "RuntimeError")
    assert first["trace"][0].startswith("test_logs.py:") and first["trace"][0].endswith(
        " test_a_surprise_shows_places_and_no_values"
    )
    assert (second["message"], second["error"]) == ("because RuntimeError", "RuntimeError")
    assert third["message"] == "Task exception was never retrieved"
    assert SECRET not in lines.getvalue()
    assert SECRET in (tmp_path / "local.log").read_text()


def test_why_a_process_ends_is_a_line_too(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    fatal("bank-party", ROW)
    sys.excepthook(ValueError, ValueError(SECRET), None)
    first, second = read(lines)
    assert (first["level"], first["logger"], first["error"]) == ("CRITICAL", "bank-party", "DataError")
    assert (second["message"], second["error"]) == ("ended by a bug", "ValueError")
    assert SECRET not in lines.getvalue()


def test_text_holds_no_row_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        set_logging("INFO", "text", tmp_path)
        logging.getLogger("common.x").warning("%s", ROW)
        logging.getLogger("common.x").warning("job j: category %s is rare", SECRET, extra={"public": "job j: a warning"})
        try:
            int(SECRET)
        except ValueError:
            logging.getLogger("common.x").exception("job %s failed", "j")
        logging.getLogger("common.x").info("job j: column %s has commas", SECRET, extra={"public": "job j: 1 note(s)"})
        logging.getLogger("common.x").info("job j: load")
        logging.getLogger("common.x").debug("not shown")
        fatal("bank-party", ROW)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(" WARNING common.x a value of column 'debt' is no number. Correct it.")
    assert lines[1].endswith(" WARNING common.x job j: a warning")
    assert " ERROR common.x job j failed (ValueError at test_logs.py:" in lines[2] and SECRET not in "".join(lines)
    assert last == f"bank-party: {ROW}"  # to whoever starts it
    local = (tmp_path / "local.log").read_text()
    assert local.count(SECRET) == 4 and "has commas" in local and "job j: load" not in local


def record(
    level: int = logging.WARNING, name: str = "common.x", line: int = 1, text: str = "x", **extra: Any
) -> logging.LogRecord:
    found = logging.LogRecord(name, level, "file.py", line, text, (), None)
    vars(found).update(extra)
    return found


ACTS = "a\x1b[2J\u202eb\r\nWARNING forged"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter(), LocalFormatter("%(message)s")])
def test_what_others_say_stays_in_its_line_and_does_nothing_there(formatter: logging.Formatter) -> None:
    line = formatter.format(record(text=ACTS))
    assert line.isprintable() and "a\\u001b[2J\\u202eb" in line
    if isinstance(formatter, JsonFormatter):
        assert json.loads(line)["message"] == ACTS


def test_a_traceback_in_local_log_keeps_its_lines() -> None:
    try:
        raise ValueError(ACTS)
    except ValueError:
        found = record(exc_info=sys.exc_info())
    lines = LocalFormatter("%(message)s").format(found).split("\n")
    assert len(lines) > 3 and all(line.isprintable() for line in lines)


def test_a_long_message_is_cut() -> None:
    assert len(TextFormatter().format(record(text="x" * 10_000_000))) < 10_000


def test_a_place_in_the_code_logs_seldom_and_says_how_much_it_kept_back() -> None:
    now = [0.0]
    seldom = Seldom(lambda: now[0])
    passed = [seldom.filter(record(name="grpc._cython", level=logging.ERROR, text=f"bad frame {i}")) for i in range(1000)]
    assert passed == [True] * 3 + [False] * 997
    assert seldom.filter(record(name="grpc._cython", level=logging.ERROR, line=2))  # another place
    now[0] = 11.0
    assert seldom.filter(again := record(name="grpc._cython", level=logging.ERROR))
    assert TextFormatter().format(again).endswith("x (and 997 lines like it)")
    assert json.loads(JsonFormatter().format(again))["more"] == 997
    assert seldom.filter(quiet := record(name="grpc._cython", level=logging.ERROR)) and not hasattr(quiet, "more")


def test_what_jobs_say_in_a_busy_time_is_not_kept_back() -> None:
    seldom = Seldom(lambda: 0.0)
    assert all(seldom.filter(record(level=logging.INFO)) for _ in range(300))
    assert all(seldom.filter(record(line=2)) for _ in range(40))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_disk_that_is_full_puts_nothing_of_the_local_log_on_the_standard_error_output(
    kind: Literal["text", "json"], tmp_path: Path, capsys: pytest.CaptureFixture[str], restored: None
) -> None:
    (tmp_path / "local.log").symlink_to("/dev/full")
    set_logging("INFO", kind, tmp_path)
    error = DataError("line 3, column 'tax': '1,089,506'", public="a value is not a number")
    logging.getLogger("common.x").warning("job %s ended: %s", "train-1", error)
    said = capsys.readouterr().err
    assert "1,089,506" not in said and "Traceback" not in said and "Arguments" not in said
    assert said.count("job train-1 ended: a value is not a number") == 1
    assert "is lost to the log or to local.log: No space left on device" in said and "test_logs.py" in said
    assert all(json.loads(line)["level"] for line in said.splitlines()) if kind == "json" else len(said.splitlines()) == 2


def test_a_line_that_cannot_be_formed_shows_none_of_its_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], restored: None
) -> None:
    set_logging("INFO", "text", tmp_path)
    logging.getLogger("common.x").warning("%d rows", "1,089,506")
    said = capsys.readouterr().err
    assert "1,089,506" not in said and "is lost to the log or to local.log: TypeError" in said
