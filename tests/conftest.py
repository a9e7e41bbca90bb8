import common.wire.tls  # noqa: F401, I001  (before anything imports grpc: it sets what TLS may be negotiated)

import os
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from coverage import Coverage

# A shell that starts the tests in its background has them ignore Ctrl-C, and with them all processes that they send it to.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The machine that runs the tests is shared: how long one example takes says nothing.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")

MEMORY = Path("/dev/shm")
ROOM = 4 << 30  # bytes; the tests use a tenth of it


def pytest_configure(config: pytest.Config) -> None:
    """Temporary files are in memory where it has room: what is to outlast a kill waits for the disk a thousand times."""
    engine = config.option.markexpr == "containers"  # which may have a /dev/shm of its own
    if engine or "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    found = os.statvfs(MEMORY)
    if found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC:  # containers have 64 MB, some tests scripts
        os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None


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
