"""What a party opens to an auditor of the dealer: of a job, and of the stocks that it took. PROTOCOL.md section 17.

Whoever has a seed takes the masks off whatever they hide, so nothing is opened of which a mask may still serve.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import JobNotFound, JobStateError, PolicyError
from common.home.audit import What
from common.home.dealt import Opening
from common.home.home import Home
from common.plan.predeal import PredealPlan
from common.plan.read import parse_plan


@dataclass(frozen=True)
class Found:
    """Openings for an auditor; the names of the stocks among them, and what is not among them, a line each."""

    openings: Sequence[Opening]
    stocks: Sequence[str]
    left_out: Sequence[str]


def find_openings(home: Home, job: str, attempt: int | None = None, *, discard: bool = False, killed: bool = False) -> Found:
    """Those of this attempt, by default of the last one that was dealt anything, and of the stocks that the job took.

    discard: give up a stock that nobody has used. killed: a person's word that no process runs the job any more.
    Raises JobNotFound, JobStateError where a job is not over, and PolicyError for a stock that may still be used.
    """
    _check_over(home, job, killed=killed)
    entered = [json.loads(entry.detail) for entry in home.audit.entries(job) if entry.what == What.TAKE and not attempt]
    takes = {told["stock"]: told for told in entered}.values()  # one that it gave back and took again is in it twice
    try:
        own = home.dealt.read(job, attempt)
    except JobNotFound:  # a job that nobody deals for while it runs
        if not takes:
            raise
        own = ()
    if own and isinstance(parse_plan(own[0].plan, f"job {job}"), PredealPlan):
        return Found([_of_stock(home, one, discard=discard, killed=killed) for one in own], [job], ())
    taken, left_out = list[Opening](), list[str]()
    for told in takes:
        try:
            _check_used(home, job, told["stock"])
            for opening in _dealt_to(home, told):
                home.stocks.bar(opening.job, opening.seed)
                taken.append(opening.model_copy(update={"taken": job}))
        except JobNotFound as error:
            left_out.append(error.message)
    if not own and not taken:
        raise JobNotFound(f"job {job!r} was dealt nothing that can be opened: {left_out[0]}")
    return Found([*own, *taken], [one.job for one in taken], left_out)


def _check_used(home: Home, job: str, stock: str) -> None:
    """Raises JobNotFound for a stock that this job entered and gave back, as where its disk refused: it may serve another."""
    held = any(held.label.name == stock for held in home.stocks.held())  # first: who has used it up has entered that before
    if (last := _taker(home, stock)) != job:
        raise JobNotFound(f"stock {stock} was given back, and taken by job {last}")
    if held:
        raise JobNotFound(f"stock {stock} was given back, and is not used up")


def _dealt_to(home: Home, told: dict[str, Any]) -> Sequence[Opening]:
    """What a stock was dealt. told: the entry `take` of the job that took it. Raises JobNotFound where nothing is kept."""
    stock = told["stock"]
    if told.get("made"):
        raise JobNotFound(f"stock {stock} was made by both parties: nobody dealt it")
    if "dealt" not in told:
        raise JobNotFound(f"what stock {stock} was dealt was not kept when it was taken")
    return home.dealt.read(stock, told["attempt"])


def _of_stock(home: Home, opening: Opening, *, discard: bool, killed: bool) -> Opening:
    """Of a stock that was used up, or is given up. Raises PolicyError for one that may still be used."""
    if home.stocks.holds(opening.job) and not discard:
        raise PolicyError(
            f"stock {opening.job} is not used up: a mask that was opened may serve nobody",
            remedy="Open the job that takes it, once it is over; or give the stock up with --discard.",
        )
    home.stocks.bar(opening.job, opening.seed)  # first: who has taken it by now has entered that before
    taken = _taker(home, opening.job)
    if taken:
        _check_over(home, taken, killed=killed)
    return opening.model_copy(update={"taken": taken})


def _taker(home: Home, stock: str) -> str:
    """The job that took a stock, the last that entered so; none where nobody did."""
    takes = home.audit.newest(-1, what=What.TAKE)
    return next((entry.job for entry in takes if json.loads(entry.detail)["stock"] == stock), "")


def _check_over(home: Home, job: str, *, killed: bool) -> None:
    """Raises JobStateError unless the last attempt at a job has ended here."""
    kinds = (What.ACCEPT, What.END)
    states = [e.what for e in home.audit.entries(job) if e.what in kinds and not json.loads(e.detail).get("late")]
    runs = bool(states) and states[-1] == What.ACCEPT
    if not runs or killed or any(one.state in ("done", "failed") for one in home.jobs.jobs(1, job)):
        return
    raise JobStateError(
        f"job {job} has not ended here: its masks may still serve",
        job=job,
        remedy="Open it once it is over. If the process that ran it was killed and nothing runs it any more, give --killed.",
    )
