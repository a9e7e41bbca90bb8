"""`try_`: what `wattscore try` does, for DataFrames and files, from Python."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from common.client.results import Job
from common.errors import ConfigError
from common.rows.near import near

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from common.trial.run import TrialOptions, TrialResult


@dataclass(frozen=True, repr=False)
class Tried:
    """A trial's job, and all that `wattscore try --json` writes of it."""

    job: Job
    values: Mapping[str, Any]

    def to_pandas(self) -> pd.DataFrame:
        """A line a measure: joint, bank_only, difference."""
        if self.job.evaluation is None:
            raise ConfigError("this job has no evaluation")
        return self.job.evaluation.to_pandas()

    def plot(self, axes: Axes | None = None) -> Axes:
        """As `Evaluation.plot`."""
        if self.job.evaluation is None:
            raise ConfigError("this job has no evaluation")
        return self.job.evaluation.plot(axes)

    def __repr__(self) -> str:
        return f"<Tried {self.job!r}, {self.job.evaluation!r}>"

    def _repr_html_(self) -> str:
        return self.job._repr_html_()


def try_(
    grid: pd.DataFrame | str | os.PathLike[str],
    bank: pd.DataFrame | str | os.PathLike[str],
    *,
    key: str | None = None,
    label: str | None = None,
    period: str | None = None,
    report: str | os.PathLike[str] | None = None,
    quiet: bool = True,
    **options: Any,
) -> Tried:
    """Trains on two tables with three real processes on this machine, as `wattscore try` does; raises the job's failure.

    grid, bank: frames, files or declarations (TOML); all processes are here, so use data that may be in one place. key: the
    column of enterprise ids in both, or grid_key and bank_key. label: the bank's 0/1 outcomes. period: the column of months,
    for rows of enterprise and month, or grid_period and bank_period. A declaration may say these itself. report: where to write
    the bank's report. options: the other options of `wattscore try` by name, such as test, seed, ridge, allow_small;
    label_values also as a dict, missing as a list.
    """
    from common.trial.forkserver import fork_server
    from common.trial.run import run_trial

    with tempfile.TemporaryDirectory(prefix="wattscore-frames-") as made, fork_server() as forks:
        files = {"grid": _file(grid, Path(made) / "grid.parquet"), "bank": _file(bank, Path(made) / "bank.parquet")}
        given = {**files, "key": key, "label": label, "period": period, "report": Path(report) if report else None}
        chosen, console = _options(given, options), Console(stderr=True, quiet=quiet)
        if _in_a_loop():  # a notebook's: the trial runs one of its own, elsewhere
            with ThreadPoolExecutor(1) as pool:
                result: TrialResult = pool.submit(run_trial, chosen, console, forks).result()
        else:
            result = run_trial(chosen, console, forks)
    return Tried(Job.of(result.job), result.values)


def _file(table: pd.DataFrame | str | os.PathLike[str], place: Path) -> Path:
    """The file of a table; a frame is written to `place`, whose folder only this user reads."""
    if isinstance(table, str | os.PathLike):
        if not (path := Path(table)).exists():
            raise ConfigError(f"{path}: there is no such file", remedy="Check its path, or give a DataFrame.")
        return path
    table.to_parquet(place, index=False)
    return place


def _options(given: Mapping[str, Any], more: Mapping[str, Any]) -> TrialOptions:
    """All options of the command: as given, else as it has them by default. Raises ConfigError for a name it has not."""
    from common.trial.try_cli import options_of
    from common.trial.try_cli import try_ as command

    needed = [word for name in ("grid", "bank") for word in (f"--{name}", str(given[name]))]
    known = command.make_context("try", needed).params
    if unknown := sorted(set(more) - set(known)):
        there = sorted(set(known) - set(given))
        close = near(unknown[:1], there)
        remedy = f"Nearest: {', '.join(close)}." if close else f"There are: {', '.join(there)}."
        raise ConfigError(f"no option {unknown[0]!r}", remedy=remedy)
    return options_of(**{**known, **more, **given})


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
