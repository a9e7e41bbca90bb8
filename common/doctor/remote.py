"""One other process as seen from here: port, TLS, identity, certificate, whether it takes us, its clock and its versions."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from common.doctor.finding import Finding, Machine, failed, lifetime, passed, warned
from common.doctor.side import Side
from common.errors import PeerProtocolError, WattScoreError
from common.party import Identity
from common.trust.authority import TrustStore, check_leaf, identity_of, parse_certificate, verify_peer
from common.wire.about import Answer, ask
from common.wire.about_pb2 import AboutReply, Attendance
from common.wire.client import Connection
from common.wire.probe import certificate_at, connect
from common.wire.tls import Credentials

CONNECT, GREET, ANSWER = 2.5, 1.5, 3.0  # seconds of a step; who is not there is known after the first two
_CLOSE, _FAR = 5.0, 300.0  # seconds clocks may differ; beyond the second, new certificates are not valid yet at the other


@dataclass
class Visit:
    """A look at one process: what was found there, and what it said if it said anything."""

    findings: list[Finding] = field(default_factory=list)
    about: AboutReply | None = None


async def visit(side: Side, name: str, who: Identity, address: str, own: Credentials | None, machine: Machine) -> Visit:
    """Every check of `who`, called `name`, at HOST:PORT `address`; the first that fails ends it. `own` None: not to be used."""
    found = Visit()
    try:
        link = await connect(address, CONNECT * machine.patience)
    except WattScoreError as error:
        found.findings.append(failed(f"{name} port", error))
        return found
    found.findings.append(passed(f"{name} port", f"{address} answers"))
    if not await _greet(side, name, who, link, machine, found):
        return found
    if own is not None:
        await _question(side, name, who, address, own, machine, found)
    return found


async def _greet(side: Side, name: str, who: Identity, link: socket.socket, machine: Machine, found: Visit) -> bool:
    """TLS, and whose certificate is shown; whether it is the expected one's and valid."""
    try:
        pem = await certificate_at(link, who, GREET * machine.patience)
    except WattScoreError as error:
        found.findings.append(failed(f"{name} TLS", error))
        return False
    found.findings.append(passed(f"{name} TLS", "TLS 1.3"))
    new = list(_identity(side, name, who, pem, machine))
    found.findings += new
    return all(finding.status is not finding.status.FAIL for finding in new)


def _identity(side: Side, name: str, who: Identity, pem: bytes, machine: Machine) -> Iterator[Finding]:
    try:
        certificate = parse_certificate(pem, "what it shows")
        shown = identity_of(certificate)
        check_leaf(certificate, shown)
    except WattScoreError as error:
        yield failed(f"{name} identity", error, "Check the address: what listens there is no WattScore process.")
        return
    if shown != who:
        yield _another(side, name, who, shown)
        return
    end = certificate.not_valid_after_utc
    dates = lifetime(f"{name} certificate days", end, machine.now(), f"Tell {who.org}: it must issue a new one.")
    try:
        verify_peer(pem, TrustStore(side.tls.trust), min(machine.now(), end))
        yield passed(f"{name} identity", f"{who}, by the trusted CA of {who.org}")
    except WattScoreError as error:
        yield failed(f"{name} identity", error)
    yield dates


def _another(side: Side, name: str, who: Identity, shown: Identity) -> Finding:
    """Somebody else answers: somebody the configuration knows by another name, or a stranger."""
    text = f"{shown} answers where {who} is expected"
    for other, identity in side.others.items():
        if identity == shown:
            return failed(
                f"{name} identity",
                f"{text}: that is the {other}",
                f"The {name} and the {other} are swapped: correct their identities or their addresses.",
            )
    return failed(
        f"{name} identity", text, f"Correct the identity or the address of the {name}, or ask {who.org} who runs there."
    )


async def _question(
    side: Side, name: str, who: Identity, address: str, own: Credentials, machine: Machine, found: Visit
) -> None:
    """A call over mTLS, as jobs make it: does it take us, what time is it there, what runs there?"""
    try:
        connection = Connection(address, who, own)
        try:
            answer = await ask(connection, ANSWER * machine.patience, machine.seconds)
        finally:
            await connection.close()
    except PeerProtocolError as error:
        found.findings.append(failed(f"{name} versions", error, "Install the same version on both."))
    except WattScoreError as error:
        remedy = (
            f"Have {who.org} `wattscore certs trust` this organisation's bundle and list {own.identity} in its configuration;"
            " its log says why it refuses: `unable to get local issuer certificate` is of a CA it does not trust."
        )
        found.findings.append(failed(f"{name} takes us", f"it does not answer a call: {error.message}", remedy))
    else:
        found.about = answer.about
        found.findings += _answered(side, name, own.identity, answer, machine)


def _answered(side: Side, name: str, own: Identity, answer: Answer, machine: Machine) -> Iterator[Finding]:
    about, expected = answer.about, side.role
    if about.caller == expected or name == expected:
        yield passed(f"{name} takes us", f"as the {expected}")
    else:
        known = f"the {about.caller}" if about.caller else "nobody it knows"
        remedy = f"Its configuration must name {own} as the {expected}; check that no identities are swapped."
        yield failed(f"{name} takes us", f"{own} is {known} there, not the {expected}", remedy)
    yield check_clock(f"{name} clock", answer.ahead)
    yield check_versions(f"{name} versions", about.protocol, about.software, machine)


def check_clock(check: str, ahead: float, whose: str = "this machine's") -> Finding:
    """`ahead`: seconds by which the other clock is ahead of `whose`."""
    text = f"{whose}, within {_CLOSE:.0f} s"
    if abs(ahead) > _CLOSE:
        text = f"{timedelta(seconds=round(abs(ahead)))} {'ahead of' if ahead > 0 else 'behind'} {whose}"
    remedy = "Set both clocks by NTP: certificates, logs and ledgers go by them."
    if abs(ahead) > _FAR:
        return failed(check, text, remedy)
    return warned(check, text, remedy) if abs(ahead) > _CLOSE else passed(check, text)


def check_versions(check: str, protocol: int, software: str, machine: Machine) -> Finding:
    text = f"WattScore {software or '?'}, protocol {protocol}"
    if (protocol, software) == (machine.protocol, machine.software):
        return passed(check, text)
    ours = f"here {machine.software}, protocol {machine.protocol}"
    return failed(check, f"{text} there; {ours}", "Install the same version on all sides, and restart the daemons.")


def check_attendance(party: Attendance, expected: str, own: bool, machine: Machine) -> Iterator[Finding]:
    """The coordinator's word on a party; `own`: it is the very one whose doctor this is."""
    check = f"{expected} attends"
    if not party.attends:
        since = " any more" if party.since else ""
        text = f"the {expected} does not attend the coordinator{since}"
        if own:
            yield warned(check, text, "Start this daemon; if it runs, see its log.")
        else:
            yield failed(check, text, f"Have the {expected} started; its own doctor says what keeps it from the coordinator.")
        if not party.protocol or party.protocol == machine.protocol:
            return
    else:
        yield passed(check, "connected to the coordinator")
    if party.HasField("ahead"):
        yield check_clock(f"{expected} clock", party.ahead, "the coordinator's")
    yield check_versions(f"{expected} versions", party.protocol, party.software, machine)
