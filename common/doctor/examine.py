"""All checks of one configuration, those that wait for others side by side: this side, and through it the other."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from common.daemon.settings import PartySettings
from common.doctor.data import check_datasets, check_plan, check_room, check_workers, dealer_needs, party_needs
from common.doctor.finding import Finding, Machine, Report, Status, failed, passed, warned, worst
from common.doctor.own import (
    check_certificate,
    check_dealer,
    check_descriptors,
    check_folder,
    check_proxies,
    check_runs,
    check_trust,
    own_identity,
)
from common.doctor.remote import Visit, check_attendance, visit
from common.doctor.side import Side
from common.errors import WattScoreError
from common.party import Bank, Identity, Party
from common.plan.read import AnyPlan, load_plan
from common.process.settings import ClientSettings, CoordinatorSettings
from common.rows.extent import Extent
from common.wire.probe import unhurried
from common.wire.tls import Credentials

Load = Callable[[Path], Side]
_DISK = 4.0  # seconds in which datasets must answer


async def examine(config: Path, load: Load, plan: Path | None = None, machine: Machine | None = None) -> Report:
    """Everything that can be found out in less than 10 seconds times the machine's patience; never raises what is wrong."""
    machine = machine or Machine()
    try:
        side = load(config)
        asked = load_plan(plan) if plan else None
    except WattScoreError as error:
        return Report("unknown", "", (failed("configuration", error, "Every key is in deploy/samples, with its default."),))
    own = own_identity(side.tls)
    findings = [passed("configuration", f"{config}: a {side.role}'s, every key known"), *_look_inside(side, machine)]
    data, visits, daemon = await asyncio.gather(
        _check_data(side, asked, machine), _visit_all(side, machine), _visit_own(side, machine)
    )
    findings += [*data, *daemon.findings]
    for found in visits.values():
        findings += found.findings
    findings += _attendances(side, own, daemon, visits, machine)
    return Report(side.role, str(own or ""), tuple(findings))


def _look_inside(side: Side, machine: Machine) -> Iterator[Finding]:
    yield from check_certificate(side.tls, machine)
    yield from check_trust(side, machine)
    yield from check_proxies()
    if (dealer := check_dealer(side)) is not None:
        yield dealer
    if isinstance(side.settings, PartySettings):
        yield check_runs(side.settings, machine.cores())
    yield from side.more(machine)


def _credentials(side: Side) -> Credentials | None:
    """None if they cannot be used; what is wrong with them is found elsewhere."""
    try:
        return Credentials.load(side.tls)
    except WattScoreError:
        return None


async def _visit_all(side: Side, machine: Machine) -> dict[str, Visit]:
    """Everybody whom this process dials."""
    own = _credentials(side)
    visits = [visit(side, name, who, address, own, machine) for name, (who, address) in side.dialled.items()]
    return dict(zip(side.dialled, await asyncio.gather(*visits), strict=True))


async def _visit_own(side: Side, machine: Machine) -> Visit:
    """This configuration's own daemon, if it listens: the one that runs is not always the one that was installed."""
    own = own_identity(side.tls)
    if side.listens is None or own is None or side.listens.endswith(":0"):
        return Visit()
    error = await unhurried(_bind, side.listens)
    if error == errno.EADDRINUSE:
        return await visit(side, side.role, own, side.listens, _credentials(side), machine)
    if error:
        text = f"cannot listen on {side.listens}: {errno.errorcode.get(error, error)}"
        return Visit([failed(f"{side.role} port", text, "Correct `listen`: an address of this machine, a port above 1023.")])
    remedy = "Start it; then run this again."
    return Visit([warned(f"{side.role} port", f"nothing listens on {side.listens}: this daemon does not run", remedy)])


def _bind(address: str) -> int:
    """0 if a server could listen there, else why not (errno)."""
    host, _, port = address.rpartition(":")
    try:
        family, kind, number, _, place = socket.getaddrinfo(host.strip("[]"), int(port), 0, socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, number) as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that were just closed are no servers
            link.bind(place)
            link.listen(1)
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


async def _check_data(side: Side, plan: AnyPlan | None, machine: Machine) -> list[Finding]:
    if isinstance(side.settings, ClientSettings):
        return []
    limit = _DISK * machine.patience
    try:
        async with asyncio.timeout(limit):
            return await unhurried(_look_at_data, side.settings, side, plan, machine)
    except TimeoutError:
        remedy = "Look at the mount of the datasets; if this machine is merely busy, ask with --patience 5."
        return [failed("data", f"the headers of the datasets could not be read within {limit:g} s", remedy)]


def _look_at_data(
    settings: PartySettings | CoordinatorSettings, side: Side, plan: AnyPlan | None, machine: Machine
) -> list[Finding]:
    findings = [check_folder(settings.data), check_descriptors(machine)]
    if isinstance(settings, CoordinatorSettings) or side.party is None:
        assert isinstance(settings, CoordinatorSettings)  # noqa: S101
        findings += check_workers(settings, machine)
        return [*findings, *check_room(settings, dealer_needs(settings), machine)]
    sizes: Mapping[str, Extent]
    found, sizes = check_datasets(settings, side.party)
    findings += found
    if plan is not None:
        findings.append(check_plan(plan, settings, side.party))
    return [*findings, *check_room(settings, party_needs(settings, side.party, sizes, plan), machine)]


def _attendances(
    side: Side, own: Identity | None, daemon: Visit, visits: Mapping[str, Visit], machine: Machine
) -> Iterator[Finding]:
    """The coordinator's word on the parties: the only way to see the bank, which nobody can dial."""
    source = daemon if side.role == "coordinator" else visits.get("coordinator", Visit())
    if source.about is None:
        if worst(source.findings) is not Status.FAIL:
            return
        others = [name for name in ("grid", "bank") if name not in (side.role, *side.dialled)]
        for name in others:
            yield warned(f"{name} attends", "not known: only the coordinator could tell", "Mend what is wrong there first.")
        return
    name = Bank(own).value if side.party is Party.BANK and own is not None else side.role  # where there are several banks
    for party in source.about.parties:
        yield from check_attendance(party, party.party, party.party in (side.role, name), machine)
