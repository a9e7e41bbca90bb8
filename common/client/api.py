"""The client for programs and notebooks, asynchronous and synchronous: paths as text, plans as dicts, results as values."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from common.client.lasting import follow_to_its_end, submit_once
from common.client.results import Comparison, Job, Jobs
from common.client.spans import Spans
from common.config import validate
from common.errors import JobStateError, PlanError
from common.plan.job_states import State
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan, load_plan, make_plan
from common.plan.score import ScorePlan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.process.settings import ClientSettings, load_settings
from common.wire import coordinator_pb2 as wire
from common.wire.client import Connection
from common.wire.methods import CANCEL, LIST, SHOW
from common.wire.tls import Credentials

Config = str | os.PathLike[str] | Mapping[str, Any] | ClientSettings
PlanLike = str | os.PathLike[str] | Mapping[str, Any] | AnyPlan
T = TypeVar("T")


def settings_of(config: Config) -> ClientSettings:
    """From a path to client.toml, a mapping with its keys (paths in it as they are), or settings. Raises ConfigError."""
    if isinstance(config, ClientSettings):
        return config
    if isinstance(config, Mapping):
        return validate(ClientSettings, dict(config), "configuration")
    return load_settings(ClientSettings, Path(config))


def plan_of(plan: PlanLike) -> AnyPlan:
    """From a path to a TOML file, a mapping with its keys, or a plan. Raises PlanError naming each wrong key."""
    if isinstance(plan, TrainPlan | SeveralPlan | ScorePlan | PredealPlan | PromotePlan):
        return plan
    return make_plan(dict(plan), "plan") if isinstance(plan, Mapping) else load_plan(Path(plan))


class AsyncClient:
    """A client of one coordinator, to be used in one event loop as an asynchronous context manager.

        async with AsyncClient("client.toml") as client:
            job = await client.train("plan.toml")
            print(job.evaluation.joint.auc)

    Calls raise the error the coordinator reported (PlanError, JobNotFound, ...), IdentityError or PeerLost; `wait` and what
    waits raise the job's own failure.
    """

    def __init__(self, config: Config = "client.toml") -> None:
        settings = settings_of(config)
        self._coordinator, self._credentials, self._settings = settings.coordinator, Credentials.load(settings.tls), settings
        self._spans: Spans | None = None
        self._open: Connection | None = None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection; another call opens it again."""
        if self._open is not None:
            await self._open.close()
            self._open = None
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)
            self._spans = None

    async def submit(self, plan: PlanLike, submission: str = "") -> Job:
        """Queues a plan, once though an answer may be lost; the job as it stands.

        submission: an id of your own, of at most 64 letters, digits and -._, by which a later call of the same client with the
        same plan gets this job and queues no other.
        """
        return Job.of(await submit_once(self._connection, plan_of(plan).canonical(), submission))

    async def watch(self, job: str | Job) -> AsyncIterator[Job]:
        """The job now, and again whenever it changes, until it is over."""
        updates = follow_to_its_end(self._connection, _id(job))
        async with aclosing(updates):
            async for update in updates:
                yield Job.of(update)

    async def wait(self, job: str | Job, timeout: float | None = None) -> Job:
        """The job once it has succeeded. Raises its failure, TimeoutError after so many seconds; the job then goes on."""
        async with asyncio.timeout(timeout):
            last = await self.show(job)
            async for update in self.watch(job):
                last = update
        if last.error is not None:
            raise last.error
        return last

    async def show(self, job: str | Job) -> Job:
        """One job, whole."""
        return Job.of(await self._call(SHOW, wire.JobRequest(job=_id(job))))

    async def jobs(self, *, last: int = 50, state: State | str | None = None, kind: str = "") -> Jobs:
        """The newest `last` jobs in short: without plan and warnings. state, kind: only such."""
        named = State(state).value if state else ""
        reply = await self._call(LIST, wire.ListRequest(last=last, state=named, kind=kind))
        return Jobs(tuple(map(Job.of, reply.jobs)))

    async def cancel(self, job: str | Job) -> Job:
        """Ends a job that is queued or running; raises JobStateError for one that is over."""
        return Job.of(await self._call(CANCEL, wire.JobRequest(job=_id(job))))

    async def train(self, plan: PlanLike, timeout: float | None = None) -> Job:
        """Submits a training plan and waits; raises as `wait`, and PlanError for a plan of another kind."""
        made = plan_of(plan)
        if not isinstance(made, TrainPlan | SeveralPlan):
            raise PlanError(f"a plan of kind {made.kind!r} trains nothing", remedy="Give a training plan, or use submit.")
        return await self.wait(await self.submit(made), timeout)

    async def score(
        self, model: str | Job, grid: str, bank: str, *, by_period: bool = False, timeout: float | None = None, **more: Any
    ) -> Job:
        """Scores rows of these two datasets by a training job's model, or the champion; waits. The scores are at the bank.

        more: other keys of a scoring plan, such as name or grid_reasons.
        """
        keys = ("id", "period") if by_period else ("id",)
        raw = {"model": _id(model), "grid": {"dataset": grid}, "bank": {"dataset": bank}, "keys": keys, **more}
        return await self.wait(await self.submit(validate(ScorePlan, raw, "arguments", PlanError)), timeout)

    async def promote(
        self, model: str | Job, *, force: bool = False, anew: bool = False, with_bank: str | None = None, note: str = ""
    ) -> Job:
        """Makes a model the champion at both parties; see `wattscore promote`. Waits. note: why, for those who look later."""
        raw = {"model": _id(model), "force": force, "anew": anew, "with_bank": with_bank, "name": note}
        return await self.wait(await self.submit(validate(PromotePlan, raw, "arguments", PlanError)))

    async def rollback(self, *, with_bank: str | None = None, note: str = "") -> Job:
        """Makes the champion before the present one the champion again. Waits."""
        raw = {"action": "rollback", "with_bank": with_bank, "name": note}
        return await self.wait(await self.submit(validate(PromotePlan, raw, "arguments", PlanError)))

    async def compare(self, *jobs: str | Job) -> Comparison:
        """Trainings side by side. Raises JobStateError for a job without an evaluation."""
        found = [await self.show(job) for job in jobs]
        for job in found:
            if job.evaluation is None:
                raise JobStateError(f"job {job.id} is {job.state.value} and has no evaluation", remedy="Compare trainings.")
        return Comparison(Jobs(tuple(found)))

    @property
    def _connection(self) -> Connection:
        if self._open is None:
            self._spans = Spans(self._settings)
            self._open = Connection(self._coordinator.address, self._coordinator.who, self._credentials)
        return self._open

    async def _call(self, method: Any, request: Any) -> Any:
        return await self._connection.call(method, request)


class Client:
    """The same without `await`: in scripts, and in notebooks, where an event loop runs already.

        with Client("client.toml") as client:
            job = client.train({"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}})
            client.jobs().to_pandas()

    Its calls are those of `AsyncClient`, in a thread of its own.
    """

    def __init__(self, config: Config = "client.toml") -> None:
        self._client = AsyncClient(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wattscore-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection and the thread; the client is of no use afterwards."""
        if self._loop.is_closed():
            return
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def submit(self, plan: PlanLike, submission: str = "") -> Job:
        """See `AsyncClient.submit`."""
        return self._run(self._client.submit(plan, submission))

    def watch(self, job: str | Job) -> Iterator[Job]:
        """See `AsyncClient.watch`."""
        updates: Any = self._client.watch(job)
        try:
            update: Job | None
            while (update := self._run(anext(updates, None))) is not None:
                yield update
        finally:
            self._run(updates.aclose())

    def wait(self, job: str | Job, timeout: float | None = None) -> Job:
        """See `AsyncClient.wait`."""
        return self._run(self._client.wait(job, timeout))

    def show(self, job: str | Job) -> Job:
        """See `AsyncClient.show`."""
        return self._run(self._client.show(job))

    def jobs(self, *, last: int = 50, state: State | str | None = None, kind: str = "") -> Jobs:
        """See `AsyncClient.jobs`."""
        return self._run(self._client.jobs(last=last, state=state, kind=kind))

    def cancel(self, job: str | Job) -> Job:
        """See `AsyncClient.cancel`."""
        return self._run(self._client.cancel(job))

    def train(self, plan: PlanLike, timeout: float | None = None) -> Job:
        """See `AsyncClient.train`."""
        return self._run(self._client.train(plan, timeout))

    def score(
        self, model: str | Job, grid: str, bank: str, *, by_period: bool = False, timeout: float | None = None, **more: Any
    ) -> Job:
        """See `AsyncClient.score`."""
        return self._run(self._client.score(model, grid, bank, by_period=by_period, timeout=timeout, **more))

    def promote(
        self, model: str | Job, *, force: bool = False, anew: bool = False, with_bank: str | None = None, note: str = ""
    ) -> Job:
        """See `AsyncClient.promote`."""
        return self._run(self._client.promote(model, force=force, anew=anew, with_bank=with_bank, note=note))

    def rollback(self, *, with_bank: str | None = None, note: str = "") -> Job:
        """See `AsyncClient.rollback`."""
        return self._run(self._client.rollback(with_bank=with_bank, note=note))

    def compare(self, *jobs: str | Job) -> Comparison:
        """See `AsyncClient.compare`."""
        return self._run(self._client.compare(*jobs))

    def _run(self, call: Coroutine[Any, Any, T] | Any) -> T:
        """The result of a call in the client's own thread; Ctrl-C here ends the call there, and no job."""
        asked = asyncio.run_coroutine_threadsafe(_as_coroutine(call), self._loop)
        try:
            found: T = asked.result()
        except BaseException:
            asked.cancel()
            raise
        return found


async def _as_coroutine(call: Any) -> Any:
    return await call


def _id(job: str | Job) -> str:
    return job.id if isinstance(job, Job) else job
