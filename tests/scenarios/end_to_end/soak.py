"""Many small jobs of every kind through three daemons that stay up: what each holds of memory, descriptors and disk meanwhile.

    python -m tests.scenarios.end_to_end.soak --jobs 500 --out soak.json
    python -m tests.scenarios.end_to_end.soak --jobs 100 --loss 1

Of 25 jobs 16 train (lines by either link, with and without a dealer; trees, networks; two from stocks), three score, two deal
ahead, one promotes, one is rolled back, one is cancelled, one fails by its data; both parties look at their drift. A line for
every 25 of them; its exit code is 1 where something has grown from the first fifth on that should not. With `--loss` every line
loses so many per cent of its segments during every second 25 jobs, whose times are told apart.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from common.client.client import Client
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from tests.patience import patience
from tests.scenarios.end_to_end import lossy
from tests.scenarios.end_to_end.lab import (
    BANK_POLICY,
    GRID_POLICY,
    LONG,
    Lab,
    command,
    dataset_files,
    eventually,
    finish,
    make_plan,
    make_tables,
    succeed,
    until_training,
)

GROWTH, SLACK = 1.05, 6 << 20  # of memory that is not a file's
DESCRIPTORS, THREADS, TASKS = 8, 4, 6  # more than there were: calls that are about to end
EVERY = 25
MONTHS = pd.period_range("2020-01", periods=200, freq="M").astype(str)
STOCK = {"model": {"iterations": 9}, "rows": 1100, "grid_columns": 14, "bank_columns": 5}
MODELS: dict[str, dict[str, Any]] = {
    "line": {},
    "taylor": {"link": "taylor"},
    "undealt": {"link": "taylor", "dealer": "none"},
    "trees": {"kind": "trees", "trees": 6, "depth": 2, "rate": 0.4, "bins": 6},
    "network": {"kind": "network", "epochs": 3, "batch": 256},
    "stock": {"iterations": 9},
}
ROUND = [
    *("line", "taylor", "score", "trees", "line", "network", "predeal", "stock", "line", "taylor", "cancel", "line", "bad"),
    *("promote", "line", "score", "undealt", "line", "predeal", "stock", "network", "rollback", "trees", "score", "line"),
]
Held = dict[str, Any]


class Watched(Lab):
    """A lab whose daemons say what they hold."""

    def command(self, name: str) -> list[str]:
        return [sys.executable, "-m", "tests.scenarios.end_to_end.counted", name]

    def held(self) -> dict[str, Held]:
        """Of each daemon: bytes of memory and of disk by what they are, and how many of what is open."""
        return {name: self._held(name, process.pid) for name, process in self.processes.items()}

    def _held(self, name: str, pid: int) -> Held:
        (said := self.folder / f"{name}.counted").unlink(missing_ok=True)
        self.processes[name].send_signal(signal.SIGUSR1)
        eventually(said.exists, 30.0)
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        memory = {key: int(status[field].split()[0]) << 10 for key, field in (("rss", "VmRSS"), ("anonymous", "RssAnon"))}
        disk = Counter[str]()
        for path in self.data(name).rglob("*"):
            if path.is_file():
                disk[path.relative_to(self.data(name)).parts[0]] += path.stat().st_size
        disk["log"] = self.log(name).stat().st_size
        return {**memory, **json.loads(said.read_text()), "disk": disk}


class Soak:
    """Jobs one after the other, each on companies that no job was about before, but for what stocks and models ask."""

    def __init__(self, lab: Watched, client: Client) -> None:
        self._lab, self._client, self._count, self._model = lab, client, 0, ""

    def job(self, kind: str) -> None:
        self._count += 1
        monthly = kind in ("score", "taylor")
        dataset = "monthly" if monthly else "rows"
        side = {"dataset": dataset}
        grid, bank = make_tables(f"S{self._count}-", 300 if kind == "score" else 1500)
        grid, bank = (self._monthly(frame) if monthly else frame for frame in (grid, bank))
        if kind == "bad":
            bank["y"] = bank["y"].astype(object).where(bank.index != 17, "nobody knows")
        if kind == "score":
            bank = bank.drop(columns="y")
        self._lab.write(dataset, grid, bank)
        if kind == "score":
            plan = {"kind": "score", "model": self._model, "grid": side, "bank": side, "keys": ("id", "period")}
            succeed(self._client, ScorePlan.model_validate(plan))
            for party in ("grid", "bank"):
                assert command(self._lab, party, "monitor").exit_code in (0, 3)
        elif kind == "predeal":
            succeed(self._client, PredealPlan.model_validate(STOCK))
        elif kind == "promote":
            succeed(self._client, PromotePlan(model=self._model, force=True))
        elif kind == "rollback":
            finish(self._client, self._client.submit(PromotePlan(action="rollback")).id)  # at first there is nothing before
        elif kind == "bad":
            found = finish(self._client, self._client.submit(make_plan("rows")).id)
            assert (found.state, found.fault.kind) == ("failed", "DataError"), found
        elif kind == "cancel":
            job = until_training(self._client, make_plan("rows", model=LONG))
            self._client.cancel(job)
            assert finish(self._client, job).state == "cancelled"
        else:
            extra: dict[str, Any] = {"dealt": "ahead"} if kind == "stock" else {}
            if kind == "undealt":
                extra["matching"] = "ecdh"
            if monthly:
                extra["keys"] = ("id", "period")
            found = succeed(self._client, make_plan(dataset, model=MODELS[kind], **extra))
            if monthly:
                self._model = found.id

    def _monthly(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame.insert(1, "month", MONTHS[self._count * len(MONTHS) // 1200 % len(MONTHS)])
        return frame

    def run(self, jobs: int, loss: float | None = None) -> list[dict[str, Held]]:
        """What each held after every 25 of the jobs. loss: per cent of segments, during every second 25; None: never."""
        found, begin = list[dict[str, Held]](), time.monotonic()
        took = Counter[str]()
        for number in range(jobs):
            if loss is not None and number % EVERY == 0:
                lossy.lose(loss if number // EVERY % 2 else 0.0)
            kind, since = ROUND[number % len(ROUND)], time.monotonic()
            self.job(kind)
            took[f"{kind} with loss" if loss and number // EVERY % 2 else kind] += time.monotonic() - since
            if (number + 1) % EVERY == 0:
                if loss is not None:
                    print("of {} segments {} were sent again".format(*lossy.segments()))
                found.append(self._lab.held())
                print(f"{number + 1} jobs in {time.monotonic() - begin:.0f} s", dict(took), flush=True)
                for name, held in found[-1].items():
                    print(f"  {name}: {said(held)}", flush=True)
        return found


def said(held: Held) -> str:
    counts = ", ".join(f"{sum(held[key].values())} {key}" for key in ("files", "threads", "tasks"))
    disk = ", ".join(f"{name} {size >> 10}" for name, size in sorted(held["disk"].items()) if size >> 10)
    memory = (
        f"{held['rss'] / 2**20:.1f} MiB, {held['anonymous'] / 2**20:.1f} of it anonymous, {held['malloc'] / 2**20:.1f} in use"
    )
    return f"{memory}, {held['blocks']} of Python's blocks; {counts}; KiB on disk: {disk}"


def faults(found: list[dict[str, Held]]) -> list[str]:
    """What has grown between the first fifth, in which caches fill, and the end."""
    early, late, wrong = found[len(found) // 5], found[-1], list[str]()
    for name in late:
        before, after = early[name], late[name]
        if after["anonymous"] > GROWTH * before["anonymous"] + SLACK:
            wrong.append(f"{name}: {after['anonymous']} bytes of memory after {before['anonymous']}")
        for key, more in (("files", DESCRIPTORS), ("threads", THREADS), ("tasks", TASKS)):
            was, now = (sum(one[key].values()) for one in (before, after))
            if now > was + more:
                grown = Counter(after[key]) - Counter(before[key])
                wrong.append(f"{name}: {now} {key} after {was}: {dict(grown)}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--out", type=Path, help="what was found, as JSON")
    parser.add_argument("--loss", type=float, help="per cent of segments that every line loses")
    asked = parser.parse_args()
    if asked.loss is not None:
        if why := lossy.why_not():
            parser.error(f"--loss: {why}")
        lossy.apart()
    with tempfile.TemporaryDirectory() as name:
        folder, bits = Path(name), {"label_bits": 1e6, "metric_bits": 1e6}
        settings = {
            "coordinator": {"attend_timeout": patience(20)},
            "grid": {"policy": {**GRID_POLICY, "no_dealer": True}},
            "bank": {"policy": {**BANK_POLICY, **bits, "no_dealer": True}},
        }
        rows, monthly = dataset_files(folder, ("rows",)), dataset_files(folder, ("monthly",), period="month")
        lab = Watched(folder, {side: rows[side] | monthly[side] for side in rows}, settings)
        with lab, lab.client() as client:
            found = Soak(lab, client).run(asked.jobs, asked.loss)
    if asked.out:
        asked.out.write_text(json.dumps(found))
    wrong = faults(found)
    print("\n".join(wrong) or "nothing has grown")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
