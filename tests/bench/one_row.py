"""One row at a time from a stock, with no coordinator: two processes that hold both halves, over loopback, mTLS and all.

Each request charges the grid's ledger and goes through the product's own meeting, channel, stock and scorer. What the product
lacks is the way by which a client asks for it: rows are those of a table that both have in the same order.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

import bank_party.commands
import grid_party.commands
from common.daemon.account import Account
from common.disclosure import Opened
from common.learn.linear.deal import ScoreDemand
from common.learn.linear.score import Scorer
from common.mpc.fixedpoint import decode
from common.mpc.session import Kind, Session
from common.party import Party
from common.plan.predeal import PredealPlan
from common.plan.request import Side
from common.plan.train import Split, TrainPlan
from common.rows.dataset import read_table
from common.stages.ahead import scores_ahead
from common.wire.peer import Counter
from common.wire.server import serve
from common.wire.tls import Credentials
from tests.bench import jobs
from tests.bench.tables import write_tables

_SEATS = {"grid": grid_party.commands.SEAT, "bank": bank_party.commands.SEAT}
_WARM = 20  # requests that are not counted
_BITS = 5


def bench_one_row(requests: int, grid: int, bank: int) -> dict[str, Any]:
    """Milliseconds from asking to knowing the score, at the bank; the coordinator has ended before."""
    rows = requests + _WARM
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name:
        folder = Path(name)
        part = jobs.declare(write_tables(folder / "part", 5000, grid, bank, months=1), period=False)
        asked = jobs.declare(write_tables(folder / "asked", rows, grid, bank, months=1, seed=2), period=False)
        daemons, lines = jobs.start(folder, {side: {"part": part[side], "asked": asked[side]} for side in part})
        with lines, daemons as trial, trial.client() as client:
            side = Side(dataset="part")
            trained, _ = jobs.run(
                client, TrainPlan(grid=side, bank=side, split=Split(), limits=jobs.SMALL, preparation=jobs.AS_THEY_ARE)
            )
            columns = (report.counts.trained_columns for report in (trained.grid.report, trained.bank.report))
            sizes = dict(zip(("grid_columns", "bank_columns"), columns, strict=True))
            jobs.run(client, PredealPlan(serves="scores", rows=rows, **sizes))
            jobs.forget_scores(trial)
        command = [sys.executable, "-m", "tests.bench.one_row"]
        pair = [
            subprocess.Popen([*command, party, str(trial.folder / f"{party}.toml"), trained.id], stdout=subprocess.PIPE)
            for party in ("grid", "bank")
        ]
        said = [process.communicate(timeout=600)[0] for process in pair]
    if any(process.returncode for process in pair):
        raise SystemExit("a party ended with an error")
    ledger, found = (json.loads(text) for text in said)
    return {"requests": requests, "grid": grid, "bank": bank, **found, "ledger_milliseconds": ledger["milliseconds"]}


@click.command()
@click.argument("party")
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("model")
def main(party: str, config: Path, model: str) -> None:
    """One party's process."""
    asyncio.run(_run(_SEATS[party], config, model))


async def _run(seat: Any, config: Path, name: str) -> None:
    settings = seat.load(config)
    home, credentials = seat.home(settings), Credentials.load(settings.tls)
    way = seat.approach(settings, credentials)
    way.meeting.expect("one-row")
    server = None
    if way.services:
        orgs = {settings.peer.who.org, credentials.identity.org}
        server = await serve(settings.listen, credentials, orgs, list(way.services), origin=seat.party.value)
    counter = Counter()
    channel = await _met(way.meeting, counter, Account(home.audit, "one-row", "the other party", seat.name))
    session = Session(seat.party, channel, allowed=frozenset({Opened.COUNTS, Opened.SCORES}))
    model = home.models.load(name)
    dataset = settings.datasets["asked"].model_copy(update={"columns": model.source})
    table = read_table(dataset, name="asked", party=seat.party).table
    table = table.take(np.argsort(np.array(list(table.ids))))  # the same order at both
    budget, took = seat.role(home).budget(model, "bench"), list[float]()
    async with scores_ahead(session, home.stocks, model, table.rows, _BITS) as (correlations, dealt):
        sizes = (len(model.own), len(model.other))
        columns = sizes if seat.party is Party.GRID else sizes[::-1]
        scorer = Scorer(session, correlations, model, ScoreDemand(0, dealt, *columns, _BITS))
        await scorer.start()
        before = counter.sent + counter.received
        for k in range(table.rows):
            row, begun = table.part(k, k + 1), time.perf_counter()
            if seat.party is Party.BANK:
                await session.send(Kind.SHAPE, np.array([k], np.uint64))
                share, _ = await scorer.score(row)
                u = decode(share + await session.receive(Kind.SCORES, np.uint64, (1,)), _BITS)
                took.append(1e3 * (time.perf_counter() - begun))
                if not abs(float(u[0])) < 100:
                    raise SystemExit(f"a score of {u[0]}")
            else:
                await session.receive(Kind.SHAPE, np.uint64, (1,))
                waited = time.perf_counter()
                await session.compute(lambda: budget.charge(row, name), 0)  # noqa: B023
                took.append(1e3 * (time.perf_counter() - waited))
                share, _ = await scorer.score(row)
                await session.send(Kind.SCORES, share)
        each = (counter.sent + counter.received - before) / table.rows
    quantiles = np.percentile(took[_WARM:], [50, 90, 99, 100]).round(2).tolist()
    figures = dict(zip(("median", "p90", "p99", "largest"), quantiles, strict=True))
    sys.stdout.write(json.dumps({"milliseconds": figures, "bytes": round(each)}))
    if server is not None:
        await asyncio.sleep(0.5)  # the last message is on its way
        await server.stop()


async def _met(meeting: Any, counter: Counter, account: Account) -> Any:
    for _ in range(100):
        try:
            return await meeting.meet("one-row", b"one-row", counter, account)
        except Exception:
            await asyncio.sleep(0.1)
    raise SystemExit("the other party did not come")


if __name__ == "__main__":
    main()
