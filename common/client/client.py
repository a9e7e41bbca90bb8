"""The Python client: submit plans, watch, list, show and cancel jobs. The command line is made of these calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

from common.client.lasting import follow_to_its_end, submit_once
from common.client.spans import Spans
from common.errors import ConfigError, WattScoreError
from common.plan.job_states import State
from common.plan.read import AnyPlan
from common.process.settings import ClientSettings, load_settings
from common.wire import coordinator_pb2 as wire
from common.wire import plain
from common.wire.client import Connection
from common.wire.methods import CANCEL, LIST, SHOW
from common.wire.status import from_fault
from common.wire.tls import Credentials


class Client:
    """A synchronous client of one coordinator; use it as a context manager.

        with Client.from_config(Path("client.toml")) as client:
            job = client.submit(load_plan(Path("plan.toml")))
            for job in client.watch(job.id): print(job.state)

    Calls raise the error the coordinator reported (PlanError, JobNotFound, ...), IdentityError or PeerLost.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._runner, self._closed, self._followed = asyncio.Runner(), False, set[AsyncGenerator[wire.Job]]()
        self._spans = Spans(settings)
        try:
            self._connection = self._runner.run(_connect(settings))
        except BaseException:
            self._runner.close()
            self._spans.close()
            raise

    @classmethod
    def from_config(cls, path: Path) -> Client:
        """Raises ConfigError; for a file that is not there, with how to name another."""
        try:
            return cls(load_settings(ClientSettings, path))
        except ConfigError as error:
            if not path.exists():
                error.remedy = "Name the client's configuration by --config or WATTSCORE_CONFIG."
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """What is followed still ends here."""
        self._closed = True
        for updates in tuple(self._followed):
            self._runner.run(_close(updates))
        self._runner.run(self._connection.close())
        self._runner.close()
        self._spans.close()

    def submit(self, plan: AnyPlan, submission: str = "") -> wire.Job:
        """Queues a plan, once though an answer may be lost; the job as it stands. submission: see `submit_once`."""
        return self._runner.run(submit_once(self._connection, plan.canonical(), submission))

    def watch(self, job: str) -> Generator[wire.Job]:
        """The job now, and again whenever it changes, until it is over, though the coordinator is away for a while."""
        updates = follow_to_its_end(self._connection, job)
        self._followed.add(updates)
        try:
            while (update := self._runner.run(_next(updates))) is not None:
                yield update
        except BaseException:
            if not self._closed:  # else what it followed has ended with the client
                with suppress(KeyboardInterrupt):  # a second Ctrl-C, while the first one ends this
                    self._runner.run(_close(updates))
            raise
        finally:
            self._followed.discard(updates)
        self._runner.run(_close(updates))

    def show(self, job: str) -> wire.Job:
        found: wire.Job = self._call(SHOW, wire.JobRequest(job=job))
        return found

    def jobs(
        self, *, last: int = 0, state: State | None = None, kind: str = "", since: float = 0.0, before: str = ""
    ) -> list[wire.Job]:
        """Jobs of this coordinator, oldest first, in short: without plan, progress and reports.

        last: the newest ones, at most so many; all for 0. since: seconds since 1970, of their submission.
        before: a job's id, only those submitted before it. Raises JobNotFound for one that is none.
        """
        pages: list[list[wire.Job]] = []
        found, more = 0, True
        while more and (not last or found < last):
            left, named = last - found if last else 0, state.value if state else ""
            reply = self._call(LIST, wire.ListRequest(last=left, state=named, since=since, before=before, kind=kind))
            pages.append(list(reply.jobs))
            found, more = found + len(reply.jobs), reply.more
            before = reply.jobs[0].id if reply.jobs else before
        return [job for page in reversed(pages) for job in page]

    def cancel(self, job: str) -> wire.Job:
        """Ends a job that is queued or running; raises JobStateError for one that is over."""
        ended: wire.Job = self._call(CANCEL, wire.JobRequest(job=job))
        return ended

    def _call(self, method: Any, request: Any) -> Any:
        return self._runner.run(self._connection.call(method, request))


async def _connect(settings: ClientSettings) -> Connection:
    return Connection(settings.coordinator.address, settings.coordinator.who, Credentials.load(settings.tls))


async def _close(updates: Any) -> None:
    await updates.aclose()


async def _next(updates: Any) -> wire.Job | None:
    found: wire.Job | None = await anext(updates, None)
    return found


def failure(job: wire.Job) -> WattScoreError | None:
    """Why a job did not succeed, with the process it happened at; None if it did or is not over."""
    state = State(job.state)
    if not state.final or state is State.SUCCEEDED:
        return None
    return from_fault(job.fault)


def as_dict(job: wire.Job) -> dict[str, Any]:
    """A job as JSON-safe data, every field present."""
    return plain.as_dict(job)
