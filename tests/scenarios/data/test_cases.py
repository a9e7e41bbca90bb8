"""Inputs that go wrong, each as its real file through `schema`, `features`, and jobs of three real daemons; `try` with some.

The right value, or the refusal with its place and remedy; the other side hears no value. One set of daemons serves all.
"""

from __future__ import annotations

import json
import resource
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

import grid_party.__main__
from common.cli import main
from common.client.client import Client
from common.config import to_toml
from common.home.registry import Registry
from common.trial.processes import GRID
from common.trust.authority import import_bundle, make_ca, renew
from tests.common.records import postgres
from tests.scenarios.data.inputs import CASES, MONTHS, Case, base
from tests.scenarios.end_to_end.lab import LOOSE, Lab, eventually, fail, finish, make_plan, own, succeed

FLOORS = {"min_matched": 50, "min_rows": 100}
SMALL: dict[str, Any] = {
    "keys": ("id", "period"), "limits": FLOORS, "preparation": {"min_binary": 20}, "model": {"iterations": 2},
}  # fmt: skip
MORE = ("disk", "disk-again", "old-ca", "new-ca", "leak", "displaced", "proxy", "wide")
NUMBERS = {key: f"{k + 10}" for k, key in enumerate([*(case.key for case in CASES), *MORE, "instants"])}
CASE = pytest.mark.parametrize("case", CASES, ids=[case.key for case in CASES])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("cases")
    keys = {"id": "id", "period": "month"}
    declared: dict[str, dict[str, Any]] = {case.key: dict(case.keys) for case in CASES} | {"instants": {"id": "enterprise_id"}}
    datasets = {
        "grid": {key: {"path": folder / "grid" / key, **keys, **declared.get(key, {})} for key in NUMBERS},
        "bank": {key: {"path": folder / "bank" / key, **keys, "label": "overdue"} for key in NUMBERS},
    }
    for side in ("grid", "bank"):
        (folder / side).mkdir()
    for case in CASES:
        grid, bank = base(NUMBERS[case.key])
        case.write(grid, folder / "grid" / case.key)
        bank.to_csv(folder / "bank" / case.key, index=False)
    policy = {**LOOSE, **FLOORS, "min_binary": 20}
    with Lab(
        folder, datasets, {"grid": {"policy": policy | {"min_columns": 2}}, "bank": {"policy": policy | {"min_per_class": 20}}}
    ) as lab:
        for key in MORE:
            grid, bank = base(NUMBERS[key])
            lab.write(key, grid, bank if key != "wide" else wide(bank))
        yield lab


@pytest.fixture
def client(lab: Lab) -> Iterator[Client]:
    with lab.client() as client:
        yield client


def wide(bank: pd.DataFrame) -> pd.DataFrame:
    more = bank.loan.to_numpy()[:, None] % np.arange(7, 2012)
    return pd.concat([bank, pd.DataFrame(more.round(2)).add_prefix("t")], axis=1)


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def said(result: Result) -> str:
    return " ".join((result.stdout + result.stderr).split())


def dataset(lab: Lab, case: Case) -> dict[str, Any]:
    return {"path": str(lab.table("grid", case.key)), "id": "id", **case.keys}


@CASE
def test_schema(lab: Lab, case: Case, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(to_toml({"datasets": {"grid": {**dataset(lab, case), "period": "month"}}}))
    found = run("schema", tmp_path / "grid.toml")
    assert found.exit_code == (0 if case.schema is None else 2), said(found)
    assert (case.schema or "2023-01 to 2023-04") in said(found)


@CASE
def test_features(lab: Lab, case: Case, tmp_path: Path) -> None:
    given = dataset(lab, case)
    keys = {"id": given.pop("id"), "month": "month", **{k: given.pop(k) for k in ("zone", "month_format") if k in given}}
    missing = {"missing": given.pop("missing")} if "missing" in given else {}
    raw: dict[str, Any] = {
        "party": "grid", "source": given, "keys": keys, "fields": {"consumption": {"column": "consumption", **missing}},
        "samples": {"min_history": 1}, **case.records,
    }  # fmt: skip
    (tmp_path / "records.toml").write_text(to_toml(raw) + '\n[[recipes]]\nkind = "last"\nfield = "consumption"\n')
    found = run("features", tmp_path / "records.toml", "--out", tmp_path / "out.parquet")
    assert found.exit_code == (0 if case.features is None else 2), said(found)
    if case.features is not None:
        assert case.features in said(found) and not (tmp_path / "out.parquet").exists()
        return
    clean, _ = base(NUMBERS[case.key])
    made = pd.read_parquet(tmp_path / "out.parquet")
    rows = made[made.enterprise_id == clean.id[0]].sort_values("month")
    assert rows.consumption_last.tolist() == [float(np.float32(value)) for value in case.kwh(clean)]
    assert made.enterprise_id.nunique() == clean.id.nunique() and len(made) == len(clean)


@pytest.mark.parametrize("case", [c for c in CASES if c.runs], ids=[c.key for c in CASES if c.runs])
def test_a_job(lab: Lab, client: Client, case: Case) -> None:
    before = {name: len(lab.told(name)) for name in lab.processes}
    logged = len(lab.written("grid"))
    plan = make_plan(case.key, **SMALL)
    if case.job is not None:
        origin, kind, message = fail(client, plan)
        assert (origin, kind) == ("grid", "DataError") and case.job in message
    else:
        job = succeed(client, plan)
        counts = job.grid.report.counts
        assert counts.matched_rows == (1600 if case.number != 10 else 1280)
        assert job.bank.report.evaluation.joint.auc < 0.97  # no column of the next month, none of the order of rows
    told = lab.told("grid", before["grid"])
    assert case.told in told and (case.schema or "") in told
    for name in ("coordinator", "bank"):
        assert "company" not in lab.told(name, before[name])
    assert "company" not in lab.written("grid", logged)


def test_try_of_a_file_whose_label_has_a_double_ends_with_three_under_strict(lab: Lab, tmp_path: Path) -> None:
    grid, bank = base(NUMBERS["leak"])
    grid.to_csv(tmp_path / "grid.csv", index=False)
    bank.assign(fee=30 * bank.overdue).to_csv(tmp_path / "bank.csv", index=False)
    sides = ("--grid", tmp_path / "grid.csv", "--bank", tmp_path / "bank.csv", "--key", "id", "--period", "month")
    found = run("try", *sides, "--label", "overdue", "--allow-small", "--iterations", "10", "--strict")
    assert found.exit_code == 3, said(found)
    schema = run("schema", tmp_path / "bank.csv", "--key", "id", "--period", "month", "--label", "overdue", "--strict")
    assert schema.exit_code == 3 and "column 'fee' is the label" in said(schema)


def test_train_with_strict_ends_with_three(lab: Lab, tmp_path: Path) -> None:
    grid, bank = base(NUMBERS["leak"])
    lab.write("leak", grid, bank.assign(fee=30 * bank.overdue))
    lab.client().close()  # writes client.toml
    plan = tmp_path / "plan.toml"
    plan.write_text(to_toml({"grid": {"dataset": "leak"}, "bank": {"dataset": "leak"}, **SMALL, "keys": ["id", "period"]}))
    found = run("train", plan, "--strict", "--config", lab.folder / "client.toml")
    assert found.exit_code == 3, said(found)
    assert "column 'fee' is the label" in lab.told("bank") and "fee" not in said(found)


def test_a_disk_that_refuses_is_named_and_neither_party_keeps_a_model(lab: Lab, client: Client) -> None:
    """The kernel refuses the bank any file above some bytes, as a full disk would; its log and books are below."""
    process = lab.processes["bank"].pid
    limits = resource.prlimit(process, resource.RLIMIT_FSIZE)
    kept = [*lab.data("bank").glob("[!m]*.sqlite"), lab.log("bank"), lab.data("bank") / "local.log"]  # monitoring has no part
    books = max(file.stat().st_size for file in kept)
    grid, bank = base(NUMBERS["disk"])
    many = bank.assign(**{f"t{k}": bank.tax * (k + 1) % 97 for k in range(35)})
    lab.write("disk", grid, many)
    before = len(lab.told("bank"))
    resource.prlimit(process, resource.RLIMIT_FSIZE, (books + 2048, limits[1]))
    try:
        origin, kind, message = fail(client, make_plan("disk", **SMALL))
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, limits)
    assert (origin, kind) == ("bank", "DataError")
    # The second is what SQLite's own word comes to.
    refused = {"the file would be larger than its disk allows": "models", "its disk does not work": ".sqlite"}
    assert message.removeprefix("a file of its own: ") in refused
    assert refused[message.removeprefix("a file of its own: ")] in lab.told("bank", before)
    for name in ("grid", "bank"):  # both logs say that it failed, once there is room
        last: dict[str, Any] = {}

        def ended(name: str = name, last: dict[str, Any] = last) -> bool:
            entries = own(lab, name, "audit", "show", "--job", client.jobs()[-1].id).splitlines()
            last.update(json.loads(entries[-1]))
            return last["what"] in ("end", "refuse")

        eventually(ended)
        assert last["error"] and all(rows > 0 for rows in last.get("charged", {}).values())
    lab.write("disk-again", *base(NUMBERS["disk-again"]))
    job = succeed(client, make_plan("disk-again", **SMALL))
    numbers = {name: Registry(lab.data(name) / "registry.sqlite").versions()[-1] for name in ("grid", "bank")}
    assert {version.job for version in numbers.values()} == {job.id}
    assert numbers["grid"].number == numbers["bank"].number


def test_an_organisation_replaces_its_ca_and_no_job_fails(lab: Lab, client: Client) -> None:
    certs = lab.folder / "certs"
    make_ca(GRID.org, certs / "new", now=datetime.now(UTC) - timedelta(days=1))
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    for holder in certs.glob("*/trust"):
        if (holder / f"{GRID.org}.pem").exists():
            import_bundle(certs / "new" / "ca.pem", holder, GRID.org, until=tomorrow)
    succeed(client, make_plan("old-ca", **SMALL))
    renew(certs / "new", GRID, certs / GRID.org)
    lab.restart("grid")
    lab.heal()
    for holder in certs.glob(f"*/trust/{GRID.org}.until-*.pem"):
        holder.unlink()
    succeed(client, make_plan("new-ca", **SMALL))


def test_more_jobs_than_are_kept_are_listed(lab: Lab, client: Client) -> None:
    lab.processes["coordinator"].terminate()
    lab.processes["coordinator"].wait()
    with sqlite3.connect(lab.data("coordinator") / "jobs.sqlite") as book:
        old, blob = book.execute("select id, job from jobs where id like 'train-%'").fetchone()
        new = [f"{old[:-8]}{k:08x}" for k in range(15_000)]
        rows = [(name, blob.replace(old.encode(), name.encode())) for name in new]
        book.executemany("insert or ignore into jobs (id, job) values (?, ?)", rows)
    lab.start("coordinator")
    lab.heal()
    with lab.client() as again:
        assert {job.id for job in again.jobs()} >= set(new[-9_000:])  # the newest 10,000 are kept
        assert [job.id for job in again.jobs(last=3)] == new[-3:]
    listed = run("jobs", "--last", "2", "--config", lab.folder / "client.toml")
    assert listed.exit_code == 0 and new[-1] in said(listed) and "there are older ones" in listed.stderr


def test_a_second_daemon_on_the_same_folder_is_refused_and_the_first_still_works(lab: Lab, client: Client) -> None:
    first, text = lab.processes["grid"], lab.refused("grid", lab.folder / "grid.toml")
    assert f"is in use by process {first.pid}" in " ".join(text.split())
    assert first.poll() is None
    succeed(client, make_plan("displaced", **SMALL))


def test_proxies_of_the_environment_hold_nobody_up_and_doctor_names_them(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in lab.processes:
        lab.restart(name)
    lab.heal()
    with lab.client() as again:
        succeed(again, make_plan("proxy", **SMALL))
    listed = run("jobs", "--last", "1", "--config", lab.folder / "client.toml")
    assert listed.exit_code == 0, said(listed)
    found = CliRunner().invoke(grid_party.__main__.main, ["doctor", "--config", str(lab.folder / "grid.toml"), "--json"])
    assert "https_proxy is set, and no connection of WattScore goes through it" in found.output
    monkeypatch.undo()
    for name in lab.processes:
        lab.restart(name)
    lab.heal()


def test_more_columns_than_rows_can_bear_are_refused_before_ids_are_matched(lab: Lab, client: Client) -> None:
    job = finish(client, client.submit(make_plan("wide", **SMALL)).id)
    assert (job.fault.origin, job.fault.kind) == ("bank", "PolicyError")
    assert "2007 columns need 2007 times 20 training rows" in job.fault.message
    assert job.bank.progress.stage in ("", "connect", "load")


@pytest.mark.parametrize(
    ("url", "package"),
    [("oracle+nodriver://u:hunter2@h/d", "oracledb"), ("dm+dmPython://u:hunter2@h:5236", "dmSQLAlchemy"),
     ("opengauss+asyncpg://u:hunter2@h/d", "opengauss-sqlalchemy"), ("db2+ibm_db://u:hunter2@h/d", "ibm_db_sa")],
)  # fmt: skip
def test_features_names_what_a_database_lacks_here(
    url: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORDS_URL", url)
    config = write_source(tmp_path, {"sql": {"url_env": "RECORDS_URL", "table": "m"}})
    found = run("features", config, "--out", tmp_path / "out.parquet")
    assert found.exit_code == 2 and package in said(found) and "hunter2" not in said(found)


def test_instants_of_a_database_need_a_zone_and_then_are_the_right_months(
    lab: Lab, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, bank = base(NUMBERS["instants"])
    try:
        with postgres.server() as url:
            source = {"sql": {"url_env": "RECORDS_URL", "table": "m"}}
            monkeypatch.setenv("RECORDS_URL", url)
            engine = sa.create_engine(url)
            at = pd.to_datetime(grid.month + "-01").dt.tz_localize("Asia/Shanghai")
            grid.assign(month=at).to_sql("m", engine, index=False, dtype={"month": sa.TIMESTAMP(timezone=True)})
            engine.dispose()
            out = lab.table("grid", "instants")
            refused = run("features", write_source(tmp_path, source), "--out", out)
            assert refused.exit_code == 2 and "instants" in said(refused) and not out.exists()
            made = run(
                "features",
                write_source(tmp_path, source, zone="Asia/Shanghai"),
                "--out",
                out,
            )
            assert made.exit_code == 0, said(made)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    got = pd.read_parquet(out)
    first = got[got.enterprise_id == grid.id[0]].sort_values("month")
    assert first.month.tolist() == MONTHS
    assert first.consumption_last.tolist() == [float(np.float32(x)) for x in grid.consumption[:4]]
    bank.to_csv(lab.table("bank", "instants"), index=False)
    assert succeed(client, make_plan("instants", **SMALL)).grid.report.counts.matched_rows == 1600


def write_source(folder: Path, source: dict[str, Any], **keys: str) -> Path:
    """A configuration of features from a database: the last consumption and arrears of each month."""
    raw = {"party": "grid", "source": source, "keys": {"id": "id", "month": "month", **keys}, "samples": {"min_history": 1},
           "fields": {"consumption": "consumption", "arrears_amount": "peak"}}  # fmt: skip
    recipes = "".join(f'\n[[recipes]]\nkind = "last"\nfield = "{field}"\n' for field in ("consumption", "arrears_amount"))
    (path := folder / "records.toml").write_text(to_toml(raw) + recipes)
    return path
