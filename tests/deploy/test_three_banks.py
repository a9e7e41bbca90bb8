"""The demo's profile of three banks on a real container engine: from a clean engine to three reports, by one command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pandas as pd
import pytest

from common.trial.demo_setup import BANKS, WHO
from tests.deploy.engine import Demo, eventually

pytestmark = pytest.mark.containers

ENDS = ("three-banks", "three-report", "three-report-2", "three-report-3")


@pytest.fixture(scope="module")
def banks(image: Any, compose: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The profile, up, its jobs done and its reports written. Taken down at the end, whatever happened."""
    found = Demo(image.client, [*compose, "--profile", "three-banks"], tmp_path_factory.mktemp("three-out"), "three")
    try:
        found.compose("up", "-d")
        eventually(lambda: all(ended(found, name) for name in ENDS), 360, lambda: logs(found))
        yield found
    finally:
        found.compose("down", "--volumes", "--timeout", "5")


def ended(demo: Demo, service: str) -> bool:
    state = demo.container(service).attrs["State"]
    assert state["Status"] != "exited" or state["ExitCode"] == 0, logs(demo)
    return bool(state["Status"] == "exited")


def logs(demo: Demo) -> str:
    return "\n".join(f"{name}: {demo.container(name).logs(tail=15).decode()}" for name in (*ENDS, "grid", *BANKS))


def test_all_three_banks_gain_and_have_report_and_decisions(banks: Demo) -> None:
    folder = banks.out / "three-banks"
    result = json.loads((folder / "result.json").read_text())
    rates = {}
    for name in BANKS:
        told = result["banks"][name]
        assert told["auc"]["joint"] > told["auc"]["bank_only"] + 0.03, told
        decided = pd.read_csv(folder / name / "decisions.csv")
        assert set(decided["period"]) == {"2025-12"} and len(decided) > 500
        rates[name] = decided["probability"].mean()
        page = (folder / name / "report.html").read_text(encoding="utf-8")
        assert result["job"] in page and {(folder / name / "report.html").stat().st_mode & 0o777} == {0o644}
    assert rates["bank"] < rates["bank-2"] < rates["bank-3"]  # each as its own customers are


def test_no_network_joins_two_banks(banks: Demo) -> None:
    joined = {name: set(banks.container(name).attrs["NetworkSettings"]["Networks"]) for name in BANKS}
    assert all(not joined[one] & joined[other] for one, other in combinations(BANKS, 2))
    for network in set.union(*joined.values()):
        assert banks.engine.networks.get(network).attrs["Internal"]


@pytest.mark.parametrize("service", BANKS)
def test_a_banks_volume_holds_its_own_key_and_no_other(banks: Demo, service: str) -> None:
    found = banks.run(service, "find", "/data", "-name", "*.key", "-printf", "%f %m %u\n").splitlines()
    own = [WHO[service].role] if service == "coordinator" else [WHO[service].role, "tags"]  # the latter is not of a certificate
    assert sorted(found) == [f"{name}.key 600 wattscore" for name in own]


@pytest.mark.parametrize("service", ["grid", *BANKS])
def test_a_doctor_at_each_sees_all_parties(banks: Demo, service: str) -> None:
    party = "grid" if service == "grid" else "bank"
    said = banks.run(service, f"{party}-party", "doctor", "--config", f"/data/{party}.toml")
    for who in BANKS.values():
        assert re.search(rf"bank {who.org} attends", said), said
