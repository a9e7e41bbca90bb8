"""How far a running job is: its stages, what each means, and about how long it still takes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from common.client.client import failure
from common.plan.job_stages import MEANING, ORDER, UNITS, Stage
from common.text.visible import escape
from common.wire import coordinator_pb2 as wire
from common.wire import party_pb2

_AGAIN = 20.0  # seconds of a stage after which a line more says how far it is, where there is no terminal
_ENOUGH = 1.0  # seconds of a stage after which its pace says something
_WAITING = {"queued": "waits for earlier jobs", "offered": "both parties look at the plan"}


def waits(job: wire.Job) -> str:
    """What a job that has not begun, or was interrupted, waits for; empty for one that runs or is over."""
    banks = [(f"bank {org(bank.who)}", bank) for bank in job.banks] or [("bank", job.bank)]
    missed = " and the ".join(name for name, party in (("grid", job.grid), *banks) if not (party.connected or party.left_out))
    if job.state == "queued" and missed:
        return f"waits for the {missed}, not connected to the coordinator, or for earlier jobs"
    if job.state == "held":
        holders = " and the ".join(name for name, party in (("grid", job.grid), *banks) if party.held)
        return f"waits for people of the {holders} to approve it"
    if job.state != "waiting":
        return _WAITING.get(job.state, "")
    whom = f"waits for the {missed}" if missed else "is about to go on"
    return f"interrupted, {whom}; it goes on by itself ({job.disturbed.message})"


def org(who: str) -> str:
    """A bank's organisation, of its identity."""
    return who.removeprefix("wattscore://").partition("/")[0]


def stages_of(job: wire.Job) -> tuple[str, ...]:
    """The stages that the job has: one that scores on request matches no rows before."""
    order = ORDER.get(job.kind, ())
    serves = job.kind == "score" and bool(job.plan) and json.loads(job.plan).get("on_request")
    return tuple(stage for stage in order if stage != Stage.ALIGN) if serves else order


def furthest(job: wire.Job) -> party_pb2.Progress:
    """The progress of the party that is ahead."""
    order = stages_of(job)
    found: party_pb2.Progress = max(
        (job.grid.progress, job.bank.progress), key=lambda p: order.index(p.stage) if p.stage in order else -1
    )
    return found


@dataclass
class Pace:
    """When each stage began, as the watcher saw it, and how fast the present one goes. Seconds of a monotonic clock."""

    clock: Callable[[], float] = time.monotonic
    began: dict[str, float] = field(default_factory=dict)
    _bytes: int = 0  # over all links when the stage began
    _done: int = 0

    def see(self, stage: str, progress: party_pb2.Progress) -> None:
        if stage not in self.began:
            self.began[stage], self._bytes, self._done = self.clock(), progress.bytes, progress.done

    def seconds(self, stage: str) -> float:
        """How long a stage took; of the last one, takes."""
        later = [at for at in self.began.values() if at > self.began[stage]]
        return min(later, default=self.clock()) - self.began[stage]

    def left(self, stage: str, progress: party_pb2.Progress) -> float | None:
        """About how many seconds the present stage still takes; None where nothing tells yet.

        Training: what the cost formula says is still to be sent, at the pace of its bytes so far. Else by what is done.
        """
        spent = self.seconds(stage)
        if stage == Stage.TRAIN and progress.expected > progress.bytes > self._bytes:
            share = (progress.bytes - self._bytes) / (progress.expected - self._bytes)
        elif progress.total and progress.done > self._done:
            share = (progress.done - self._done) / max(1, progress.total - self._done)
        else:
            return None
        return spent * (1 - share) / share if spent > _ENOUGH and share > 0 else None


def follow(updates: Iterable[wire.Job], console: Console, warnings: bool = True) -> wire.Job:
    """Shows a job until it is over: a list of its stages on a terminal, else a line each. Its last state.

    warnings: printed as they come; without, somebody prints them in full when the job is over.
    """
    show = _draw if console.is_terminal else _tell
    told: set[tuple[str, str]] = set()
    return show((warn(job, told, console) for job in updates) if warnings else updates, console)


def _draw(updates: Iterable[wire.Job], console: Console) -> wire.Job:
    job, pace = wire.Job(), Pace()
    with Live(console=console, auto_refresh=True, refresh_per_second=2) as live:
        for job in updates:
            progress = furthest(job)
            if progress.stage:
                pace.see(progress.stage, progress)
            live.update(Stages(job, pace))
    return job


class Stages:
    """Drawn anew at each refresh, so that its clock runs though nothing is heard."""

    def __init__(self, job: wire.Job, pace: Pace) -> None:
        self._job, self._pace = job, pace

    def __rich__(self) -> RenderableType:
        job, pace, now = self._job, self._pace, furthest(self._job)
        if not now.stage and not failure(job):
            return Text(f"{job.state}: {waits(job)}".rstrip(": "))
        table = Table(
            Column(width=1), Column(no_wrap=True), Column(ratio=1, no_wrap=True, overflow="ellipsis"), Column(justify="right"),
            box=None, show_header=False, expand=True,
        )  # fmt: skip
        order = stages_of(job)
        reached = order.index(now.stage) + 1 if now.stage in order else 0
        for at, stage in enumerate(order):
            current, begun = stage == now.stage, at < reached  # a quick one may be over before it was seen
            mark = _mark(job, current, begun)
            seconds = clock(pace.seconds(stage)) if stage in pace.began else ""
            what = how_far(now) if current and job.state == "running" else MEANING[stage]
            table.add_row(mark, stage, what, seconds, style="" if begun else "dim")
        return Group(table, *self._left(now))

    def _left(self, now: party_pb2.Progress) -> Iterable[Text]:
        left = self._pace.left(now.stage, now) if self._job.state == "running" and now.stage in self._pace.began else None
        if left is not None:
            later = ", then less for what follows" if now.stage == Stage.TRAIN else ""
            yield Text(f"about {clock(left)} left of {now.stage!r}{later}")


def _mark(job: wire.Job, current: bool, begun: bool) -> str:
    if current and failure(job) is not None:
        return "[red]✗[/]"
    if current and job.state == "running":
        return "[bold]▸[/]"
    return "[green]✓[/]" if begun else "·"


def how_far(progress: party_pb2.Progress) -> str:
    """What is done of the present stage, in words."""
    unit = UNITS.get(progress.stage, "")
    parts = [
        f"{progress.done:,} of {progress.total:,} {unit}" if progress.total and unit else "",
        f"{progress.rows:,} rows" if progress.rows and unit != "rows" else "",
        f"{progress.bytes / 1e6:.1f} MB" if progress.bytes else "",
    ]
    said = ", ".join(part for part in parts if part)
    return (
        f"{MEANING.get(progress.stage, '')}: {said}" if said and not progress.total else said or MEANING.get(progress.stage, "")
    )


def clock(seconds: float) -> str:
    """Minutes and seconds, hours where there are any."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _tell(updates: Iterable[wire.Job], console: Console, clock_: Callable[[], float] = time.monotonic) -> wire.Job:
    """A line a stage, those that were over before they were seen too, and while one lasts how far it is by now."""
    job, said, at, pace = wire.Job(), "", 0.0, Pace(clock_)

    def tell(text: str) -> None:
        console.print(escape(f"{job.id}: {text}"), highlight=False, soft_wrap=True)

    for job in updates:
        now, order = furthest(job), stages_of(job)
        stage = now.stage or job.state
        if now.stage:
            pace.see(now.stage, now)
        if stage == said:
            left = pace.left(stage, now) if now.stage and clock_() - at >= _AGAIN else None
            if left is not None:
                tell(f"{stage}: {how_far(now)}; about {clock(left)} left of it")
                at = clock_()
            continue
        if not (now.stage or waits(job)):  # a quick job may be over when its first stage is seen
            continue
        for one in _since(said, stage, order):
            place = f"{order.index(one) + 1} of {len(order)}, " if one in order else ""
            tell(f"{place}{one}: {MEANING.get(one) or waits(job)}")
        said, at = stage, clock_()
    return job


def _since(said: str, stage: str, order: tuple[str, ...]) -> tuple[str, ...]:
    """The stages behind `said` up to `stage`, which may be a state of a job that has none yet."""
    if stage not in order:
        return (stage,)
    return order[order.index(said) + 1 : order.index(stage) + 1] if said in order[: order.index(stage)] else (stage,)


def warn(job: wire.Job, told: set[tuple[str, str]], console: Console) -> wire.Job:
    """Prints the warnings of `job` that are not in `told`, and enters them there; the job itself."""
    banks = [(f"bank {k}" if len(job.banks) > 1 else "bank", bank) for k, bank in enumerate(job.banks or [job.bank], 1)]
    for who, party in (("grid", job.grid), *banks):
        for text in (*party.progress.warnings, *party.report.warnings):  # the last ones come with the report only
            if (who, text) not in told:
                told.add((who, text))
                console.print(f"[yellow]{who}:[/] {escape(text)}", highlight=False)
    return job
