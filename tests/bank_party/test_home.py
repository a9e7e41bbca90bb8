"""The bank's home: what a process that was killed left of files of scores."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bank_party.decision.config import DecisionConfig
from bank_party.home import BankHome
from bank_party.monitor.config import BankMonitorConfig
from bank_party.settings import BankPolicy
from common.disk.files import private_file


def written(home: BankHome, job: str, seconds: float) -> Path:
    """What is left of a file of scores whose writer was killed so long ago."""
    file = home.scores_of(job)
    file.parent.mkdir(exist_ok=True)
    before = set(file.parent.iterdir())
    with private_file(file) as stream:
        stream.write(b"id,decision\n")
        stream.flush()
        (part,) = set(file.parent.iterdir()) - before
        left = part.read_bytes()
    file.unlink()
    part.write_bytes(left)
    os.utime(part, (time.time() - seconds,) * 2)
    return part


def test_what_a_killed_command_left_of_its_scores_is_tidied_and_what_one_writes_now_is_not(tmp_path: Path) -> None:
    home = BankHome(tmp_path, "wattscore://neutral/coordinator", BankPolicy(), BankMonitorConfig(), DecisionConfig())
    home.tidy()  # nothing was ever scored
    now = written(home, "score-2", 60)
    old = written(home, "score-1", 7200)
    home.scores_of("score-3").write_text("id,decision\n")
    os.utime(home.scores_of("score-3"), (0, 0))
    home.tidy()
    assert {path.name for path in home.scores_of("x").parent.iterdir()} == {now.name, "score-3.csv"} and not old.exists()
    home.discard("score-2")
    assert [path.name for path in home.scores_of("x").parent.iterdir()] == ["score-3.csv"]
