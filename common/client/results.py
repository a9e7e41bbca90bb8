"""What a client hears of jobs, as frozen values: `to_pandas()` for programs, HTML where a notebook shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, overload

from markupsafe import escape

from common.client import plots
from common.client.client import as_dict, failure
from common.client.plots import Told
from common.errors import WattScoreError
from common.plan.job_states import State
from common.stats.metrics import Metrics
from common.wire import coordinator_pb2 as wire

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_SHOWN = 3  # jobs that the text of a list names
_MEASURES = ("auc", "ks", "gini", "logloss", "brier")


Quality = Metrics
"""One model on held-out rows, as told to clients: rounded to the steps of the bank's policy."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """A training's quality: joint and of the bank alone; the AUC gained with DeLong's 95 % interval; the largest |u|."""

    joint: Metrics
    bank_only: Metrics
    auc_gain: float
    low: float
    high: float
    p_value: float
    largest_u: float

    def to_pandas(self) -> pd.DataFrame:
        """A line a measure: joint, bank_only, difference."""
        import pandas as pd

        found = pd.DataFrame({"joint": asdict(self.joint), "bank_only": asdict(self.bank_only)})
        return found.assign(difference=found["joint"] - found["bank_only"])

    def plot(self, axes: Axes | None = None) -> Axes:
        """AUC, KS and Gini of both models as bars, in new axes or these."""
        return plots.draw_one(self.told(""), axes)

    def told(self, job: str) -> Told:
        """The same of a job by its name, to be drawn."""
        return Told(job, self.joint, self.bank_only, self.auc_gain, self.low, self.high)

    def __repr__(self) -> str:
        gain = f"{self.auc_gain:+.4f} ({self.low:+.4f} to {self.high:+.4f})"
        return f"<Evaluation: AUC {self.joint.auc:.4f}, of the bank alone {self.bank_only.auc:.4f}, gained {gain}>"

    def _repr_html_(self) -> str:
        lines = [(name, f"{getattr(self.joint, name):.4f}", f"{getattr(self.bank_only, name):.4f}") for name in _MEASURES]
        gain = ("AUC gained", f"{self.auc_gain:+.4f}", f"95 %: {self.low:+.4f} to {self.high:+.4f}")
        return table(("", "joint", "bank alone"), [*lines, gain])


@dataclass(frozen=True, repr=False)
class Job:
    """A job as it stood when it was asked for. rows, warnings and opened: what both sides tell of it, by name."""

    id: str
    name: str
    kind: str
    state: State
    submitted: datetime | None
    started: datetime | None
    ended: datetime | None
    submitter: str
    evaluation: Evaluation | None
    rows: Mapping[str, int]
    warnings: Mapping[str, tuple[str, ...]]
    opened: tuple[str, ...]
    error: WattScoreError | None
    message: wire.Job = field(compare=False)

    @classmethod
    def of(cls, job: wire.Job) -> Job:
        """From the message."""
        grid, bank = job.grid.report, job.bank.report
        counts = {"grid": grid.counts.own_rows, "bank": bank.counts.own_rows, "matched": bank.counts.matched_rows}
        counts |= {"train": bank.counts.train_rows, "test": bank.counts.test_rows}
        return cls(
            id=job.id,
            name=job.name,
            kind=job.kind,
            state=State(job.state),
            submitted=_moment(job.submitted),
            started=_moment(job.started),
            ended=_moment(job.ended),
            submitter=job.submitter,
            evaluation=_evaluation(bank.evaluation) if bank.HasField("evaluation") else None,
            rows={name: int(count) for name, count in counts.items() if count},
            warnings={"grid": tuple(grid.warnings), "bank": tuple(bank.warnings)},
            opened=tuple(sorted({*grid.opened, *bank.opened})),
            error=failure(job),
            message=job,
        )

    @property
    def over(self) -> bool:
        return self.state.final

    @property
    def plan(self) -> dict[str, Any]:
        """The plan with every key; {} in a list of jobs, which tells of them in short."""
        return dict(json.loads(self.message.plan)) if self.message.plan else {}

    def as_dict(self) -> dict[str, Any]:
        """All that the coordinator tells of it, JSON-safe."""
        return as_dict(self.message)

    def to_pandas(self) -> pd.DataFrame:
        """One line; see `Jobs.to_pandas`."""
        return Jobs((self,)).to_pandas()

    def __repr__(self) -> str:
        found = f", AUC {self.evaluation.joint.auc:.4f}" if self.evaluation else ""
        return f"<Job {self.id}: {self.state.value}{found}>"

    def _repr_html_(self) -> str:
        facts = [(self.kind, self.id), ("name", self.name), ("state", self.state.value)]
        facts += [("why", str(self.error))] if self.error else []
        facts += [(f"rows, {name}", f"{count:,}") for name, count in self.rows.items()]
        facts += [(f"warning of the {who}", text) for who, texts in self.warnings.items() for text in texts]
        return table(("", ""), facts) + (self.evaluation._repr_html_() if self.evaluation else "")


@dataclass(frozen=True, repr=False)
class Jobs(Sequence[Job]):
    """Jobs, oldest first."""

    found: tuple[Job, ...]

    @overload
    def __getitem__(self, at: int) -> Job: ...

    @overload
    def __getitem__(self, at: slice) -> Jobs: ...

    def __getitem__(self, at: int | slice) -> Job | Jobs:
        return Jobs(self.found[at]) if isinstance(at, slice) else self.found[at]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Job]:
        return iter(self.found)

    def to_pandas(self) -> pd.DataFrame:
        """A line a job, by id: name, kind, state, times (UTC), seconds, AUC joint, bank alone and gained, matched rows."""
        import pandas as pd

        found = pd.DataFrame([_line(job) for job in self.found], columns=list(_line_names()))
        return found.set_index("id")

    def plot(self, axes: Axes | None = None) -> Axes:
        """AUC of each training that has one, joint and of the bank alone, in new axes or these."""
        return plots.draw_all([job.evaluation.told(job.id) for job in self.found if job.evaluation], axes)

    def __repr__(self) -> str:
        shown = [*map(repr, self.found[-_SHOWN:])]
        more = [f"{len(self) - _SHOWN} before"] if len(self) > _SHOWN else []
        return f"<{len(self)} jobs: {', '.join([*more, *shown])}>"

    def _repr_html_(self) -> str:
        html: str = self.to_pandas().to_html(na_rep="")
        return html


def _line_names() -> tuple[str, ...]:
    return (
        "id", "name", "kind", "state", "submitted", "started", "ended", "seconds", "auc", "bank_only_auc", "auc_gain",
        "matched",
    )  # fmt: skip


def _line(job: Job) -> dict[str, Any]:
    found = job.evaluation
    return {
        **{name: getattr(job, name) for name in ("id", "name", "kind", "submitted", "started", "ended")},
        "state": job.state.value,
        "seconds": (job.ended - job.started).total_seconds() if job.ended and job.started else None,
        "auc": found.joint.auc if found else None,
        "bank_only_auc": found.bank_only.auc if found else None,
        "auc_gain": found.auc_gain if found else None,
        "matched": job.rows.get("matched"),
    }


@dataclass(frozen=True, repr=False)
class Comparison:
    """Trainings side by side. Their held-out rows may differ: `same_rows` says whether plan and split are of one draw."""

    jobs: Jobs

    @property
    def same_rows(self) -> bool:
        """Whether all plans name the same datasets, keys and split."""
        told = [
            tuple(json.dumps(job.plan.get(k), sort_keys=True) for k in ("grid", "bank", "keys", "split")) for job in self.jobs
        ]
        return len(set(told)) <= 1

    @property
    def differs(self) -> dict[str, tuple[Any, ...]]:
        """Keys of the plans that differ, `section.key` -> the value of each job."""
        plans = [dict(_flat(job.plan)) for job in self.jobs]
        keys = dict.fromkeys(key for plan in plans for key in plan)
        values = {key: tuple(plan.get(key) for plan in plans) for key in keys}
        return {key: of for key, of in values.items() if any(value != of[0] for value in of)}

    def to_pandas(self) -> pd.DataFrame:
        """A column a job: each measure of the joint model, the gain, then what differs in the plans."""
        import pandas as pd

        columns = {}
        for k, job in enumerate(self.jobs):
            found = job.evaluation
            quality = asdict(found.joint) if found else dict.fromkeys(_MEASURES)
            gain = {"auc_gain": found.auc_gain if found else None}
            columns[job.id] = {**quality, **gain, **{f"plan.{key}": of[k] for key, of in self.differs.items()}}
        return pd.DataFrame(columns, dtype=object)

    def plot(self, axes: Axes | None = None) -> Axes:
        """As `Jobs.plot`."""
        return self.jobs.plot(axes)

    def __repr__(self) -> str:
        return f"<Comparison of {self.jobs!r}; {'one draw' if self.same_rows else 'other draws'} of held-out rows>"

    def _repr_html_(self) -> str:
        html: str = self.to_pandas().to_html()
        return html if self.same_rows else html + "<p>The held-out rows are not the same: figures differ by that too.</p>"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """An HTML table, every cell escaped."""
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>"


def _flat(plan: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in plan.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


def _moment(at: float) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at else None


def _evaluation(told: Any) -> Evaluation:
    one, two = (Metrics(*(getattr(part, name) for name in _MEASURES)) for part in (told.joint, told.bank_only))
    gained = told.auc_difference
    return Evaluation(one, two, gained.difference, gained.low, gained.high, gained.p_value, told.largest_u)
