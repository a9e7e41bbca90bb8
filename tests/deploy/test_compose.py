"""The two-party demo on a real container engine: up, trained, crashed, cut, recovered, and gone. In this order."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from common.party import Party
from common.trial.demo import lay_out
from common.trial.demo_setup import WHO
from tests.deploy.engine import DAEMONS, Demo, eventually

pytestmark = pytest.mark.containers

CRASH = "import os, signal; os.kill(-1, signal.SIGKILL)"  # all but the container's init and this


def start_training(demo: Demo) -> str:
    """The name of a job that both parties are training, and will be for long."""
    job = demo.client("start")
    assert job["state"] == "running", job["fault"]
    name: str = job["id"]
    return name


def await_cause(demo: Demo, job: str) -> dict[str, Any]:
    """What interrupted a job, which is then cancelled."""
    found = demo.client("interrupted", job)
    cause: dict[str, Any] = found["disturbed"]
    assert cause["message"], found
    return cause


def trains_again(demo: Demo) -> None:
    """All daemons become healthy, and a new job succeeds."""
    demo.await_healthy()
    job = demo.client("train")
    assert job["state"] == "succeeded", job["fault"]


def test_the_demo_trains_and_leaves_its_result_on_the_host(demo: Demo) -> None:
    said = " ".join(demo.compose("run", "--rm", "-T", "client", "demo").split())
    result = json.loads((demo.out / "result.json").read_text())
    assert result["auc"]["joint"] - result["auc"]["bank_only"] > 0.1
    assert result["auc_difference"]["low"] > 0.05
    assert f"{result['auc']['joint']:.3f} ({result['auc_difference']['value']:+.3f}, 95 %" in said


def test_the_bank_leaves_report_and_decisions_on_the_host(demo: Demo) -> None:
    said = demo.compose("run", "--rm", "-T", "report")
    decided = pd.read_csv(demo.out / "decisions.csv")
    assert set(decided["period"]) == {"2025-12"} and f"{len(decided):,} enterprises" in said
    assert "loan_amount_last" in said
    reasons = "; ".join(decided["reasons"].dropna())
    assert "Repayments due" in reasons and "Electricity" not in reasons  # the bank's own: the grid's need opened weights
    for party in ("grid", "bank"):  # what follows trains more often than one client may in a day
        client = ("wattscore://try-bank/client", "--jobs", "100", "--models", "100")
        demo.compose("exec", "-T", party, f"{party}-party", "allow", *client, "--config", f"/data/{party}.toml")
    assert {(demo.out / name).stat().st_mode & 0o777 for name in ("decisions.csv", "report.html", "monitor.html")} == {0o644}


def test_its_world_is_that_of_the_demo_on_one_machine(demo: Demo, tmp_path: Path) -> None:
    homes = {party: tmp_path / party.value for party in Party}
    for home in homes.values():
        home.mkdir()
    lay_out(homes, 4000, 7)
    for party, home in homes.items():
        for records in home.iterdir():
            found = demo.run(party.value, "sha256sum", f"/data/{records.name}").split()[0]
            assert found == hashlib.sha256(records.read_bytes()).hexdigest()
        demo.run(party.value, "sh", "-c", "test -s /data/quality.html && test -s /data/history.parquet")


@pytest.mark.parametrize("service", DAEMONS)
def test_a_volume_holds_its_owners_key_and_no_other(demo: Demo, service: str) -> None:
    found = demo.run(service, "find", "/data", "-name", "*.key", "-printf", "%f %m %u\n").splitlines()
    own = [WHO[service].role] if service == "coordinator" else [WHO[service].role, "tags"]  # the latter is not of a certificate
    assert sorted(found) == [f"{name}.key 600 wattscore" for name in own]
    demo.run(service, "sh", "-c", "! grep -rl 'PRIVATE KEY' /data --include='*.pem'")


def test_who_can_reach_whom(demo: Demo) -> None:
    joined = {name: set(demo.container(name).attrs["NetworkSettings"]["Networks"]) for name in DAEMONS}
    own = {name: {network.removeprefix(f"{demo.project}_") for network in found} for name, found in joined.items()}
    more = {f"{kind}-{k}{rest}" for kind, rest in (("parties", ""), ("bank", "-dealer")) for k in (2, 3)}  # of further banks
    assert own["grid"] - more == {"parties", "grid-dealer"} and own["bank"] == {"parties", "bank-dealer"}
    assert own["coordinator"] - more == {"grid-dealer", "bank-dealer", "clients"}
    for name in set.union(*own.values()):
        assert demo.network(name).attrs["Internal"]  # no way out of this machine
    assert [demo.container(name).ports for name in DAEMONS if any(demo.container(name).ports.values())] == []


def test_the_bank_listens_on_its_own_loopback_only(demo: Demo) -> None:
    def listening(service: str) -> set[tuple[str, int]]:
        lines = demo.run(service, "cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines()
        rows = [line.split() for line in lines if "local_address" not in line]
        places = [row[1].split(":") for row in rows if row[3] == "0A"]
        return {(address, int(port, 16)) for address, port in places if not address.endswith("0B00007F")}  # the engine's DNS

    (at_bank,) = listening("bank")
    assert at_bank == ("0100007F", 7002)
    assert {port for _, port in listening("grid")} == {7001}


@pytest.mark.parametrize("service", DAEMONS)
def test_a_daemon_has_no_privilege_and_writes_only_its_volume_and_tmp(demo: Demo, service: str) -> None:
    status = dict(line.split(":", 1) for line in demo.run(service, "cat", "/proc/self/status").splitlines())
    assert status["Uid"].split() == ["10001"] * 4
    assert [int(status[key], 16) for key in ("CapEff", "CapPrm", "CapBnd", "CapAmb")] == [0] * 4
    assert status["NoNewPrivs"].strip() == "1"
    for folder, code in (("/", 1), ("/opt/wattscore", 1), ("/etc", 1), ("/data", 0), ("/tmp", 0)):
        demo.run(service, "sh", "-c", f"test -w {folder}", code=code)
    limits = demo.container(service).attrs["HostConfig"]
    assert limits["ReadonlyRootfs"] and limits["Memory"] and limits["NanoCpus"] and limits["PidsLimit"]
    assert limits["LogConfig"]["Config"]["max-size"]


@pytest.mark.parametrize("service", ["grid", "coordinator"])
def test_a_crash_in_the_middle(demo: Demo, service: str) -> None:
    """The job waits and names who was lost; the engine starts the daemon again; the next job succeeds."""
    job = start_training(demo)
    before = demo.container(service).attrs["RestartCount"]
    demo.run(service, "python", "-c", CRASH)
    fault = await_cause(demo, job)
    assert any(name in fault["message"] for name in DAEMONS), fault
    eventually(lambda: demo.container(service).attrs["RestartCount"] > before, 30, demo.report)
    trains_again(demo)


@pytest.mark.parametrize(("network", "service"), [("parties", "bank"), ("grid-dealer", "grid")])
def test_a_cut_network(demo: Demo, network: str, service: str) -> None:
    """The job waits with a cause; nobody crashes; once the network is back, the next job succeeds."""
    job = start_training(demo)
    starts = started(demo)
    demo.network(network).disconnect(demo.container(service))
    fault = await_cause(demo, job)
    demo.network(network).connect(demo.container(service), aliases=[service])
    assert fault["kind"] == "PeerLost" and any(name in fault["message"] for name in DAEMONS), fault
    trains_again(demo)
    assert started(demo) == starts


def started(demo: Demo) -> list[str]:
    return [demo.container(name).attrs["State"]["StartedAt"] for name in DAEMONS]


def test_stopped_they_end_in_order_and_nothing_is_left(demo: Demo) -> None:
    demo.leave()
    demo.compose("stop")
    assert [demo.container(name).attrs["State"]["ExitCode"] for name in DAEMONS] == [0, 0, 0]
    mounted = demo.volumes()
    assert mounted == {f"{demo.project}_{name}" for name in WHO}  # none without a name
    demo.compose("down", "--volumes")
    assert demo.leftovers() == []
