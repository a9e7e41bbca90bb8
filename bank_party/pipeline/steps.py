"""What each step of a run does. Each can be done again up to the moment in which the book says that it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from bank_party.home import BankHome
from bank_party.judge import challenge, shadow
from bank_party.pipeline.book import Run, RunBook, Step, Taken
from bank_party.pipeline.config import PipelineConfig, ShadowStep, score_plan
from bank_party.role import BankRole
from common.client.client import failure
from common.errors import DataError, JobNotFound, JobStateError
from common.home.approvals import PIPELINE, HeldJob, Verdict
from common.plan.job_states import State
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan, parse_plan
from common.plan.train import TrainPlan
from common.wire import coordinator_pb2 as wire

_LOOK = 500  # jobs of a kind, the newest, among which one of ours is looked for

Facts = Mapping[str, Any]


class Rest(Exception):
    """Nothing can be done before somebody has spoken; the run goes on the next time."""


class Stop(Exception):
    """The run ends here, and the champion stays. The text says why, to the bank's people."""


class Jobs(Protocol):
    """What a run asks of the coordinator: `common.client.client.Client`."""

    def submit(self, plan: AnyPlan, submission: str = "") -> wire.Job: ...

    def watch(self, job: str) -> Generator[wire.Job]: ...

    def jobs(self, *, last: int = 0, kind: str = "") -> list[wire.Job]: ...


@dataclass(frozen=True)
class Place:
    """Where a run takes place. report: writes that of a training job to a page; features: makes the bank's own files of
    features, and says of each how many rows it has.
    """

    config: PipelineConfig
    home: BankHome
    book: RunBook
    jobs: Jobs
    report: Callable[[str, Path], None]
    features: Callable[[], Facts]


def take(place: Place, run: Run, taken: Taken, before: Mapping[Step, Taken]) -> Facts:
    """Does a step and returns what came of it. Raises Rest or Stop, and what is only a trouble of the moment."""
    return _ACTS[taken.step](place, run, taken, before)


def _features(place: Place, run: Run, taken: Taken, before: Mapping[Step, Taken]) -> Facts:
    return place.features()


def _train(place: Place, run: Run, taken: Taken, before: Mapping[Step, Taken]) -> Facts:
    plan = parse_plan(run.plan, run.run).model_copy(update={"name": f"{run.run} train"})
    job = _done(place, run, Step.TRAIN, "model", plan)
    return {"model": job.id, "rows": job.bank.report.counts.train_rows, "held_out": job.bank.report.counts.test_rows}


def _challenge(place: Place, run: Run, taken: Taken, before: Mapping[Step, Taken]) -> Facts:
    """As a promotion compares, and before people are asked."""
    model, champion = _model(before), place.home.registry.champion
    if champion is None:
        return {"champion": None}
    found = BankRole(place.home).beside(model, champion).found
    if found is None:
        return {"champion": champion, "rows": 0}
    if (how := challenge.worse(found, model)) is not None:
        raise Stop(how)
    gain = found.auc_difference
    facts = {"auc": found.auc, "champion_auc": found.champion_auc, "low": gain.low, "high": gain.high}
    return {"champion": champion, "rows": found.rows, **{name: round(value, 6) for name, value in facts.items()}}


def _report(place: Place, run: Run, taken: Taken, before: Mapping[Step, Taken]) -> Facts:
    page = place.config.reports / f"{run.run}.html"
    place.report(_model(before), page)
    return {"page": str(page)}


def _people(place: Place, run: Run, taken: Taken, before: Mapping[Step, Taken]) -> Facts:
    """The model waits among the jobs that are held, where `approve`, `deny` and the console find it."""
    approvals, plan = place.home.approvals, PromotePlan(model=_model(before)).canonical()
    # Of this run and nothing else: what was said of it counts for no job of the same plan.
    digest = hashlib.sha256(f"{run.run}\n{plan}".encode()).hexdigest()
    approvals.hold(run.run, PIPELINE, f"report: {run.run}.html", f"pipeline {run.pipeline}", digest, plan)
    held: HeldJob = approvals.find(run.run)
    if held.digest != digest:
        raise JobStateError(f"another job waits here under the name {run.run}", remedy="Deny it, and go on.")
    ruling = approvals.ruling(held)
    if ruling.verdict is Verdict.WAITS:
        said, needed = len(ruling.approvers), place.home.policy.approvals
        raise Rest(f"waits for people: {said} of {needed} have approved (`bank-party approve {run.run}`)")
    if ruling.verdict is Verdict.DENIED:
        word = ruling.words[-1]
        raise Stop(f"{word.person} has denied it: {word.note}")
    if ruling.verdict is Verdict.EXPIRED:
        raise Stop(f"not approved within {place.home.policy.hold_days:g} days (hold_days)")
    return {"people": list(dict.fromkeys(ruling.approvers))}


def _shadow(place: Place, run: Run, taken: Taken, before: Mapping[Step, Taken]) -> Facts:
    """Both models score the same rows; what they are is compared here alone."""
    model, champion, config = _model(before), place.home.registry.champion, place.config.shadow
    if config is None or champion is None:
        return {"skipped": "no [shadow]" if config is None else "no champion yet"}
    files = []
    for part, scoring in (("challenger", model), ("champion", champion)):
        job = _done(place, run, Step.SHADOW, part, score_plan(config, scoring, f"{run.run} {part}", _bank(run)))
        files.append(place.home.scores_of(job.id))
    try:
        found = shadow.compare_files(champion, *files)
    except DataError as error:
        raise Stop(str(error)) from None
    if found is None or found.rows < config.least_rows:
        rows = 0 if found is None else found.rows
        raise Stop(f"both models have scored {rows} rows of the shadow, fewer than {config.least_rows} (least_rows)")
    if beyond := list(_beyond(found, config)):
        raise Stop(f"{model} is too far from the champion {champion} on {found.rows} rows: {'; '.join(beyond)}")
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(found).items()}


def _beyond(found: shadow.Shadow, config: ShadowStep) -> Iterator[str]:
    """What is beyond its limit."""
    if found.psi > config.most_psi:
        yield f"PSI {found.psi:.3f} (most_psi {config.most_psi:g})"
    if found.rank is None or found.rank < config.least_rank:
        rank = "none" if found.rank is None else f"{found.rank:.3f}"
        yield f"rank correlation {rank} (least_rank {config.least_rank:g})"
    if found.otherwise > config.most_otherwise:
        yield f"{found.otherwise:.1%} decided otherwise (most_otherwise {config.most_otherwise:g})"


def _switch(place: Place, run: Run, taken: Taken, before: Mapping[Step, Taken]) -> Facts:
    model = _model(before)
    if place.home.registry.champion == model and "switch" not in taken.jobs:
        return {"champion": model}  # by this step, ended before it was written down, or by somebody's own promotion
    _done(place, run, Step.SWITCH, "switch", PromotePlan(name=f"{run.run} switch", model=model, with_bank=_bank(run)))
    return {"champion": model}


_ACTS: Mapping[Step, Callable[[Place, Run, Taken, Mapping[Step, Taken]], Facts]] = {
    Step.FEATURES: _features,
    Step.TRAIN: _train,
    Step.CHALLENGE: _challenge,
    Step.REPORT: _report,
    Step.PEOPLE: _people,
    Step.SHADOW: _shadow,
    Step.SWITCH: _switch,
}


def _model(before: Mapping[Step, Taken]) -> str:
    return str(before[Step.TRAIN].facts["model"])


def _bank(run: Run) -> str | None:
    """The bank that the plan names, where it names one."""
    plan = parse_plan(run.plan, run.run)
    return plan.with_bank if isinstance(plan, TrainPlan) else None


def _done(place: Place, run: Run, step: Step, part: str, plan: AnyPlan) -> wire.Job:
    """The job of this part of a step, once it has succeeded. It is submitted once: by its name it is found again where this
    process ended before it had written down what the coordinator calls it, and by its submission where the coordinator had not
    heard of it yet.
    """
    taken = place.book.start(run.run, step)
    if (name := taken.jobs.get(part)) is None:
        ours = [job for job in place.jobs.jobs(last=_LOOK, kind=plan.kind) if job.name == plan.name]
        name = ours[0].id if ours else place.jobs.submit(plan, _submission(run, part, plan)).id
        place.book.name_job(taken, part, name)
    try:
        job = _followed(place, name)
    except JobNotFound:
        raise Stop(f"the coordinator knows job {name} no more") from None
    if State(job.state) is State.HELD:
        raise Rest(f"job {name} waits for people (`held`) at {' and '.join(_holders(job)) or 'a party'}")
    if (error := failure(job)) is not None:
        where = f"{error.origin}: " if error.origin else ""
        raise Stop(f"job {name} has {job.state}: {where}{error}" if job.state == "failed" else f"job {name} was cancelled")
    return job


def _submission(run: Run, part: str, plan: AnyPlan) -> str:
    """The same whenever this part of the run is submitted, and of no other. 64 hexadecimal digits."""
    return hashlib.sha256(f"{run.run}\n{part}\n{plan.canonical()}".encode()).hexdigest()


def _followed(place: Place, name: str) -> wire.Job:
    updates = place.jobs.watch(name)
    last = None
    try:
        for last in updates:
            if State(last.state).rests:
                break
    finally:
        updates.close()
    if last is None:
        raise JobNotFound(f"no job {name}")
    return last


def _holders(job: wire.Job) -> list[str]:
    return [who for who, party in (("the grid", job.grid), ("the bank", job.bank)) if party.held]
