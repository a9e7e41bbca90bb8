"""One training workload through the three real daemons, several times, and the same rows in plaintext in the same run."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from common.plan.linear import Model
from common.plan.predeal import PredealPlan
from common.plan.request import Side
from common.plan.train import Split, TrainPlan
from common.trial.result import as_json
from tests.bench import jobs, plaintext
from tests.bench.anatomy import anatomy
from tests.bench.line import Shape, measure
from tests.bench.peers import Spu
from tests.bench.tables import HELD_OUT, write_tables

Dealing = Literal["whole", "half", "none"]


@dataclass(frozen=True)
class Workload:
    """rows: to train on; a ninth as many again are held out. grid, bank: each side's columns."""

    rows: int
    grid: int
    bank: int
    iterations: int = 12
    link: Literal["fourier", "taylor"] = "fourier"
    ahead: bool = False  # dealt ahead
    dealer: Dealing = "whole"  # else with weights that owners are told; none: with ids matched by Diffie-Hellman

    def plan(self) -> TrainPlan:
        side, reveal = Side(dataset="t"), "none" if self.dealer == "whole" else "owners"
        model = Model(link=self.link, iterations=self.iterations, dealer=self.dealer, reveal=reveal)
        keys: tuple[Literal["id", "period"], ...] = ("id", "period")
        split, dealt = Split(test=HELD_OUT), "ahead" if self.ahead else "online"
        return TrainPlan(
            grid=side,
            bank=side,
            keys=keys,
            split=split,
            model=model,
            limits=jobs.SMALL,
            preparation=jobs.AS_THEY_ARE,
            dealt=dealt,
            matching="ecdh" if self.dealer == "none" else "neutral",
        )

    def stock(self) -> PredealPlan | None:
        """What is dealt ahead, with some rows to spare."""
        if not self.ahead:
            return None
        return PredealPlan(
            model=self.plan().model, rows=self.rows * 51 // 50, grid_columns=self.grid, bank_columns=self.bank + 1
        )


def bench_train(
    work: Workload, repeat: int = 1, line: str | None = None, *, profiled: bool = False, spu: Spu | None = None
) -> dict[str, Any]:
    """Medians over `repeat` jobs of what `wattscore try --json` reports, and the plaintext fits of the same training rows.

    profiled: also where the last job's training stage spent its time. spu: SPU's regression of the same rows, afterwards.
    """
    plan, shape = work.plan(), None if line is None else Shape.parse(line)
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as folder:
        datasets = jobs.declare(write_tables(Path(folder), round(work.rows / (1.0 - HELD_OUT)), work.grid, work.bank))
        runs, profile = _secure(Path(folder), datasets, work, repeat, shape, profiled)
        pooled = plaintext.pool(plan, datasets)
        plain = plaintext.fit(pooled, plan.model.ridge, repeat)
        result = _result(work, runs, plain)
        if shape is not None:
            result["line"] = {"asked": line, **measure(shape)}
        if profiled:
            result["profile"] = anatomy(profile, runs[-1]["bytes"])
        if spu is not None:
            result["spu"] = spu.regressions(pooled, Path(folder), result["seconds"]["train"])
    return result


def _secure(
    folder: Path, datasets: dict[str, Any], work: Workload, repeat: int, shape: Shape | None, profiled: bool
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    parties, runs = {name: {"t": dataset} for name, dataset in datasets.items()}, []
    daemons, lines = jobs.start(folder, parties, shape, jobs.ProfiledTrial if profiled else jobs.Trial)
    with lines, daemons as trial, trial.client() as client:
        for _ in range(repeat):
            jobs.forget_scores(trial)
            if (stock := work.stock()) is not None:
                dealt, seconds = jobs.run(client, stock)
                print(f"dealt ahead in {seconds:.1f} s, {dealt.dealer.grid.sent / 1e6:.0f} MB to each party")
            job, seconds = jobs.run(client, work.plan())
            runs.append(as_json(job, seconds, None))
        profile = trial.profile("train") if isinstance(trial, jobs.ProfiledTrial) else {}
    return runs, profile


def _result(work: Workload, runs: list[dict[str, Any]], plain: dict[str, Any]) -> dict[str, Any]:
    every = {name: [run["seconds"][name] for run in runs] for name in runs[0]["seconds"]}
    seconds = {name: statistics.median(values) for name, values in every.items()} | plain["seconds"]
    last = runs[-1]
    return {
        **asdict(work),
        "train_rows": last["rows"]["train"],
        "repeat": len(runs),
        "seconds": seconds,
        "spread": {name: [min(values), max(values)] for name, values in every.items()},
        "ratio_to_lbfgs": seconds["train"] / seconds["plaintext_lbfgs"],
        "ratio_to_sgd": seconds["train"] / seconds["plaintext_sgd"],
        "bytes": last["bytes"],
        "peak_mib": last["peak_mib"],
        "rounds": last["rounds"]["train"],
        "rounds_by_stage": last["rounds"],
        **{
            name: {"joint": last[name]["joint"], "pooled": plain["lbfgs"][name], "pooled_sgd": plain["sgd"][name]}
            for name in ("logloss", "auc")
        },
    }
