"""Two values under one mask, found in what was recorded of all lives of a daemon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from common.mpc.session import Array

WORDS, FEW = 64, 20  # of each array that are compared; arrays of fewer than the second are only held against equal ones
LEAST = 12  # bytes that are not equal by chance, even if only one bit of each tells anything
ALIKE = {True: 0.5, False: 0.8}  # the share of words, of all 64 or of fewer, that differ by little if a mask was used twice


@dataclass(frozen=True)
class Sent:
    """One masked array as it left. life: the process that sent it."""

    kind: str
    life: int
    values: Array


def write_frame(file: BinaryIO, sent: Sent) -> None:
    """A line that says what it is, then its words. NumPy's own format would take a victim as long as a step of training."""
    values = np.ascontiguousarray(sent.values)
    file.write(f"{sent.kind} {sent.life} {values.dtype.str} {values.size}\n".encode())
    file.write(values.data)


def read_frames(folder: Path, name: str) -> list[Sent]:
    """What all lives of the victim `name` have recorded in `folder`, each array as one row of words, life after life.

    A life ends before the next begins, and so does its record; its process id may be the larger one.
    """
    lives = sorted(folder.glob(f"{name}.*.frames"), key=lambda file: file.stat().st_mtime_ns)
    return [sent for life in lives for sent in _life(life.read_bytes())]


def _life(record: bytes) -> Iterator[Sent]:
    """The last array may be torn, as the process was killed."""
    place = 0
    while (end := record.find(b"\n", place)) >= 0:
        kind, life, words, count = record[place:end].decode().split()
        dtype, begin = np.dtype(words), end + 1
        place = begin + int(count) * dtype.itemsize
        if place > len(record):
            return
        yield Sent(kind, int(life), np.frombuffer(record, dtype, int(count), begin))


def twice(sent: list[Sent]) -> list[tuple[str, int, int]]:
    """(kind, life, life) of pairs of arrays whose words differ by little: masks of one stream, over values of one range.

    By chance an eighth of the words do.
    """
    alike = defaultdict[tuple[str, str, int], list[Sent]](list)
    for one in sent:
        alike[one.kind, one.values.dtype.str, min(one.values.size, WORDS)].append(one)
    return [pair for (kind, _, count), arrays in alike.items() for pair in _pairs(kind, count, arrays)]


def _pairs(kind: str, count: int, arrays: list[Sent]) -> Iterator[tuple[str, int, int]]:
    words = np.stack([one.values.ravel()[:count] for one in arrays])
    bits = 8 * words.dtype.itemsize
    for place, one in enumerate(arrays[:-1]):
        apart = words[place + 1 :] - words[place]
        if count < FEW or bits == 8:
            found = (apart == 0).all(axis=1) & (count * bits >= 8 * LEAST)
        else:
            near = apart + words.dtype.type(1 << (bits - 4)) < words.dtype.type(1 << (bits - 3))
            found = near.mean(axis=1) > ALIKE[count == WORDS]
        yield from ((kind, one.life, arrays[place + 1 + other].life) for other in np.flatnonzero(found))


def seeds_of(file: Path) -> dict[str, set[int]]:
    """The lives in which each seed was expanded, by its fingerprint."""
    found = defaultdict[str, set[int]](set)
    for line in _lines(file):
        life, _, mark = line.partition(" ")
        found[mark].add(int(life))
    return found


def _lines(file: Path) -> Iterator[str]:
    if file.exists():
        yield from (line for line in file.read_text().splitlines() if len(line.split(" ")) == 2)
