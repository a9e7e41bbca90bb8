"""Jobs in short, for a list of many."""

from __future__ import annotations

from collections.abc import Callable

from common.coordinator.board import Board
from common.plan.job_states import State
from common.wire import coordinator_pb2 as wire

_PAGE, _PAGE_BYTES = 2000, 1 << 20  # of a list of jobs: a message of gRPC holds 4 MiB


def page(board: Board, request: wire.ListRequest, seen: Callable[[wire.Job], bool]) -> wire.ListReply:
    """The newest jobs that fit, each in short: all plans and reports would soon be more than a message may hold.

    seen: whether who asks may see a job.
    """
    found: list[wire.Job] = []
    size, most = 0, request.last or _PAGE
    for record in board.before(request.before):
        job = record.message
        if job.submitted < request.since or request.state not in ("", job.state) or request.kind not in ("", job.kind):
            continue
        if not seen(job):
            continue
        short = _summary(job)
        size += short.ByteSize()
        if len(found) == min(most, _PAGE) or (found and size > _PAGE_BYTES):
            return wire.ListReply(jobs=reversed(found), more=True)
        found.append(short)
    return wire.ListReply(jobs=reversed(found))


def _summary(job: wire.Job) -> wire.Job:
    short = wire.Job(
        id=job.id, name=job.name, kind=job.kind, state=job.state, submitter=job.submitter,
        submitted=job.submitted, started=job.started, ended=job.ended,
    )  # fmt: skip
    if job.state == State.WAITING.value:
        short.disturbed.CopyFrom(job.disturbed)
    if job.state == State.HELD.value:
        short.grid.held, short.bank.held = job.grid.held, job.bank.held
        short.banks.extend(wire.PartyProgress(who=bank.who, held=bank.held) for bank in job.banks)
    if job.HasField("fault"):
        short.fault.CopyFrom(job.fault)
    if job.bank.report.HasField("evaluation"):
        short.bank.report.evaluation.CopyFrom(job.bank.report.evaluation)
    if job.bank.report.HasField("counts"):
        short.bank.report.counts.CopyFrom(job.bank.report.counts)
    return short
