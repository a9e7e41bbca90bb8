"""Three real daemons that the tests of this folder share, and synthetic tables for them."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from click.testing import CliRunner, Result

import bank_party.__main__
import grid_party.__main__
from common.client.client import Client
from common.home.outcome import EVALUATION, Evaluation, parse_evaluation
from common.party import Identity
from common.plan.job_states import State
from common.plan.train import TrainPlan
from common.trial.forkserver import ENVIRONMENT
from common.trial.processes import BANK, CLIENT, COORDINATOR, GRID, Trial
from common.trust.authority import export_bundle, import_bundle, issue, make_ca
from common.wire import coordinator_pb2 as wire
from common.wire.about import ask
from common.wire.client import Connection
from common.wire.tls import Credentials, TlsConfig
from tests.patience import patience

PAST = datetime.now(UTC) - timedelta(days=30)
ROWS, GRID_COLUMNS, BANK_COLUMNS = 1500, 12, 3
ATTEND = patience(12)  # seconds the coordinator of a lab waits for parties, some of which are about to start
UNRATED = {"jobs_per_day": 10_000, "rows_per_day": 10**9, "models_per_day": 10_000}
LOOSE = {"min_iterations": 1, "min_batch": 256, "overrides": ["force"], **UNRATED}  # so that tests may train hastily
GRID_POLICY = {"finest_score_bits": 12, "owned_weights": True, "reasons_per_row": 1, **LOOSE}
BANK_POLICY = {"finest_score_bits": 10, "min_per_class": 50, "metric_bits": 1e3, "reasons_per_row": 1, **LOOSE}
EVIL = Identity("evil", "bank-party")  # of an organisation that nobody trusts


class Lab(Trial):
    """A trial whose CAs are 30 days old, whose settings each test may override, and whose datasets tests write themselves."""

    def __init__(self, folder: Path, datasets: Mapping[str, Mapping[str, Any]], extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(folder, datasets)
        self.extra: dict[str, dict[str, Any]] = {name: dict(values) for name, values in (extra or {}).items()}
        self._altered: set[str] = set()
        self._launched = True  # something, since both parties were last seen to attend
        _make_certificates(folder / "certs")

    def _config(self, name: str) -> dict[str, Any]:
        own = super()._config(name)
        for key, value in self.extra.get(name, {}).items():
            own[key] = {**own.get(key, {}), **value} if isinstance(value, Mapping) else value
        return own

    def restart(self, name: str, **settings: Any) -> None:
        """Ends a daemon if it runs and starts it with these settings on top of its own, until the next start."""
        if self.processes[name].poll() is None:
            self.processes[name].terminate()
            self.processes[name].wait(patience(15))
        self._altered |= {name} if settings else set()
        before = self.extra.get(name, {})
        self.extra[name] = {**before, **settings}
        try:
            self.start(name)
        finally:
            self.extra[name] = before

    def refused(self, name: str, config: Path) -> str:
        """What a daemon says that is started beside this one's, by another configuration, and ends with code 2."""
        log = config.with_suffix(".refused.log")
        ended = self.begin([*self.command(name), "serve", "--config", str(config)], {**os.environ, **ENVIRONMENT}, log)
        assert ended.wait(patience(60)) == 2
        return log.read_text(encoding="utf-8")

    def launch(self, name: str) -> None:
        self._launched = True
        super().launch(name)

    def dismiss(self, name: str) -> None:
        """Tells a daemon to stop; `heal` starts it again, also when it is still about to end by then."""
        self._altered.add(name)
        self.processes[name].terminate()

    def heal(self, *away: str) -> None:
        """Starts what a test has ended or altered, all of it at once, and waits until both parties attend.

        away: processes that stay ended; then nobody is waited for.
        """
        gone = [name for name, one in self.processes.items() if name in self._altered or one.poll() is not None]
        gone = [name for name in gone if name not in away]
        for name in gone:
            self.processes[name].terminate()
        for name in gone:
            self.processes[name].wait(patience(15))
        for name in gone:
            self._altered.discard(name)
            self.launch(name)
        for name in gone:
            self.await_ready(name)
        if self._launched and not away:
            eventually(lambda: self.attending() == {"grid", "bank"}, 30.0)
            self._launched = False

    def attending(self) -> set[str]:
        """The parties that are connected to the coordinator, as it says."""
        return set(attending(self))

    def alive(self) -> dict[str, bool]:
        return {name: process.poll() is None for name, process in self.processes.items()}

    def written(self, name: str, since: int = 0) -> str:
        """The log of a daemon from character `since` on."""
        return self.log(name).read_text(encoding="utf-8", errors="replace")[since:]

    def told(self, name: str, since: int = 0) -> str:
        """Warnings in full, for this daemon's owner alone, from character `since` on."""
        log = self.data(name) / "local.log"
        return log.read_text(encoding="utf-8")[since:] if log.exists() else ""

    def data(self, name: str) -> Path:
        return self.folder / f"{name}-data"

    def table(self, side: str, name: str) -> Path:
        return Path(self._datasets[side][name]["path"])

    def write(self, name: str, grid: pd.DataFrame, bank: pd.DataFrame) -> None:
        """Each whole or not at all: a bank that serves looks for newer rows once a second, and would read half of them."""
        for side, frame in (("grid", grid), ("bank", bank)):
            (table := self.table(side, name)).parent.mkdir(parents=True, exist_ok=True)
            frame.to_csv(part := table.with_suffix(".part"), index=False)
            part.replace(table)

    def tls(self, who: Identity) -> TlsConfig:
        return TlsConfig.model_validate(self._tls(who))

    def credentials(self, who: Identity) -> Credentials:
        return Credentials.load(self.tls(who))

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"


def attending(trial: Trial) -> list[str]:
    """Who is connected to the coordinator, as it names them."""

    async def parties() -> list[str]:
        credentials = Credentials.load(TlsConfig.model_validate(trial._tls(CLIENT)))
        connection = Connection(f"127.0.0.1:{trial.ports['coordinator']}", COORDINATOR, credentials)
        try:
            about = (await ask(connection, patience(5))).about
        finally:
            await connection.close()
        return sorted(party.party for party in about.parties if party.attends)

    return asyncio.run(parties())


def measured(trial: Trial, job: wire.Job) -> Evaluation:
    """The evaluation as the bank alone has it; others hear it in steps."""
    return parse_evaluation((trial.folder / "bank-data" / "models" / job.id / EVALUATION).read_bytes())


def _make_certificates(folder: Path) -> None:
    identities = (GRID, BANK, COORDINATOR, CLIENT, EVIL, Identity(BANK.org, "auditor"), Identity(BANK.org, "coordinator"))
    orgs = {identity.org for identity in identities}
    for org in orgs:
        make_ca(org, folder / org, now=PAST)
    for identity in identities:
        issue(folder / identity.org, identity, folder / identity.org)
    for holder in orgs:
        for org in orgs - {EVIL.org}:
            import_bundle(export_bundle(folder / org), folder / holder / "trust", org)


def dataset_files(folder: Path, names: Iterable[str], **keys: Any) -> dict[str, dict[str, dict[str, Any]]]:
    """Datasets of both sides that are not written yet, columns inferred."""
    return {
        side: {name: {"path": folder / side / f"{name}.csv", "id": "id", **keys, **label} for name in names}
        for side, label in (("grid", {}), ("bank", {"label": "y"}))
    }


def make_tables(
    prefix: str, rows: int = ROWS, *, grid_columns: int = GRID_COLUMNS, bank_columns: int = BANK_COLUMNS, seed: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ids `prefix`00000 and on; a latent health drives the columns of both sides and the label. Rows in no order.

    No column comes near a heavy tail; 30 % of labels are 1; the last column of each side is an indicator.
    """
    draw = np.random.default_rng([seed, *prefix.encode()])
    health = draw.standard_normal(rows)
    ids = [f"{prefix}{i:05d}" for i in range(rows)]
    overdue = draw.random(rows) < 1.0 / (1.0 + np.exp(1.2 - 1.5 * health))

    def side(name: str, count: int, signal: float) -> pd.DataFrame:
        numbers = {f"{name}{j}": (signal * health + draw.standard_normal(rows)).round(6) for j in range(count - 1)}
        numbers[f"{name}{count - 1}"] = (draw.random(rows) < 0.4).astype(int)
        return pd.DataFrame({"id": ids, **numbers})

    grid, bank = side("g", grid_columns, 0.6), side("b", bank_columns, 0.3)
    bank["y"] = overdue.astype(int)
    return grid.sample(frac=1, random_state=1), bank.sample(frac=1, random_state=2)


def monthly(frame: pd.DataFrame, months: list[str]) -> pd.DataFrame:
    """The rows of `frame` as those of a third as many companies, at up to three months each."""
    ordered = frame.sort_values("id").reset_index(drop=True)
    place = np.arange(len(ordered))
    ordered["id"] = ordered["id"].iloc[place // 3 * 3].to_numpy()
    ordered.insert(1, "month", [months[i % 3] for i in place])
    return ordered.sample(frac=1, random_state=3)


def make_plan(dataset: str, **fields: Any) -> TrainPlan:
    """A plan of quick trainings: of columns as they are, unless it says what is made of them."""
    side, preparation = {"dataset": dataset}, {"coding": "linear", **fields.pop("preparation", {})}
    return TrainPlan.model_validate({"grid": side, "bank": side, "preparation": preparation, **fields})


LONG: dict[str, Any] = {"optimiser": "sgd", "batch": 330, "epochs": 1000}
"""A model whose training takes far longer than what tests do meanwhile: for jobs that are not to end by themselves."""


def finish(client: Client, job: str, seconds: float = 30.0) -> wire.Job:
    """The job once it is over; fails if that takes longer than a machine that is merely busy."""
    return wait(client, job, lambda found: State(found.state).final, seconds, 0.4)


def run(client: Client, plan: Any) -> wire.Job:
    return finish(client, client.submit(plan).id)


def succeed(client: Client, plan: Any) -> wire.Job:
    job = run(client, plan)
    assert job.state == "succeeded", f"{job.fault.origin}: {job.fault.message}"
    return job


def fail(client: Client, plan: Any) -> tuple[str, str, str]:
    """(origin, kind, message) of the failure of a plan that must fail."""
    job = run(client, plan)
    assert job.state == "failed"
    return job.fault.origin, job.fault.kind, job.fault.message


def until_training(client: Client, plan: Any) -> str:
    """Submits and returns once both sides train."""
    job = client.submit(plan).id
    found = wait(
        client,
        job,
        lambda j: State(j.state).final or all(p.progress.stage == "train" and p.progress.done > 2 for p in (j.grid, j.bank)),
        30.0,
    )
    assert found.state == "running", found.fault.message
    return job


def wait(client: Client, job: str, good: Callable[[wire.Job], bool], seconds: float, most: float = 0.05) -> wire.Job:
    """most: seconds between two looks after a while; one takes client and coordinator 3 ms of a processor."""
    end, pause = time.monotonic() + patience(seconds), 0.05
    while time.monotonic() < end:
        if good(found := client.show(job)):
            return found
        time.sleep(pause)
        pause = min(most, 1.4 * pause)
    raise AssertionError(f"after {patience(seconds)} s job {job} is still {client.show(job)}")


_FRESH = itertools.count()


def works(lab: Lab, client: Client) -> None:
    """A new job on companies that no model has scored yet succeeds, with all three processes alive."""
    lab.write("after", *make_tables(f"F{next(_FRESH)}-"))
    succeed(client, make_plan("after"))
    assert all(lab.alive().values())


def eventually(good: Callable[[], bool], seconds: float = 15.0) -> None:
    end, pause = time.monotonic() + patience(seconds), 0.05
    while not good():
        assert time.monotonic() < end, f"it did not come true within {patience(seconds)} s"
        time.sleep(pause)
        pause = min(0.1, 1.1 * pause)


def command(lab: Lab, party: str, *words: str | Path) -> Result:
    """A party's own command, in this process, beside its daemon that runs."""
    main = {"grid": grid_party.__main__.main, "bank": bank_party.__main__.main}[party]
    return CliRunner().invoke(main, [*map(str, words), "--config", str(lab.folder / f"{party}.toml")])


def own(lab: Lab, party: str, *words: str) -> str:
    """The output of a party's own command, which ends well."""
    done = command(lab, party, *words)
    assert done.exit_code == 0, done.output
    return done.output
