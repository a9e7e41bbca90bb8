"""Arrays in one file, read by several threads."""

from __future__ import annotations

import gc
import io
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from common.disk.arrays import read_arrays


class Knot:
    """Garbage whose end runs Python: where it is collected, another thread may go on."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        for _ in range(200):
            pass


@contextmanager
def hurried() -> Iterator[None]:
    """Threads change places, and garbage is collected, as often as can be."""
    interval, threshold, over = sys.getswitchinterval(), gc.get_threshold(), threading.Event()

    def litter() -> None:
        while not over.is_set():
            [Knot() for _ in range(5)]
            time.sleep(0.0002)

    thread = threading.Thread(target=litter)
    sys.setswitchinterval(1e-5)
    gc.set_threshold(20, 5, 5)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)


def test_threads_read_at_once() -> None:
    """Two models, or a model and a point of another job: of `numpy.load` alone some one in forty ends in a SystemError here."""
    stream = io.BytesIO()
    np.savez(stream, **{f"a{k}": np.full((3, 2), k) for k in range(8)})
    written, wrong = stream.getvalue(), list[object]()

    def work() -> None:
        for _ in range(150):
            try:
                found = read_arrays(io.BytesIO(written))
                assert [int(values.sum()) for values in found.values()] == [6 * k for k in range(8)]
            except (AssertionError, SystemError) as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    with hurried():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


@pytest.mark.parametrize("damaged", [b"", b"PK", b"no archive at all"])
def test_what_is_no_archive(damaged: bytes) -> None:
    with pytest.raises((OSError, ValueError, EOFError)):
        read_arrays(io.BytesIO(damaged))
