"""What a party counts, in the format that Prometheus reads; the dashboard and the alerts ask for nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bank_party.settings import BankSettings
from common.coordinator.board import Board
from common.coordinator.metrics import watch_coordinator
from common.coordinator.service import Coordinator
from common.daemon.drift import watch_drift
from common.errors import ConfigError
from common.monitor.config import MonitorConfig
from common.mpc.session import Array, Kind, Round
from common.party import Identity
from common.process.metrics import JobWatch, MetricsServer, PartyMetrics, watch_process, watch_stock
from common.process.settings import CoordinatorSettings
from common.wire.peer import Counter
from tests.common.coordinator.office import make_settings
from tests.common.wire.test_client import HERE, certificates, load
from tests.patience import patience
from tests.source import ROOT

OBSERVABILITY = ROOT / "deploy" / "observability"


def samples(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """(name, label values in order of name) -> value."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


class Far:
    """A channel whose other end answers at once."""

    def __init__(self) -> None:
        self.sent: list[Round] = []

    async def send(self, round: Round, values: Array) -> None:
        self.sent.append(round)

    async def receive(self, round: Round) -> Array:
        await asyncio.sleep(0)
        return np.zeros(1, np.uint64)


async def test_a_job_is_counted_while_it_runs_and_when_it_is_over() -> None:
    metrics = PartyMetrics(registry := CollectorRegistry())
    peer, dealer, far = Counter(10, 20), Counter(), Far()
    with JobWatch(metrics, "train-1", "train") as watch:
        watch.counting(peer, dealer)
        watch.stage("align")
        channel = watch.channel(far)
        await channel.send(Round(Kind.SPLIT, 1), np.zeros(1, np.uint64))
        for number in (1, 2):
            await channel.receive(Round(Kind.SPLIT, number))
        assert (watch.place.stage, watch.place.round, len(far.sent)) == ("align", 2, 1)
        peer.sent += 5
        during = samples(registry)
        watch.stage("train")
        watch.ended()
    after = samples(registry)
    assert during["wattscore_jobs_running",] == 1 and after["wattscore_jobs_running",] == 0
    assert during["wattscore_link_bytes_total", "sent", "peer"] == 15
    assert [found["wattscore_jobs_total", "train", "succeeded"] for found in (during, after)] == [0, 1]
    assert after["wattscore_rounds_total",] == after["wattscore_round_seconds_count",] == 2
    assert [after["wattscore_stage_seconds_count", stage] for stage in ("align", "train")] == [1, 1]
    assert "wattscore_job_errors_total" not in {name for name, *_ in after}


def test_bytes_of_a_link_go_on_from_job_to_job() -> None:
    metrics = PartyMetrics(registry := CollectorRegistry())
    for _ in range(2):
        peer = Counter()
        with JobWatch(metrics, "j", "train") as watch:
            watch.counting(peer, Counter())
            peer.sent, peer.received = 5, 7
            during = samples(registry)
            watch.ended("PeerLost")
        after = samples(registry)
    for found in (during, after):
        assert [found["wattscore_link_bytes_total", way, "peer"] for way in ("sent", "received")] == [10, 14]


@pytest.mark.parametrize(("error", "state"), [("JobCancelled", "cancelled"), ("PeerLost", "failed"), (None, "failed")], ids=str)
def test_jobs_that_end_badly(error: str | None, state: str) -> None:
    metrics = PartyMetrics(registry := CollectorRegistry())
    with JobWatch(metrics, "j", "score") as watch:
        if error:
            watch.ended(error)
    metrics.refused("score", "PolicyError")
    metrics.refused("", "PlanError")
    found = samples(registry)
    assert found["wattscore_jobs_total", "score", state] == found["wattscore_jobs_total", "score", "refused"] == 1
    assert found["wattscore_jobs_total", "unknown", "refused"] == 1
    assert found["wattscore_job_errors_total", error or "InternalError"] == 1


def test_certificates_stock_and_process(tmp_path: Path) -> None:
    certificates(tmp_path)
    (tmp_path / "stock").mkdir()
    for name, size in (("a.stock", 5), ("b.stock", 7), ("c.part", 99)):
        (tmp_path / "stock" / name).write_bytes(bytes(size))
    registry = CollectorRegistry()
    watch_process(registry, "bank", load(tmp_path, HERE))
    watch_stock(registry, tmp_path / "stock")
    found = samples(registry)
    assert 364 < found["wattscore_certificate_days_left", "own"] < 365
    assert 3649 < found["wattscore_certificate_days_left", "ca:acme"] < 3650
    assert (found["wattscore_stocks",], found["wattscore_stock_bytes",]) == (2, 12)
    assert found["process_resident_memory_bytes",] > 1e6
    assert [value for (name, *_), value in found.items() if name == "wattscore_build_info"] == [1]
    (tmp_path / HERE.org / "trust" / "acme.pem").write_text("none")  # being replaced: the others are still told
    assert ("wattscore_certificate_days_left", "own") in samples(registry)


def test_the_server_serves_one_registry_and_frees_its_port() -> None:
    PartyMetrics(registry := CollectorRegistry())
    server = MetricsServer("127.0.0.1:0", registry)
    with urlopen(f"http://{server.address}/metrics", timeout=patience(5)) as reply:
        assert b"wattscore_jobs_running 0.0" in reply.read()
    with pytest.raises(ConfigError, match="cannot serve metrics"):
        MetricsServer(server.address, registry)
    server.stop()
    with pytest.raises(URLError):
        urlopen(f"http://{server.address}/metrics", timeout=patience(5))


SETTINGS: dict[str, Any] = {
    "tls": {"certificate": "a", "key": "b", "trust": "c"},
    "data": "d",
    "coordinator": {"identity": "wattscore://neutral/coordinator", "address": "n:1"},
    "peer": {"identity": "wattscore://volt/grid", "address": "g:2"},
}


@pytest.mark.parametrize("address", ["0.0.0.0:9101", "192.0.2.1:9101", "metrics.example:9101", "[::]:9101", ":9101"])
def test_metrics_leave_loopback_only_when_that_is_stated(address: str) -> None:
    for exposed in (False, True):
        values = {**SETTINGS, "metrics": address, "metrics_exposed": exposed}
        if exposed and not address.startswith(":"):
            assert BankSettings.model_validate(values).metrics == address
        else:
            with pytest.raises(ValueError, match="metrics"):
                BankSettings.model_validate(values)


@pytest.mark.parametrize("address", ["127.0.0.1:9101", "127.1.2.3:0", "localhost:1", "[::1]:9101"])
def test_loopback_needs_no_more(address: str) -> None:
    assert BankSettings.model_validate({**SETTINGS, "metrics": address}).metrics == address


# The dashboard and the alerts


def known(tmp_path: Path) -> set[str]:
    """Every name that a daemon serves, with a histogram's parts."""
    settings: CoordinatorSettings = make_settings(tmp_path)
    certificates(tmp_path / "certs")
    names = set[str]()
    for role in ("party", "coordinator"):
        registry = CollectorRegistry()
        watch_process(registry, role, load(tmp_path / "certs", HERE))
        if role == "party":
            metrics = PartyMetrics(registry)
            watch_stock(registry, tmp_path)
            watch_drift(registry, tmp_path, MonitorConfig)
            metrics.refused("train", "PolicyError")
            metrics.stage_took("train", 1.0)
        else:
            watch_coordinator(registry, board := Board(tmp_path, settings.members), Coordinator(settings, board))
            names.add("wattscore_job_errors_total")
        names |= {name for name, *_ in samples(registry)}
    return names


def expressions(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        yield from (value for key, value in found.items() if key == "expr")
        found = list(found.values())
    for item in found if isinstance(found, list) else ():
        yield from expressions(item)


def test_the_dashboard_and_the_alerts_ask_for_what_there_is(tmp_path: Path) -> None:
    dashboard = json.loads((OBSERVABILITY / "dashboard.json").read_text())
    alerts = yaml.safe_load((OBSERVABILITY / "alerts.yaml").read_text())
    names = known(tmp_path)
    for where in (dashboard, alerts):
        asked = {name for text in expressions(where) for name in re.findall(r"\b(?:wattscore|process)_\w+", text)}
        assert asked and asked <= names, asked - names
    shown = {n for t in expressions(dashboard) for n in re.findall(r"\bwattscore_\w+", t)}
    assert {n for n in names if n.startswith("wattscore_") and not n.endswith(("_created", "_sum", "_count"))} <= shown


def test_the_alerts_are_rules() -> None:
    alerts = yaml.safe_load((OBSERVABILITY / "alerts.yaml").read_text())
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    assert {rule["alert"] for rule in rules} >= {"WattScoreCertificateExpiring", "WattScoreJobFailed", "WattScorePartyAbsent"}
    for rule in rules:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_scrape_configuration_names_the_ports_of_the_samples() -> None:
    scrape = yaml.safe_load((OBSERVABILITY / "prometheus.yaml").read_text())
    assert scrape["rule_files"] == ["alerts.yaml"]
    (job,) = scrape["scrape_configs"]
    targets = {target for static in job["static_configs"] for target in static["targets"]}
    stated = [re.findall(r'^## metrics = "(.*?)"', file.read_text(), re.MULTILINE) for file in _samples()]
    assert targets == {address for (address,) in stated}


def _samples() -> list[Path]:
    return [OBSERVABILITY.parent / "samples" / f"{role}.toml" for role in ("coordinator", "grid", "bank")]


def test_panels_do_not_overlap_and_have_their_own_number() -> None:
    dashboard = json.loads((OBSERVABILITY / "dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for at in (panel["gridPos"],)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24


def test_identities_are_no_labels(tmp_path: Path) -> None:
    """Who the parties are is for the logs; labels are roles, links, kinds."""
    assert Identity("volt", "server") == HERE
    certificates(tmp_path)
    watch_process(registry := CollectorRegistry(), "grid", load(tmp_path, HERE))
    assert not any("wattscore://" in value for sample in samples(registry) for value in sample)
