"""A daemon that leaves out what guards a training while it is told to: `python -m tests.bench.bare MODULE serve ...`.

The file that the environment names says what is left out of GUARDS: the sums by which both parties compare what was sent, and
their round; the hash of each dealt array; the points to go on from; the combinations at the end. Tags of the last shares, a few
bytes a column, stay: the model scores by them. No product reads the switch: it is put around the product here.
"""

from __future__ import annotations

import os
import runpy
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common.home.dealt import Heard
from common.learn.linear import train as training
from common.mpc.session import Session
from common.mpc.transcript import Transcript
from common.stages.course import Course
from common.trial.result import as_json
from tests.bench import jobs
from tests.bench.instruments import Meter
from tests.bench.profiled import instrument
from tests.bench.tables import HELD_OUT, write_tables
from tests.bench.train import Workload

BARE = "WATTSCORE_BENCH_BARE"
GUARDS = ("compared", "audited", "resumed", "checked")


class BareTrial(jobs.CountedTrial):
    """A trial whose daemons are told so by a file of its folder."""

    @property
    def switch(self) -> Path:
        return self.folder / "bare"

    def launch(self, name: str) -> None:
        os.environ[BARE] = str(self.switch)
        super().launch(name)

    def command(self, name: str) -> list[str]:
        *_, module = super().command(name)
        return [sys.executable, "-m", "tests.bench.bare", module]


def bench_guarded(rows: int, grid: int, bank: int, repeat: int = 5, guards: Sequence[str] = GUARDS) -> dict[str, Any]:
    """The training stage with all of it and without `guards`, in turns: processor seconds of all three daemons, and seconds."""
    work, found = Workload(rows, grid, bank), dict[bool, list[tuple[float, float]]]({True: [], False: []})
    rounds = dict[str, int]()
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as folder:
        datasets = jobs.declare(write_tables(Path(folder), round(rows / (1.0 - HELD_OUT)), grid, bank))
        daemons, lines = jobs.start(Path(folder), {name: {"t": one} for name, one in datasets.items()}, None, BareTrial)
        with lines, daemons as trial, trial.client() as client:
            assert isinstance(trial, BareTrial)
            for turn in range(repeat + 1):
                for guarded in (True, False) if turn % 2 else (False, True):
                    trial.switch.write_text("" if guarded else " ".join(guards))
                    jobs.forget_scores(trial)
                    job, _ = jobs.run(client, work.plan())
                    spent = trial.profile("train")
                    assert spent.keys() == trial.processes.keys()
                    processor = sum(one["process"]["total"] for one in spent.values())
                    if turn:  # what is loaded once
                        found[guarded].append((processor, jobs.stage_seconds(job)["train"]))
                    rounds["with" if guarded else "without"] = as_json(job, 0.0, None)["rounds"]["train"]
    return {
        "rows": rows,
        "grid_columns": grid,
        "bank_columns": bank,
        "repeat": repeat,
        "guards": [*guards],
        "rounds": rounds,
    } | {
        name: _compared([with_all[k] for with_all in found[True]], [bare[k] for bare in found[False]])
        for k, name in enumerate(("processor", "seconds"))
    }


def _compared(with_all: list[float], bare: list[float]) -> dict[str, Any]:
    ratios = [one / other for one, other in zip(with_all, bare, strict=True)]
    return {
        "with": min(with_all), "without": min(bare), "ratio": min(with_all) / min(bare),
        "median_ratio": statistics.median(ratios), "ratios": [min(ratios), max(ratios)],
    }  # fmt: skip


def guarded_line(found: dict[str, Any]) -> str:
    """What `bench_guarded` found, for people."""
    told = []
    for name, unit in (("processor", "s of all daemons' processor"), ("seconds", "s of the training stage")):
        one = found[name]
        low, high = one["ratios"]
        told.append(
            f"{one['with']:.2f} {unit} with all of it, {one['without']:.2f} without,"
            f" ratio {one['ratio']:.3f} (of turns {low:.3f} to {high:.3f}, median {one['median_ratio']:.3f})"
        )
    return f"{found['rows']:,} rows by {found['grid_columns']} + {found['bank_columns']} columns: " + "; ".join(told)


def unguard(bare: Callable[[str], bool]) -> None:
    """Puts the switch around each guard. bare: whether it is left out now, the same at both parties for a whole job."""
    add, compare, receive, enter, arrived = (
        Transcript.add, Session.compare, Heard.receive, Course.enter, training.check_arrived,
    )  # fmt: skip

    async def nothing(*_: Any) -> None:
        pass

    async def good(*_: Any) -> bool:
        return True

    def adds(self: Transcript, *about: Any) -> None:
        if not bare("compared"):
            add(self, *about)

    def received(self: Heard, round: Any) -> Any:
        return self._link.receive(round) if bare("audited") else receive(self, round)

    Transcript.add = adds  # type: ignore[method-assign]
    Session.compare = lambda self: nothing() if bare("compared") else compare(self)  # type: ignore[method-assign,assignment]
    Heard.receive = received  # type: ignore[method-assign,assignment]
    Course.enter = lambda self, progress: nothing() if bare("resumed") else enter(self, progress)  # type: ignore[method-assign,assignment]
    training.check_arrived = lambda *about: good() if bare("checked") else arrived(*about)  # type: ignore[assignment]


def main() -> None:
    module, sys.argv = sys.argv[1], sys.argv[1:]
    instrument(Meter())
    switch = Path(os.environ[BARE])
    unguard(lambda guard: switch.exists() and guard in switch.read_text())
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
