"""What a party's pages show, read from its own books as it stands now."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from common.daemon.live import Progress
from common.disclosure import CATALOGUE, Opened
from common.errors import JobNotFound, WattScoreError
from common.home.approvals import HeldJob, Ruling
from common.home.audit import Entry, What
from common.home.home import Home
from common.home.jobbook import Offered
from common.home.outcome import EVALUATION, Evaluation, parse_evaluation
from common.home.record import Record, load_record
from common.home.registry import Version
from common.plan.job_stages import ORDER

_ENDS = 500  # jobs whose openings are told


@dataclass(frozen=True)
class Stage:
    """A stage of a job that runs. place: over, now or later."""

    name: str
    place: str


def stages(progress: Progress) -> list[Stage]:
    """Those of the job's kind, in order."""
    order = [stage.value for stage in ORDER.get(progress.kind, ())]
    now = order.index(progress.stage) if progress.stage in order else -1
    return [Stage(name, "over" if k < now else "now" if k == now else "later") for k, name in enumerate(order)]


def find_job(home: Home, job: str) -> Offered:
    """The last entry of a job. Raises JobNotFound."""
    found = home.jobs.jobs(1, job)
    if not found or not job:
        raise JobNotFound(f"no job {job!r} was offered here")
    return found[-1]


@dataclass(frozen=True)
class Model:
    """A registered model. evaluation: at the bank, exact; record: None where the files are gone or of another release."""

    version: Version
    name: str
    evaluation: Evaluation | None
    record: Record | None


def kept(home: Home) -> set[str]:
    """The registered models whose files are here: of these there is a report."""
    return {version.job for version in home.registry.versions() if home.models.has(version.job)}


def models(home: Home) -> list[Model]:
    """All, the newest first."""
    names = {job.job: job.name for job in home.jobs.jobs()}
    return [_model(version, home, names.get(version.job, "")) for version in reversed(home.registry.versions())]


def _model(version: Version, home: Home, name: str) -> Model:
    folder, evaluation, record = home.models.folder(version.job), None, None
    with suppress(OSError, ValueError, KeyError, TypeError):  # the grid has none
        evaluation = parse_evaluation((folder / EVALUATION).read_bytes())
    with suppress(OSError, WattScoreError):
        record = load_record(version.job, folder)
    return Model(version, name, evaluation, record)


@dataclass(frozen=True)
class Told:
    """What was opened of one kind and in one direction, over all jobs that are told."""

    value: str
    what: str
    way: str
    jobs: int
    arrays: int
    rows: int
    last: str


def opened(entries: Sequence[Entry]) -> list[Told]:
    """By kind of value, in the order of the list of what may be opened. entries: ends of jobs, the newest first."""
    jobs: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    arrays, rows = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for entry in entries:
        for value, _, way, count, of, _ in json.loads(entry.detail).get("opened", []):
            jobs[value, way][entry.job] = None
            arrays[value, way] += count
            rows[value, way] += of
    order = [value.value for value in CATALOGUE]
    found = []
    for value, way in sorted(jobs, key=lambda key: (order.index(key[0]) if key[0] in order else len(order), key[1])):
        key, what = (value, way), CATALOGUE[Opened(value)].what if value in order else value
        found.append(Told(value, what, way, len(jobs[key]), arrays[key], rows[key], next(iter(jobs[key]))))
    return found


def ends(home: Home, job: str = "") -> list[Entry]:
    return home.audit.newest(_ENDS, job=job, what=What.END.value)


@dataclass(frozen=True)
class Line:
    """An entry of the audit log as it is shown. facts: what it says, without its salt and its lists, which are long."""

    entry: Entry
    facts: tuple[tuple[str, str], ...]


def audit_lines(entries: Sequence[Entry]) -> list[Line]:
    return [Line(entry, tuple(_facts(json.loads(entry.detail)))) for entry in entries]


def _facts(detail: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in detail.items():
        if key in ("salt", "books") or value in ("", [], None):
            continue
        if key == "opened":
            yield key, ", ".join(dict.fromkeys(str(one[0]) for one in value))
        else:
            yield key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@dataclass(frozen=True)
class Waiting:
    """A held job, and what was said of it so far."""

    held: HeldJob
    ruling: Ruling


def waiting(home: Home) -> list[Waiting]:
    return [Waiting(held, home.approvals.ruling(held)) for held in home.approvals.held()]
