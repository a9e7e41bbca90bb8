"""A few jobs of three banks under a short list of disturbances; `python -m tests.scenarios.kill.crowd` runs longer ones."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.kill.crowd import Crowd, Village
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.masks import read_frames


def test_every_job_of_several_banks_ends_well_whatever_happens(tmp_path: Path) -> None:
    said: list[str] = []
    with Lines() as lines, Village(tmp_path, lines) as village:
        crowd = Crowd(village, 4, said.append)
        assert crowd.run(jobs=3, operations=5) == [], "\n".join(said)
        assert len(crowd.failed) < len(crowd.dealers) == 2  # a full disk ends its job, and not each of them
        assert all(len(read_frames(tmp_path, party)) > 20 for party in village.parties)  # else nothing was looked at
