"""What it costs a training that it can be resumed, checked and audited: the same one with all of this and with nothing of it.

With: points on disk, the combinations at the end, tags of the last shares, a hash of each dealt array kept for an auditor, the
entries of the audit log. All roles are in this process and memory is their line, so that the share is that of the protocol's
own work: daemons spend more beside it.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from common.home.audit import AuditLog, What
from common.home.dealt import DealtBook, Heard, Opening
from common.home.unfinished import Unfinished
from common.learn.dealings import MESSAGES
from common.learn.diary import Forgetful
from common.learn.linear import train as training
from common.learn.linear.deal import Work
from common.learn.linear.steps import make_work
from common.mpc.correlations.asked import Correlations
from common.mpc.correlations.dealt import DealtCorrelations, DealtSeed
from common.mpc.fixedpoint import X_SCALE, Reals, encode
from common.mpc.prg import MARK_BYTES, SEED_BYTES
from common.mpc.seeds import FINGERPRINT_BYTES, NONCE_BYTES
from common.mpc.session import Round, Session
from common.mpc.tags import Tagged
from common.party import Party
from common.plan.linear import Model
from common.stages.course import Course
from tests.common.mpc.problems import RIDGE_SCALE, Problem, make_problem
from tests.peers import Trio, coordinate

MODEL, STEP = Model(), 4.0
NO_TAGS = Tagged((), (), (), bytes(2 * MARK_BYTES))


def bench_safeguards(rows: int, grid: int, bank: int, repeat: int = 5) -> dict[str, Any]:
    """Processor seconds of each, in turns, and the ratio of the least; also what of the ratio differs from turn to turn."""
    problem = make_problem(rows, grid, bank)
    found: dict[bool, list[float]] = {True: [], False: []}
    _seconds(problem, guarded=True)  # what is loaded once
    for turn in range(repeat):
        for guarded in (True, False) if turn % 2 else (False, True):
            found[guarded].append(_seconds(problem, guarded))
    ratios = [with_all / bare for with_all, bare in zip(found[True], found[False], strict=True)]
    return {
        "rows": rows, "grid_columns": grid, "bank_columns": bank, "repeat": repeat,
        "with": min(found[True]), "without": min(found[False]), "ratio": min(found[True]) / min(found[False]),
        "median_ratio": statistics.median(ratios), "ratios": [min(ratios), max(ratios)],
    }  # fmt: skip


def line(found: dict[str, Any]) -> str:
    size = f"{found['rows']:,} rows by {found['grid_columns']} + {found['bank_columns']} columns"
    seconds = f"{found['with']:.2f} s of processor with all of it, {found['without']:.2f} s without"
    low, high = found["ratios"]
    return (
        f"{size}: {seconds}, ratio {found['ratio']:.3f} (of turns {low:.3f} to {high:.3f}, median {found['median_ratio']:.3f})"
    )


def _seconds(problem: Problem, guarded: bool) -> float:
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as folder, nullcontext() if guarded else _bare():
        begin = time.process_time()
        asyncio.run(_train(problem, Path(folder) if guarded else None))
        return time.process_time() - begin


def _bare() -> AbstractContextManager[Any]:
    async def arrived(*_: Any) -> bool:
        return True

    async def untagged(*_: Any) -> Tagged:
        return NO_TAGS

    patches = ExitStack()
    patches.enter_context(patch.object(training, "check_arrived", arrived))
    patches.enter_context(patch.object(training, "tagged_last", untagged))
    return patches


def sent_in(problem: Problem, folder: Path | None) -> list[Round]:
    """The labels of all arrays of one training; folder: None for a bare one."""
    with nullcontext() if folder is not None else _bare():
        trio = asyncio.run(_train(problem, folder))
    return [label for line in (trio.peer, trio.to_party) for party in Party for label, _ in line[party].log]


async def _train(problem: Problem, folder: Path | None) -> Trio:
    """One training of a closed model; folder: where each party keeps what serves to resume and to audit it, if it does."""

    def work(demand: Any) -> Work:
        return replace(make_work(MODEL, demand), closed=folder is not None)

    async def bare(session: Session, correlations: Correlations) -> None:
        await training.train(session, correlations, _inputs(problem, session.party), diary=Forgetful())

    await coordinate(trio := Trio(), bare if folder is None else _Guarded(problem, folder), work)
    return trio


class _Guarded:
    """A party's side of a training that can be resumed and audited."""

    def __init__(self, problem: Problem, folder: Path) -> None:
        self._problem, self._folder = problem, folder

    async def __call__(self, session: Session, correlations: DealtCorrelations) -> None:
        party, home = session.party, self._folder / session.party.value
        audit, unfinished = AuditLog(home / "audit.sqlite"), Unfinished(home / "unfinished")
        unfinished.begin("job", "{}", "client")
        audit.add(What.OFFER, "job")
        told = DealtSeed(bytes(SEED_BYTES), (bytes(FINGERPRINT_BYTES), bytes(FINGERPRINT_BYTES)))  # of the same sizes
        opening = Opening.of("job", 0, party, "{}", told, bytes(NONCE_BYTES))
        heard = correlations._dealer = Heard(opening, correlations._dealer, MESSAGES)
        book = DealtBook(home / "dealt")
        book.keep(heard.opening)
        await training.train(
            session, correlations, _inputs(self._problem, party), diary=Course(session, unfinished.points("job"))
        )
        book.keep(heard.opening)
        audit.add(What.END, "job", dealt=heard.opening.digest, opened=[])


def _inputs(problem: Problem, party: Party) -> training.TrainingInputs:
    own = np.asfortranarray(encode(problem.x[party], X_SCALE).view(np.int64).astype(np.int32))
    pull = np.asfortranarray(encode(STEP * problem.ridge[party], RIDGE_SCALE))
    label: Reals | None = problem.y if party is Party.BANK else None
    start, other = np.zeros(own.shape[1]), problem.columns[party.other]
    return training.TrainingInputs(MODEL, own, pull, other, start, label, gain=float(party is Party.BANK))
