"""A few jobs under a short seeded list of disturbances; `python -m tests.scenarios.kill.harness` runs longer ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.scenarios.kill.harness import Play
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.masks import Sent, read_frames, twice
from tests.scenarios.kill.town import PARTIES, Town


@pytest.mark.parametrize("seed", [1])
def test_every_job_ends_well_whatever_happens(tmp_path: Path, seed: int) -> None:
    said: list[str] = []
    with Lines() as lines, Town(tmp_path, lines) as town:
        assert Play(town, seed, said.append).run(jobs=4, operations=8) == [], "\n".join(said)
        assert all(len(read_frames(tmp_path, party)) > 50 for party in PARTIES)  # else nothing was looked at


@pytest.mark.parametrize("count", [20, 400])
@pytest.mark.parametrize("dtype", [np.uint64, np.uint32, np.uint8])
def test_two_values_under_one_mask_are_found(dtype: type, count: int) -> None:
    """Also where they differ in every word, as features of other rows do; and masks of their own are not taken for one."""
    draw = np.random.default_rng(1)
    small = 1 << (np.dtype(dtype).itemsize * 4)
    one, two, values = (draw.integers(0, np.iinfo(dtype).max, count, dtype) for _ in range(3))
    x, y = draw.integers(0, small, count).astype(dtype), draw.integers(0, small, count).astype(dtype)
    if dtype is np.uint8:
        x = y = values
    assert twice([Sent("k", 1, x - one), Sent("k", 2, y - one)]) == [("k", 1, 2)]
    assert twice([Sent("k", 1, x - one), Sent("k", 2, y - two)]) == []
    assert twice([Sent("k", 1, x - one), Sent("other", 2, y - one)]) == []


def test_what_a_killed_life_left_half_written_hides_nothing_of_the_next(tmp_path: Path) -> None:
    for life in (101, 102):
        with (tmp_path / f"bank.{life}.frames").open("wb") as file:
            for values in (np.arange(9), np.arange(9000)):
                for part in (np.frombuffer(b"masked_u", np.uint8), np.array([life]), values):
                    np.save(file, part)
    torn = tmp_path / "bank.101.frames"
    torn.write_bytes(torn.read_bytes()[:-5000])
    (tmp_path / "bank-2.103.frames").write_bytes((tmp_path / "bank.102.frames").read_bytes())
    assert [(one.life, one.values.size) for one in read_frames(tmp_path, "bank")] == [(101, 9), (102, 9), (102, 9000)]
