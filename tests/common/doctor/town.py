"""Three organisations on loopback: real certificates, real servers of a grid and a coordinator, four configurations."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bank_party.commands import load_side as bank
from common.config import to_toml
from common.doctor.examine import Load, examine
from common.doctor.finding import Finding, Machine, Report, Status
from common.doctor.side import load_side
from common.party import Identity
from common.trust.authority import export_bundle, import_bundle, issue, make_ca
from common.wire.about import info_service
from common.wire.about_pb2 import Attendance
from common.wire.server import serve
from common.wire.tls import Credentials, TlsConfig
from grid_party.commands import load_side as grid
from tests.patience import patience

WHO = {
    "grid": Identity("volt", "grid-party"),
    "bank": Identity("acme", "bank-party"),
    "coordinator": Identity("neutral", "coordinator"),
    "client": Identity("acme", "client"),
}
PAST = datetime.now(UTC) - timedelta(days=40)
CSV = "id,month,amount,late\nA,2024-01,1.5,0\nB,2024-01,2.5,1\n"
GIB = 1 << 30
LOAD: dict[str, Load] = {"grid": grid, "bank": bank, "coordinator": load_side, "client": load_side}
ROOMY = Machine(
    free_disk=lambda _: 100 * GIB,
    free_memory=lambda: 100 * GIB,
    cores=lambda: 2,
    descriptors=lambda: 1 << 14,
    patience=patience(1),
)


@dataclass
class Town:
    """`ports`: where the grid and the coordinator listen; `attending`: what the coordinator says of the parties."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    attending: list[Attendance] = field(default_factory=list)

    def home(self, name: str) -> Path:
        return self.folder / WHO[name].org

    def tls(self, name: str) -> dict[str, Path]:
        home, role = self.home(name), WHO[name].role
        return {"certificate": home / f"{role}.pem", "key": home / f"{role}.key", "trust": home / "trust"}

    def credentials(self, name: str) -> Credentials:
        return Credentials.load(TlsConfig.model_validate(self.tls(name)))

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"

    def values(self, name: str) -> dict[str, Any]:
        """The configuration of `name`, to be altered by a test."""
        tls, data = {"tls": self.tls(name)}, self.folder / f"{name}-data"
        if name == "coordinator":
            parties = {party: str(WHO[party]) for party in ("grid", "bank")}
            return {**tls, **parties, "listen": self.address(name), "data": data, "clients": [str(WHO["client"])]}
        coordinator = {"identity": str(WHO["coordinator"]), "address": self.address("coordinator")}
        if name == "client":
            return {**tls, "coordinator": coordinator}
        table = {"path": self.folder / f"{name}.csv", "id": "id", "period": "month"}
        party = {**tls, "data": data, "coordinator": coordinator, "datasets": {"table": table}}
        if name == "grid":
            return {**party, "listen": self.address(name), "peer": {"identity": str(WHO["bank"])}}
        table["label"] = "late"
        return {**party, "peer": {"identity": str(WHO["grid"]), "address": self.address("grid")}}

    async def examine(
        self, name: str, values: dict[str, Any] | None = None, machine: Machine = ROOMY, **options: Any
    ) -> Report:
        file = self.folder / f"{name}.toml"
        file.write_text(to_toml(values or self.values(name)), encoding="utf-8")
        return await examine(file, LOAD[name], machine=machine, **options)


@asynccontextmanager
async def town(folder: Path, clock: Callable[[], float] = time.time) -> AsyncIterator[Town]:
    """Everything in order; `clock` is the servers'."""
    here = Town(folder)
    make_homes(folder)
    for name in ("grid", "bank"):
        (folder / f"{name}.csv").write_text(CSV)
        (folder / f"{name}-data").mkdir(mode=0o700)
        here.attending.append(attendance(name))
    known = {who: name for name, who in WHO.items()}
    servers = []
    for name in ("grid", "coordinator"):
        service = info_service(known, lambda: here.attending if name == "coordinator" else (), clock)  # noqa: B023
        orgs = {who.org for who in WHO.values()}
        servers.append(await serve("127.0.0.1:0", here.credentials(name), orgs, [service], origin=name))
        here.ports[name] = servers[-1].port
    try:
        yield here
    finally:
        for server in servers:
            await server.stop(0)


def attendance(name: str, **values: Any) -> Attendance:
    own = {"party": name, "attends": True, "protocol": ROOMY.protocol, "software": ROOMY.software, "since": 1.0, "ahead": 0.1}
    return Attendance(**{**own, **values})


def make_homes(folder: Path) -> None:
    """CAs that are 40 days old, fresh certificates, everybody's trust in everybody."""
    orgs = sorted({who.org for who in WHO.values()})
    for org in orgs:
        make_ca(org, folder / org, now=PAST)
    for who in WHO.values():
        issue(folder / who.org, who, folder / who.org)
    for holder in orgs:
        for org in orgs:
            import_bundle(export_bundle(folder / org), folder / holder / "trust", org)
        (folder / holder / "ca.key").rename(folder / f"{holder}-ca.key")


def replace(home: Path, who: Identity, ca: Path, days: int = 365, now: datetime | None = None) -> None:
    """Another certificate and key where `who` keeps its own, by the CA in folder `ca`."""
    for kind in ("key", "pem"):
        (home / f"{who.role}.{kind}").unlink()
    issue(ca, who, home, days=days, now=now)


def of(report: Report, status: Status) -> dict[str, Finding]:
    return {finding.check: finding for finding in report.findings if finding.status is status}


def the_failure(report: Report, check: str) -> str:
    """The only failure, which is of `check`: what was found and what to do."""
    failures = of(report, Status.FAIL)
    assert list(failures) == [check], failures
    assert failures[check].remedy
    return f"{failures[check].found} | {failures[check].remedy}"
