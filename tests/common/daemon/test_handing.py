"""Rows handed to another process are read where they lie, in memory or in files; words cross a tether in order."""

from __future__ import annotations

import asyncio
import errno
import os
import pickle
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.daemon.handing import Given, take
from common.daemon.tether import Tether
from common.disk import shared
from common.disk.scratch import Scratch
from common.errors import LocalProtocolError
from common.mpc.abreast import Part, Pieces, joined

ROWS = 70_000  # more than a block of them
RNG = np.random.default_rng(3)
ARRAYS: dict[str, Any] = {
    "own": np.asfortranarray(RNG.integers(-9, 9, (ROWS, 3), np.int32)),
    "masked": np.asfortranarray(RNG.integers(0, 2**64, (ROWS, 2), np.uint64)),
    "label": RNG.integers(0, 2, ROWS, np.uint8),
}


def in_another_process(read: Any, given: Given, rows: Pieces) -> Any:
    """What `read` gives of arrays that a process was given which has nothing else of this one."""
    one, two = socket.socketpair()
    if not (child := os.fork()):
        code = 1
        try:
            one.close()
            _, files, _, _ = socket.recv_fds(two, 1, len(given.files))
            found = read(take(given.told, files, rows))
            two.sendall(pickle.dumps(found))
            code = 0
        finally:
            os._exit(code)
    two.close()
    with one:
        socket.send_fds(one, [b"x"], given.files)
        data = b"".join(iter(lambda: one.recv(1 << 20), b""))
    assert os.waitpid(child, 0)[1] == 0
    return pickle.loads(data)


@pytest.fixture(params=["shared", "plain", "file"])
def arrays(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The same rows where a job with workers has them, in memory of this process alone, and in a file."""
    if request.param == "plain":
        return dict(ARRAYS)
    scratch = Scratch(tmp_path, 1 << 30 if request.param == "shared" else 0, sharing=True)
    given = {name: scratch.empty(values.shape, values.dtype, rows=True) for name, values in ARRAYS.items()}
    for name, values in ARRAYS.items():
        given[name][:] = values
    return given


@pytest.mark.parametrize("rows", [[(0, ROWS)], [(1_000, 69_999)], [(5, 9), (400, 66_000), (69_998, ROWS)]], ids=str)
def test_rows_are_read_where_they_lie(arrays: dict[str, Any], rows: Pieces) -> None:
    def read(found: dict[str, Part]) -> Any:
        return {name: [part[low + 1 : high] for low, high in rows] for name, part in found.items()}

    found = in_another_process(read, Given.of(arrays), rows)
    for name, whole in ARRAYS.items():
        for (low, high), values in zip(rows, found[name], strict=True):
            assert np.array_equal(values, whole[low + 1 : high]) and values.dtype == whole.dtype


def test_what_is_shared_is_not_copied_and_whoever_reads_it_cannot_write_it() -> None:
    values = shared.empty((ROWS, 2), np.uint64)
    values[:] = 1
    given = Given.of({"masked": values})
    assert given.arrays[0] is values
    found = take(given.told, [os.dup(given.files[0])], [(0, ROWS)])["masked"]
    values[7, 1] = 5
    assert found[5:9].tolist() == [[1, 1], [1, 1], [1, 5], [1, 1]]
    with pytest.raises(ValueError, match="read-only"):
        found[5:9][0, 0] = 3
    with pytest.raises(OSError):
        os.ftruncate(given.files[0], 10)  # whoever reads would be ended by it
    assert shared.descriptor_of(values[1:]) is None and shared.descriptor_of(values[:, :1]) is None


@pytest.mark.parametrize("refused", [errno.EINVAL, errno.EACCES])
def test_kernels_that_know_no_seal_against_running_it_share_memory_without(
    monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    make = os.memfd_create

    def old(name: str, flags: int) -> int:
        if flags & 8:
            raise OSError(refused, os.strerror(refused))
        return make(name, flags)

    monkeypatch.setattr(os, "memfd_create", old)
    if refused == errno.EINVAL:
        assert shared.descriptor_of(shared.empty((3,), np.uint8)) is not None
    else:
        with pytest.raises(PermissionError):
            shared.empty((3,), np.uint8)


def test_its_memory_is_the_systems_again_once_nobody_has_it() -> None:
    values = shared.empty((1000,), np.uint8)
    descriptor = shared.descriptor_of(values)
    part = values[5:9]
    del values
    assert descriptor is not None and os.fstat(descriptor).st_size == 1000
    del part
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_others_than_the_own_rows_are_read_by_nobody() -> None:
    part = Part(ARRAYS["own"], [(10, 20), (30, 33)])
    assert np.array_equal(part[31:33], ARRAYS["own"][31:33])
    assert np.array_equal(part[12:20], ARRAYS["own"][12:20])
    for rows in (slice(9, 12), slice(12, 21), slice(15, 31), slice(0, ROWS)):
        with pytest.raises(LocalProtocolError, match="other"):
            part[rows]


async def test_words_arrays_and_files_cross_a_tether_in_order_and_its_end_is_heard() -> None:
    ends = socket.socketpair()
    one, two = map(Tether, ends)
    read, write = os.pipe()
    large = RNG.integers(0, 2**64, 300_000, np.uint64)
    saying = asyncio.gather(
        one.say({"what": "first"}, [large, np.zeros((2, 0), np.uint8)], [read]), one.say({"what": "second", "n": 1 << 100})
    )
    first, second = await two.hear(), await two.hear()
    await saying
    assert first is not None and second is not None
    assert (first.told, second.told) == ({"what": "first"}, {"what": "second", "n": 1 << 100})
    assert np.array_equal(first.arrays[0], large) and first.arrays[1].shape == (2, 0)
    os.write(write, b"x")
    assert os.read(first.files[0], 1) == b"x" and not os.get_inheritable(first.files[0])
    for descriptor in (read, write, *first.files):
        os.close(descriptor)
    one.close()
    assert await two.hear() is None
    with pytest.raises(OSError):
        await two.say({"what": "nobody hears"}, [large])
    two.close()


def test_rows_that_overlap_or_touch_are_one_piece() -> None:
    assert joined([(5, 9), (0, 3), (3, 4), (7, 12), (20, 21)]) == [(0, 4), (5, 12), (20, 21)]
    assert joined([]) == []
