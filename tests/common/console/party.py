"""A grid with books as after some jobs, and its console, without a network."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from common.config import to_toml
from common.console.run import make_console
from common.daemon.seat import Station
from common.disk.data_folder import Name
from common.home.approvals import Word
from common.home.audit import What
from common.home.home import Home
from common.home.jobbook import Offered
from common.monitor.book import Reading
from common.monitor.history import History, make_history
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.read import parse_plan
from common.rows.table import FeatureTable, Ids
from common.web.login import Tickets
from common.wire import party_pb2 as wire
from common.wire.peer import Counter
from grid_party.home import GridHome
from tests.common.daemon.test_runner import BANK, CLIENT, Desk, plan
from tests.common.web.pki import Pki
from tests.common.web.visit import Visit

HOST = "localhost:0"


class Books:
    """`console` serves what stands in `home`."""

    def __init__(self, folder: Path, *, approvals: int = 1, **console: Any) -> None:
        pki = Pki(folder / "pki")
        pki.issue("console")
        files = {"certificate": pki.folder / "console.pem", "key": pki.folder / "console.key"}
        self.desk = Desk(folder, console={"listen": "127.0.0.1:0", **files, **console}, hold=["train"], approvals=approvals)
        self.home: Home = self.desk.home
        self.path = self.desk.settings.data / Name.LOGINS
        self.file, settings = folder / "grid.toml", self.desk.settings
        station = Station(settings, self.home, self.desk.runner, cast(Any, None), CollectorRegistry(), self.file)
        made = make_console(Party.GRID, self._history, station)
        assert made is not None
        self.console, self.folder = made, folder

    def _history(self, settings: Any) -> History:
        return make_history(self.home.history.readings(), settings.monitor)

    def visit(self, person: str = "li") -> Visit:
        """A browser that is logged in."""
        visit = Visit(self.console.app, HOST)
        assert visit.get(f"/login?ticket={Tickets(self.path).issue(person)}").status == 303
        return visit

    @contextmanager
    def running(self, job: str, stage: str, done: int, total: int) -> Iterator[None]:
        """The job is as far as that."""
        latest = wire.Progress(stage=stage, done=done, total=total, rows=900)
        peer, session = Counter(2048, 1024), SimpleNamespace(traffic=SimpleNamespace(rounds=31))
        found = SimpleNamespace(
            plan=parse_plan(plan(), job),
            reporter=SimpleNamespace(latest=latest),
            peer=peer,
            coordinator=Counter(),
            session=session,
        )
        self.desk.runner.live[job] = cast(Any, found)
        yield
        del self.desk.runner.live[job]

    @property
    def port(self) -> int:
        """Of the server, once it has started."""
        return self.console.port

    def ticket(self, person: str) -> str:
        return Tickets(self.path).issue(person)

    def at(self, job: str, done: int) -> None:
        """The running job has come so far."""
        reporter = self.desk.runner.live[job].reporter
        assert reporter is not None
        reporter.latest.done = done

    def words(self, job: str) -> list[Word]:
        """What people have said of it."""
        return [word for word in self.home.approvals.words() if word.job == job]

    def adopt(self, models: Path, job: str) -> None:
        """A model that was trained elsewhere is this party's, and its command can read the configuration."""
        data = self.desk.settings.data
        shutil.copytree(models / job, data / Name.MODELS / job)
        self.home.registry.enter(job, "9" * 64, "b" * 64, "c" * 64)
        tls = {name: str(getattr(self.desk.settings.tls, name)) for name in ("certificate", "key", "trust")}
        raw = {"data": str(data), "listen": "127.0.0.1:0", "tls": tls, "peer": {"identity": str(BANK)}}
        coordinator = {"identity": "wattscore://neutral/coordinator", "address": "n:1"}
        self.file.write_text(to_toml({**raw, "coordinator": coordinator}), encoding="utf-8")

    def hold(self, job: str = "train-4") -> None:
        """A training waits for people."""
        text = plan(name="a bigger one")
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.home.jobs.enter(Offered(job, "train", "a bigger one", CLIENT, "t", digest, state="held"))
        self.home.approvals.hold(job, "train", "a bigger one", CLIENT, digest, text)

    def spoil_audit(self) -> None:
        with closing(sqlite3.connect(self.desk.settings.data / Name.AUDIT)) as book, book:
            book.execute("update entries set job = 'another' where number = 2")


def make_books(folder: Path, *, approvals: int = 1, **console: Any) -> Books:
    """Two trainings, the first of them the champion; one that failed; rows that were scored by both."""
    books = Books(folder, approvals=approvals, **console)
    home = books.home
    failed = "the bank lost <b>its line</b> \x1b[31m"
    for job, state, cause in (("train-1", "accepted", ""), ("train-2", "failed", failed), ("train-3", "done", "")):
        home.jobs.enter(Offered(job, "train", "overdue", CLIENT, "t", "ab" * 32, state="accepted"))
        home.rates.begin(CLIENT, job, home.policy)
        home.audit.add(What.OFFER, job, client=CLIENT)
        if state != "accepted":
            home.jobs.end(job, state, cause, {"matched_rows": 900})
        opened = [["matched_ids", "ids", "in", 1, 450, 0], ["counts", "counts", "out", 1, 1, 0]]
        home.audit.add(What.END, job, error="", opened=opened if job != "train-2" else [], books={})
    for k in (1, 3):
        home.registry.enter(f"train-{k}", f"{k}" * 64, "b" * 64, "c" * 64)
    move = PromotePlan(model="train-1")
    home.registry.prepare("promote-1", move, home.registry.target(move), anew=False)
    home.registry.commit()
    for k, rows in (("train-1", "abc"), ("train-3", "a")):
        cast(GridHome, home).ledger.charge(FeatureTable(Ids.of(list(rows)), None, {}, {}), k, 8)
    home.history.enter("score-1", [Reading("train-1", "2024-02", "kwh", 0.5, 0.1, 0.0, 0.0, 900, 5000)])
    return books
