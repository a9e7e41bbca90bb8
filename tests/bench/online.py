"""Scores on request over HTTPS at a given rate, the coordinator having ended: REST in to answer out, on loopback."""

from __future__ import annotations

import resource
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from common.client.like import scores_like
from common.mpc.fixedpoint import Reals
from common.plan.linear import Model
from common.plan.network import Network
from common.plan.promote import PromotePlan
from common.plan.request import Side
from common.plan.section import Section
from common.plan.train import Split, TrainPlan
from common.plan.trees import Trees
from common.trial.processes import Trial, free_ports
from tests.bank_party.online.by_grpc import GrpcCaller
from tests.bench import jobs
from tests.bench.arrivals import Arrived, offer, planned
from tests.bench.line import Shape
from tests.bench.tables import write_tables
from tests.common.web.pki import Caller, Pki

_CALLERS = 32  # connections: more than wait at once unless the service stands still
_WARM = 40  # requests that are not counted
_MOST = 1000  # rows of one request
_ALONE, _TURN = 400, 50  # rows asked for one after another in each way, so many in turn
_TRAIN_ROWS = 5000
LINEAR = Model()


class ByHttps:
    """A connection of one of the bank's programs, which stands."""

    def __init__(self, pki: Pki, port: int) -> None:
        self._caller = _caller(pki, port)
        self._caller.ask("GET", "/v1/health")  # so that no request pays for a handshake

    def wrong(self, key: str, *ids: str) -> str | None:
        """Asks for these enterprises; what is wrong with the answer, None where each was scored, and charged."""
        asked = {"id": ids[0]} if len(ids) == 1 else {"ids": [*ids]}
        status, answer = self._caller.score(key, **asked)
        if status != 200:
            return f"{status}: {answer.get('detail')}"
        decided = all(result["decision"] for result in answer["results"])
        return None if decided and answer["cost"]["scores_charged"] == len(ids) else "not scored"

    def close(self) -> None:
        self._caller.close()


class ByGrpc:
    """The same by gRPC."""

    def __init__(self, pki: Pki, port: int) -> None:
        self._caller = GrpcCaller(port, pki)
        self._caller.connect()

    def wrong(self, key: str, *ids: str) -> str | None:
        try:
            answer = self._caller.score(key, *ids)
        except grpc.RpcError as error:
            return str(error.details())  # type: ignore[attr-defined]
        decided = all(result.decision for result in answer.results)
        return None if decided and answer.cost.scores_charged == len(ids) else "not scored"

    def close(self) -> None:
        self._caller.close()


Way = Callable[[], ByHttps | ByGrpc]


def bench_online(
    rate: float,
    seconds: float,
    grid: int,
    bank: int,
    batches: int = 10,
    line: Shape | None = None,
    section: Section = LINEAR,
    reasons: int = 0,
    by_grpc: bool = False,
) -> dict[str, Any]:
    """Milliseconds from planned arrival to answer, processor milliseconds a request; then 1,000 rows a request, one by one.

    With it what both daemons hold of memory, MiB, and of descriptors, as each tenth of the time ends.

    Before that one row after another, each once the last is answered, by HTTPS and gRPC in turns. line: between the processes,
    the bank's own programs beside the bank. section: of the champion. reasons: so many of the grid's columns have a text; of a
    row two are told. by_grpc: in place of HTTPS.
    """
    times = planned(rate, seconds)
    rows = max(4 * _MOST, len(times) + _WARM)  # a row is scored a few times at most by what is charged each time
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name, ExitStack() as reserved:
        folder = Path(name)
        part = jobs.declare(write_tables(folder / "part", _TRAIN_ROWS, grid, bank, months=1), period=False)
        asked = jobs.declare(write_tables(folder / "asked", rows, grid, bank, months=1, seed=2), period=False)
        ids = pd.read_parquet(asked["grid"]["path"], columns=["id"])["id"].tolist()
        port, calls = free_ports(2, reserved)
        online = _online(pki := Pki(folder / "pki"), port, calls)
        settings: dict[str, dict[str, Any]] = {"grid": {}, "bank": {"online": online}}
        ways: dict[str, Way] = {"HTTPS": partial(ByHttps, pki, port), "gRPC": partial(ByGrpc, pki, calls)}
        way = ways["gRPC" if by_grpc else "HTTPS"]
        if reasons:
            _tell(settings, asked["grid"], reasons)
        data = {side: {"part": part[side], "asked": asked[side]} for side in part}
        daemons, lines = jobs.start(folder, data, line, settings=settings)
        with lines, daemons as trial:
            _make_ready(trial, section, rows + 2 * _ALONE + _MOST * (batches + 2), reasons)
            trial.kill("coordinator")
            _await_session(pki, port)
            load(way, ids[:_WARM], planned(rate, 3600.0)[:_WARM], "warm")
            alone = _in_turns(trial, ways, ids[-2 * _ALONE :])
            before, own = _cpu(trial), _own()
            with _held(trial, seconds) as held:
                found = load(way, ids[_WARM:], times, "one")
            spent = {side: round((now - before[side]) / len(times), 2) for side, now in _cpu(trial).items()}
            spent["client"] = round((_own() - own) / len(times), 2)
            parts = [ids[low : low + _MOST] for low in range(0, 4 * _MOST, _MOST)]
            many = [_many(way, parts[k % len(parts)], f"many-{k}") for k in range(batches + 1)][1:]
    if found.failed or not found.milliseconds:
        raise SystemExit(f"{len(found.failed)} requests failed: {sorted(set(found.failed))}")
    return {
        "rate": rate,
        "seconds": seconds,
        "requests": len(times),
        "grid": grid,
        "bank": bank,
        "model": _named(section) + (f", {reasons} texts" if reasons else ""),
        "line": f"{line.mbit:g} Mbit/s, {line.ms:g} ms" if line else "loopback",
        "way": "gRPC" if by_grpc else "HTTPS",
        "milliseconds": _quantiles(found.milliseconds, (50, 90, 99, 99.9, 100)),
        "cpu_milliseconds": spent,
        "held": held,
        "alone": alone,
        "late_milliseconds": round(1e3 * found.late, 1),
        "thousand": _quantiles(many, (50, 100)),
    }


def _online(pki: Pki, port: int, calls: int) -> dict[str, Any]:
    for name in ("online", "loan-desk"):
        pki.issue(name)
    return {
        "listen": f"127.0.0.1:{port}",
        "grpc": f"127.0.0.1:{calls}",
        "certificate": str(pki.folder / "online.pem"),
        "key": str(pki.folder / "online.key"),
        "trust": str(pki.folder / "ca.pem"),
        "clients": ["loan-desk"],
        "grid_dataset": "asked",
        "bank_dataset": "asked",
        "stock_rows": 100,
        "warn_rows": 0,
    }


def _named(section: Section) -> str:
    if isinstance(section, Trees):
        return f"{section.trees} trees of depth {section.depth}"
    return f"network of {section.hidden} units" if isinstance(section, Network) else "linear"


def _tell(settings: dict[str, dict[str, Any]], grid: dict[str, Any], texts: int) -> None:
    """Has so many of the grid's columns a text each, which both policies and the service let be told."""
    names = [name for name in pq.read_schema(grid["path"]).names if name not in (grid["id"], grid.get("period"))]
    grid["columns"] = {name: {"kind": "numeric", "reason": f"Reason of {name}"} for name in names[:texts]}
    settings["bank"]["online"]["grid_reasons"] = 2
    for side in ("grid", "bank"):
        settings[side]["policy"] = {**jobs.SETTINGS[side]["policy"], "reasons_per_row": 2}


def _make_ready(trial: Trial, section: Section, rows: int, reasons: int) -> None:
    with trial.client() as client:
        side = Side(dataset="part")
        more: dict[str, Any] = {"model": section, "limits": jobs.SMALL, "preparation": jobs.AS_THEY_ARE}
        if isinstance(section, Trees):
            del more["preparation"]
        trained, _ = jobs.run(client, TrainPlan(grid=side, bank=side, split=Split(), **more))
        jobs.run(client, scores_like(trained, rows, "bench", reasons=reasons))
        jobs.run(client, PromotePlan(model=trained.id))


def _await_session(pki: Pki, port: int) -> None:
    end = time.monotonic() + 120.0
    while time.monotonic() < end:
        with closing(_caller(pki, port)) as caller:
            if caller.ask("GET", "/v1/health")[0] == 200:
                return
        time.sleep(0.2)
    raise SystemExit("no session serves requests")


def _caller(pki: Pki, port: int) -> Caller:
    return Caller(port, pki.context("loan-desk"))


def load(way: Way, ids: Sequence[str], times: Reals, kind: str) -> Arrived:
    """Asks for ids[k] at second times[k], by keys that begin with `kind`."""
    callers = [way() for _ in range(_CALLERS)]

    def asking(caller: ByHttps | ByGrpc) -> Callable[[int], str | None]:
        return lambda k: caller.wrong(f"{kind}-{k}", ids[k])

    found = offer(times, [asking(caller) for caller in callers])
    for caller in callers:
        caller.close()
    return found


def _in_turns(trial: Trial, ways: Mapping[str, Way], ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """By each way milliseconds of a request, on one connection that is open, none scored together with another.

    With them the milliseconds of processor that each process took for one.
    """
    took, spent = {name: list[float]() for name in ways}, {name: Counter[str]() for name in ways}
    with ExitStack() as held:
        callers = {name: held.enter_context(closing(way())) for name, way in ways.items()}
        for turn, low in enumerate(range(0, len(ids), _TURN)):
            name = [*ways][turn % len(ways)]
            before = _cpu(trial) | {"client": _own()}
            took[name] += [_took(callers[name], f"alone-{id}", id) for id in ids[low : low + _TURN]]
            spent[name].update({side: now - before[side] for side, now in (_cpu(trial) | {"client": _own()}).items()})  # type: ignore[arg-type]
    return {
        name: _quantiles(took[name], (50, 99)) | {side: round(ms / len(took[name]), 2) for side, ms in spent[name].items()}
        for name in ways
    }


def _many(way: Way, ids: list[str], key: str) -> float:
    """Milliseconds of a request of so many rows, on a connection that is open."""
    with closing(way()) as caller:
        return _took(caller, key, *ids)


def _took(caller: ByHttps | ByGrpc, key: str, *ids: str) -> float:
    begun = time.perf_counter()
    wrong = caller.wrong(key, *ids)
    took = 1e3 * (time.perf_counter() - begun)
    if wrong is not None:
        raise SystemExit(f"a request was not answered: {wrong}")
    return took


def _quantiles(values: Sequence[float], which: Sequence[float]) -> dict[str, float]:
    names = ["largest" if q == 100 else "median" if q == 50 else f"p{q:g}" for q in which]
    return dict(zip(names, np.percentile(values, which).round(2).tolist(), strict=True))


def _cpu(trial: Trial) -> dict[str, float]:
    """Milliseconds of processor that each company's daemon has taken."""
    return {side: jobs.processor(trial.processes[side].pid) for side in ("grid", "bank")}


@contextmanager
def _held(trial: Trial, seconds: float) -> Iterator[dict[str, dict[str, list[int]]]]:
    """Anonymous memory, MiB, and descriptors that each company's daemon holds: at the end of each tenth of `seconds`."""
    found: dict[str, dict[str, list[int]]] = {side: {"mib": [], "descriptors": []} for side in ("grid", "bank")}
    over = threading.Event()

    def look() -> None:
        for side, of in found.items():
            process = Path(f"/proc/{trial.processes[side].pid}")
            size = (process / "status").read_text().split("RssAnon:")[1].split()[0]
            of["mib"].append(int(size) >> 10)
            of["descriptors"].append(len([*(process / "fd").iterdir()]))

    def watch() -> None:
        while not over.wait(seconds / 10):
            look()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield found
    finally:
        over.set()
        watching.join()
    look()


def _own() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return 1e3 * (used.ru_utime + used.ru_stime)
