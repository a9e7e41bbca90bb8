"""Daemons as they are operated: certificates renewed and revoked while they run, JSON logs, metrics."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from common.client.client import Client
from common.errors import IdentityError
from common.party import Identity
from common.trial.processes import BANK, CLIENT, COORDINATOR, GRID
from common.trust.authority import fingerprint, renew
from common.trust.revoked import revoke
from tests.patience import patience
from tests.scenarios.end_to_end.lab import (
    UNRATED,
    Lab,
    dataset_files,
    eventually,
    fail,
    finish,
    make_plan,
    make_tables,
    succeed,
    until_training,
)

PREFIX = "Выдра"
OPERATED = {"log_format": "json", "log_level": "DEBUG", "metrics": "127.0.0.1:0"}
SLOW = make_plan("main", model={"iterations": 300})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("operations")
    settings: dict[str, Any] = {name: dict(OPERATED) for name in ("coordinator", "grid", "bank")}
    settings["grid"]["policy"] = settings["bank"]["policy"] = UNRATED
    settings["coordinator"]["attend_timeout"] = 5.0  # one test waits for a bank that will not come
    with Lab(folder, dataset_files(folder, ("main", "bad")), settings) as lab:
        lab.write("main", *make_tables(PREFIX))
        grid, bank = make_tables(PREFIX, 1100)
        bank["y"] = bank["y"].astype(object)
        bank.loc[bank.index[17], "y"] = "Geheim"
        lab.write("bad", grid, bank)
        lab.heal()  # until both attend: a job here waits for them for five seconds
        yield lab


@pytest.fixture
def client(lab: Lab) -> Iterator[Client]:
    with lab.client() as client:
        yield client


def home(lab: Lab, who: Identity) -> Path:
    return lab.folder / "certs" / who.org


def shown(lab: Lab, who: Identity) -> str:
    """The fingerprint of what `who` has in its folder, as far as logs show it."""
    return fingerprint((home(lab, who) / f"{who.role}.pem").read_bytes())[:23]


def presented(lab: Lab, name: str, server: Identity) -> str:
    """The fingerprint of what a new connection is shown."""
    context = ssl.create_default_context(cafile=str(home(lab, server) / "ca.pem"))
    context.load_cert_chain(home(lab, BANK) / f"{BANK.role}.pem", home(lab, BANK) / f"{BANK.role}.key")
    host, _, port = lab.address(name).rpartition(":")
    with (
        socket.create_connection((host, int(port)), patience(10)) as plain,
        context.wrap_socket(plain, server_hostname=server.dns) as secure,
    ):
        return fingerprint(ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True) or b"").encode())[:23]


def lines(lab: Lab, name: str, since: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lab.written(name, since).splitlines()]


def metrics(lab: Lab, name: str) -> dict[str, float]:
    address = next(m[1] for line in lines(lab, name) if (m := re.match(r"metrics at (http://\S+)", line["message"])))
    with urlopen(address, timeout=patience(5)) as reply:
        rows = [row for row in reply.read().decode().splitlines() if not row.startswith("#")]
    return {key: float(value) for key, _, value in (row.rpartition(" ") for row in rows)}


def test_a_job_is_told_in_json_and_in_metrics_and_no_row_is_in_either(lab: Lab, client: Client) -> None:
    good = finish(client, client.submit(make_plan("main")).id)
    assert good.state == "succeeded", good.fault.message
    bad = fail(client, make_plan("bad"))
    assert bad[:2] == ("bank", "DataError")
    # the client may hear of the end before the coordinator has written its line
    eventually(lambda: any(line.get("error") == "DataError" for line in lines(lab, "coordinator")))
    logs = {name: lines(lab, name) for name in lab.processes}
    for name, found in logs.items():
        of_job = [line for line in found if line.get("job") == good.id]
        assert of_job, name
        assert all(line["time"].endswith("+00:00") and line["level"] and line["logger"] for line in found)
    for name in ("grid", "bank"):
        stages = [line["stage"] for line in logs[name] if line.get("job") == good.id and "stage" in line]
        assert list(dict.fromkeys(stages))[:5] == ["connect", "load", "align", "prepare", "train"]
        assert any(line.get("round", 0) > 10 for line in logs[name])
    text = "".join(lab.written(name) for name in lab.processes)
    assert "Geheim" not in text and PREFIX not in text and PREFIX.upper() not in text
    assert ascii(PREFIX)[1:-1] not in text and "PRIVATE KEY" not in text
    assert not re.findall(r"[0-9a-f]{32,}", text)  # no seed
    values = {
        f"{abs(v):.6f}".rstrip("0") for frame in make_tables(PREFIX) for v in frame.select_dtypes("float").to_numpy().ravel()
    }
    assert len(values) > 10_000 and not values & set(re.findall(r"\d+\.\d{3,}", text))
    assert "Geheim" in (lab.data("bank") / "local.log").read_text()  # for the bank itself
    assert "Geheim" not in (lab.data("coordinator") / "local.log").read_text()


def test_a_job_and_one_that_fails_are_in_the_metrics(lab: Lab, client: Client) -> None:
    errors = 'wattscore_job_errors_total{error="DataError"}'
    before = metrics(lab, "bank").get(errors, 0)
    sent_by = 'wattscore_link_bytes_total{direction="sent",link="peer"}', "grid"
    read_by = 'wattscore_link_bytes_total{direction="received",link="peer"}', "bank"

    def idle() -> None:
        for name in ("grid", "bank"):  # each is through a moment after it has said so
            eventually(lambda name=name: metrics(lab, name)["wattscore_jobs_running"] == 0)  # type: ignore[misc]

    assert fail(client, make_plan("bad"))[:2] == ("bank", "DataError")
    idle()
    of_earlier = [metrics(lab, name).get(key, 0) for key, name in (sent_by, read_by)]  # of whose last message one may not know
    job = finish(client, client.submit(make_plan("main", split={"seed": 2})).id)
    assert job.state == "succeeded", job.fault.message
    idle()
    grid, bank, coordinator = (metrics(lab, name) for name in ("grid", "bank", "coordinator"))
    for party in (grid, bank):
        assert party['wattscore_jobs_total{kind="train",state="succeeded"}'] >= 1
        assert party["wattscore_attending"] == 1
        assert party["wattscore_round_seconds_count"] == party["wattscore_rounds_total"] > 20
        assert party['wattscore_stage_seconds_count{stage="train"}'] >= 1
        assert 300 < party['wattscore_certificate_days_left{certificate="own"}'] < 366
    sent, read = grid[sent_by[0]] - of_earlier[0], bank[read_by[0]] - of_earlier[1]
    assert sent >= read >= job.grid.report.peer.sent > 100_000
    dealt = coordinator['wattscore_link_bytes_total{direction="sent",link="grid"}']
    assert dealt >= grid['wattscore_link_bytes_total{direction="received",link="coordinator"}'] > 100_000
    assert coordinator['wattscore_jobs_total{kind="train",state="succeeded"}'] >= 1
    assert [coordinator[f'wattscore_party_attending{{party="{side}"}}'] for side in ("grid", "bank")] == [1, 1]
    assert bank[errors] == before + 1


def test_certificates_are_renewed_while_a_job_runs(lab: Lab, client: Client) -> None:
    """It finishes; the next connections of both sides are made with the new certificates; the old may then be revoked."""
    job = until_training(client, SLOW)
    old = {who: fingerprint((home(lab, who) / f"{who.role}.pem").read_bytes()) for who in (GRID, BANK, COORDINATOR)}
    for who in old:
        renew(home(lab, who), who, home(lab, who))
    assert client.show(job).state == "running"
    for name, who in (("grid", GRID), ("coordinator", COORDINATOR)):
        assert presented(lab, name, who) == shown(lab, who) != old[who][:23]
    assert finish(client, job, 60).state == "succeeded"
    since = {name: len(lab.written(name)) for name in lab.processes}
    for holder in old:
        for who, gone in old.items():
            if holder.org != who.org:
                revoke(home(lab, holder) / "trust", gone, "renewed")
    for who in (GRID, BANK):  # their open streams are of before: cut, and made anew
        text = f"Attend by {who}, certificate {shown(lab, who)}"
        eventually(lambda text=text: text in lab.written("coordinator", since["coordinator"]))  # type: ignore[misc]
    again = finish(client, client.submit(make_plan("main", split={"seed": 3})).id)
    assert again.state == "succeeded", again.fault.message
    assert f"Exchange by {BANK}, certificate {shown(lab, BANK)}" in lab.written("grid", since["grid"])
    assert f"Deal by {GRID}, certificate {shown(lab, GRID)}" in lab.written("coordinator", since["coordinator"])


def hang_up(lab: Lab, name: str, text: str, says: str) -> None:
    """Puts a configuration there, sends SIGHUP, and waits until the daemon says what it made of it."""
    since = len(lab.written(name))
    (lab.folder / f"{name}.toml").write_text(text)
    os.kill(lab.processes[name].pid, signal.SIGHUP)
    eventually(lambda: says in lab.written(name, since))


def test_a_dataset_is_added_without_a_restart_and_a_broken_file_changes_nothing(lab: Lab, client: Client) -> None:
    assert "has no dataset 'late'" in fail(client, make_plan("late"))[2]
    pids = {name: lab.processes[name].pid for name in ("grid", "bank")}
    for name, frame in zip(pids, make_tables("Late"), strict=True):
        table = lab.folder / f"late-{name}.csv"
        frame.to_csv(table, index=False)
        label = 'label = "y"\n' if name == "bank" else ""
        good = (lab.folder / f"{name}.toml").read_text() + f'\n[datasets.late]\npath = "{table}"\nid = "id"\n{label}'
        hang_up(lab, name, good + "[datasets.half", "the one before holds")
        hang_up(lab, name, good, "read anew; datasets: main, bad, late")
    succeed(client, make_plan("late"))
    assert {name: lab.processes[name].pid for name in pids} == pids and all(lab.alive().values())


def test_a_bank_that_is_revoked_loses_its_job_and_gets_no_other_until_renewed(lab: Lab, client: Client) -> None:
    job = until_training(client, make_plan("main", model={"iterations": 1000}, split={"seed": 4}))
    since = {name: len(lab.written(name)) for name in lab.processes}
    cause = f"the certificate of {BANK} is revoked"
    for holder in (COORDINATOR, GRID):
        revoke(home(lab, holder) / "trust", fingerprint((home(lab, BANK) / f"{BANK.role}.pem").read_bytes()), "stolen")
    ended = finish(client, job)
    assert ended.state == "failed" and ended.fault.message.endswith(cause)
    assert ended.fault.kind in ("IdentityError", "PeerFailed")  # the coordinator's own, or the bank's word for it
    origin, kind, message = fail(client, make_plan("main", split={"seed": 5}))
    assert (origin, kind, message) == ("coordinator", "IdentityError", cause)
    for name in ("coordinator", "bank"):  # the grid may hear first that the bank, which was told, has left
        eventually(lambda name=name: cause in lab.written(name, since[name]))  # type: ignore[misc]
    eventually(lambda: metrics(lab, "bank")["wattscore_attending"] == 0)
    renew(home(lab, BANK), BANK, home(lab, BANK))
    eventually(lambda: metrics(lab, "bank")["wattscore_attending"] == 1)
    assert finish(client, client.submit(make_plan("main", split={"seed": 5})).id).state == "succeeded"


def test_a_grid_that_the_bank_alone_has_revoked_is_sent_nothing(lab: Lab, client: Client) -> None:
    file = revoke(home(lab, BANK) / "trust", fingerprint((home(lab, GRID) / f"{GRID.role}.pem").read_bytes()))
    try:
        origin, kind, message = fail(client, make_plan("main", split={"seed": 6}))
        assert (origin, kind, message) == ("bank", "IdentityError", f"the certificate of {GRID} is revoked")
    finally:
        file.unlink()


def test_a_client_refuses_a_coordinator_that_is_revoked_there(lab: Lab, client: Client) -> None:
    assert CLIENT.org == BANK.org
    file = revoke(home(lab, CLIENT) / "trust", fingerprint((home(lab, COORDINATOR) / f"{COORDINATOR.role}.pem").read_bytes()))
    try:
        with pytest.raises(IdentityError, match=f"the certificate of {COORDINATOR} is revoked"):
            client.jobs()
    finally:
        file.unlink()
