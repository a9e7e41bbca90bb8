import common.wire.tls  # noqa: F401, I001  (before anything imports grpc: it sets what TLS may be negotiated)

import asyncio
import gc
import os
import re
import signal
import tempfile
import warnings
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from coverage import Coverage

from tests.extent import set_thorough
from tests.source import ROOT

# A shell that starts the tests in its background has them ignore Ctrl-C, and with them all processes that they send it to.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The machine that runs the tests is shared: how long one example takes says nothing. Each run draws others, so that few of them
# do for who changes something; `make coverage`, by which a change is taken, has `--thorough`.
hypothesis.settings.register_profile("shared", deadline=None, max_examples=30)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=100)
hypothesis.settings.load_profile("shared")

MEMORY = Path("/dev/shm")
OURS = re.compile(rf"{re.escape(str(ROOT))}/(common|grid_party|bank_party|wattscore)/")
ROOM = 4 << 30  # bytes; the tests use a tenth of it


# What is collected stays to the end: the million objects of it are looked through for garbage neither as they come, a quarter
# of the time of collecting tests, nor with each whole look that a test makes or causes.
gc.disable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="all sizes, cases and examples: tests/extent.py")


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Temporary files are in memory where it has room: what is to outlast a kill waits for the disk a thousand times."""
    if config.option.thorough:
        set_thorough()
        hypothesis.settings.load_profile("thorough")
    engine = config.option.markexpr == "containers"  # which may have a /dev/shm of its own
    if engine or "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    found = os.statvfs(MEMORY)
    if found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC:  # containers have 64 MB, some tests scripts
        os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None


@pytest.fixture(autouse=True)
def no_generator_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test in whose course the collector, or the end of the loop, has had to close an async generator of ours.

    What such a one holds, tasks and arrays among it, would stay until then, in a daemon that runs for months.
    """
    left, loops = list[str](), asyncio.BaseEventLoop
    ended, collected = loops.shutdown_asyncgens, loops._asyncgen_finalizer_hook

    def note(one: AsyncGenerator[Any]) -> None:
        if OURS.match(one.ag_code.co_filename) and one.ag_frame is not None:  # it has not come to its end
            left.append(one.__qualname__)

    def finalise(loop: asyncio.BaseEventLoop, one: AsyncGenerator[Any]) -> None:
        note(one)
        collected(loop, one)

    async def shutdown(loop: asyncio.BaseEventLoop) -> None:
        for one in list(loop._asyncgens):
            note(one)
        await ended(loop)

    monkeypatch.setattr(loops, "_asyncgen_finalizer_hook", finalise)
    monkeypatch.setattr(loops, "shutdown_asyncgens", shutdown)
    yield
    assert not left, f"async generators that nobody has closed: {left}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Tests that go through the same lines a thousand times are not watched by coverage.py, which takes half as long again."""
    measuring = Coverage.current() if item.get_closest_marker("untraced") else None
    if measuring is not None:
        measuring.stop()
    yield
    if measuring is not None:
        with warnings.catch_warnings(action="ignore"):  # that it comes late
            measuring.start()
