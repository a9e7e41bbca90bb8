from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from common.disk.data_folder import Name
from common.home.rowbook import RowBook
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.trial.processes import BANK, free_ports
from common.wire import scoring_pb2 as wire
from tests.bank_party.online.by_grpc import GrpcCaller
from tests.common.web.pki import Caller, Pki
from tests.patience import patience
from tests.scenarios.end_to_end.lab import (
    ATTEND,
    BANK_POLICY,
    GRID_POLICY,
    Lab,
    dataset_files,
    eventually,
    make_plan,
    make_tables,
    own,
    succeed,
)

ROWS = 400


class Office(Lab):
    """A lab whose bank serves scores on request; `model` is the champion."""

    model: str
    pki: Pki
    port: int
    calls: int  # the port of gRPC
    ids: list[str]  # of the rows that a test asks for

    def caller(self, who: str | None = "loan-desk") -> Caller:
        return Caller(self.port, self.pki.context(who))

    def by_grpc(self, key: str, *ids: str) -> wire.ScoreReply:
        """The answer about these enterprises, to a program that was made from scoring.proto."""
        with closing(GrpcCaller(self.calls, self.pki)) as caller:
            return caller.score(key, *ids)

    def serving(self, rows: int = 1) -> bool:
        """Whether a session serves, and stocks at least so many rows."""
        try:
            with closing(self.caller()) as caller:
                status, health = caller.ask("GET", "/v1/health")
        except OSError:
            return False
        return status == 200 and ((left := health["stock_left"]) is None or bool(left >= rows))

    def deal(self, rows: int, times: int = 1) -> None:
        """A session takes a stock whole, so what is to outlast restarts is dealt in several."""
        with self.client() as client:
            plan = {"serves": "scores", "rows": rows, "grid_columns": 12, "bank_columns": 4}
            for _ in range(times):
                succeed(client, PredealPlan.model_validate(plan))


def charged(office: Office, side: str) -> int:
    """Rows that a company counted as scored today for the bank's own jobs, each time it did."""
    with closing(sqlite3.connect(office.data(side) / Name.RATES, timeout=patience(10))) as book:
        found = book.execute("select coalesce(sum(rows), 0) from scored where client = ?", (str(BANK),)).fetchone()
        return int(found[0])


def in_ledger(office: Office) -> int:
    """Rows that the grid's ledger has, of all models together, and how many models these are."""
    with closing(RowBook(office.data("grid") / Name.LEDGER, "", "")) as book:
        return book.position


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    yield from opened(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="session")
def aside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One of tests that leave other tables, models and stocks than they have found."""
    yield from opened(tmp_path_factory.mktemp("aside"))


def opened(folder: Path, *, texts: Mapping[str, str] | None = None, **policy: Any) -> Iterator[Office]:
    """An office of its own, until its daemons are ended. policy: of both sides, besides.

    texts: of the grid's columns, of which its answers tell one.
    """
    pki = Pki(folder / "office-pki")
    for name in ("online", "loan-desk", "stranger"):
        pki.issue(name)
    held = ExitStack()
    port, calls = free_ports(2, held)
    online: dict[str, Any] = {
        "listen": f"127.0.0.1:{port}",
        "grpc": f"127.0.0.1:{calls}",
        "certificate": str(pki.folder / "online.pem"),
        "key": str(pki.folder / "online.key"),
        "trust": str(pki.folder / "ca.pem"),
        "clients": ["loan-desk"],
        "grid_dataset": "new",
        "bank_dataset": "new",
        "warn_rows": 50,
        "warn_hours": 0.0,
        "refill": {"client": str(folder / "client.toml"), "rows": 600, "stocks": 8, "between": "00:00-00:01"},
    }
    settings = {
        "coordinator": {"attend_timeout": ATTEND, "resume_days": 0},
        "grid": {"policy": {**GRID_POLICY, **policy}},
        "bank": {"policy": {**BANK_POLICY, "label_bits": 100.0, **policy}, "online": online},
    }
    datasets = dataset_files(folder, ("main", "new"))
    if texts is not None:
        datasets["grid"]["new"]["columns"] = {name: {"kind": "numeric", "reason": text} for name, text in texts.items()}
        online["grid_reasons"], online["refill"]["reasons"] = 1, len(texts) + 1
    with held, Office(folder, datasets, settings) as lab:
        lab.pki, lab.port, lab.calls = pki, port, calls
        lab.write("main", *make_tables("M"))
        with lab.client() as client:
            lab.model = succeed(client, make_plan("main")).id
            succeed(client, PromotePlan(model=lab.model))
        grid, bank = make_tables("W", ROWS, seed=5)
        lab.write("new", grid, bank.drop(columns="y"))
        assert "4,800 rows wait in 8, of 8 wanted" in own(lab, "bank", "refill", "--now")
        yield lab


@pytest.fixture
def office(shared: Office) -> Iterator[Office]:
    """All of it running, and a session that serves."""
    shared.heal()
    eventually(lambda: shared.serving(), 20.0)
    yield shared
    shared.heal()


@pytest.fixture
def caller(office: Office) -> Iterator[Caller]:
    with closing(office.caller()) as caller:
        yield caller
