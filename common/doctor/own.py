"""What can be seen without the network: certificate, key, trust, who deals, the daemon's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from common.daemon.settings import PartySettings, check_separate
from common.doctor.finding import Finding, Machine, failed, lifetime, passed, warned
from common.doctor.side import Side, orgs
from common.errors import IdentityError, WattScoreError
from common.party import Identity
from common.process.settings import CoordinatorSettings
from common.trust.authority import TrustStore, check_leaf, identity_of, parse_key, read_certificate, verify_peer
from common.trust.succession import end_of
from common.wire.tls import TlsConfig, read_key

PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
"""What gRPC would follow if it were let, in this case only."""
FEW_DESCRIPTORS = 4096
_REISSUE = "Issue a new one with `wattscore certs issue` and put it in place of the old: no restart is needed."


def own_identity(tls: TlsConfig) -> Identity | None:
    """Who this process is by its certificate; None if that cannot be told."""
    try:
        return identity_of(read_certificate(tls.certificate))
    except WattScoreError:
        return None


def check_certificate(tls: TlsConfig, machine: Machine) -> Iterator[Finding]:
    """The certificate itself, its days, its key."""
    try:
        certificate = read_certificate(tls.certificate)
        identity = identity_of(certificate)
        check_leaf(certificate, identity)
    except WattScoreError as error:
        yield failed("certificate", error)
        return
    yield passed("certificate", f"{identity}")
    if machine.now() < certificate.not_valid_before_utc:
        yield failed(
            "certificate days", f"not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC", "Set the clock."
        )
    else:
        yield lifetime("certificate days", certificate.not_valid_after_utc, machine.now(), _REISSUE)
    try:
        if parse_key(read_key(tls.key), str(tls.key)).public_key() != certificate.public_key():
            raise IdentityError(f"{tls.key} is not the key of {tls.certificate}", remedy="Name the two of one role.")
        yield passed("key", "readable by its owner only, and the certificate's")
    except WattScoreError as error:
        yield failed("key", error)
    yield _check_ca_key(tls)


def _check_ca_key(tls: TlsConfig) -> Finding:
    found = [folder / "ca.key" for folder in {tls.certificate.parent, tls.trust.parent} if (folder / "ca.key").exists()]
    if found:
        return warned("CA key", f"{found[0]} is on this machine", "Keep it where nothing else runs: it can issue any identity.")
    return passed("CA key", "not beside the certificate")


def check_proxies() -> Iterator[Finding]:
    """Proxies that the environment names: no connection between WattScore's processes goes through them."""
    for name in PROXIES:
        if os.environ.get(name):
            text = f"{name} is set, and no connection of WattScore goes through it"
            yield warned("proxy", text, "Let this machine reach the others directly, or forward their ports.")


def check_trust(side: Side, machine: Machine) -> Iterator[Finding]:
    """The CA certificate of every organisation the configuration names, and the own chain."""
    trust = TrustStore(side.tls.trust)
    for org in orgs(side):
        check = f"trust {org}"
        try:
            authority = trust.certificate(org)
        except WattScoreError as error:
            yield failed(check, error)
            continue
        yield lifetime(check, authority.not_valid_after_utc, machine.now(), f"Ask {org} for its new bundle.")
        yield from _check_old(org, trust, machine)
    yield _check_chain(side.tls, trust, machine)


def _check_old(org: str, trust: TrustStore, machine: Machine) -> Iterator[Finding]:
    """An old CA that is trusted beside the present one."""
    for file in trust.old_files(org):
        try:
            end = end_of(file)
        except WattScoreError as error:
            yield failed(f"trust {org}", error)
            continue
        if end <= machine.now():
            yield warned(f"trust {org}", f"{file} has ended and is not used", "Remove it.")
        else:
            days = (end - machine.now()).days
            yield passed(f"trust {org}", f"the CA before it is trusted too, for {days} more days: {file.name}")


def _check_chain(tls: TlsConfig, trust: TrustStore, machine: Machine) -> Finding:
    """That the CA which others know by our bundle has issued our certificate."""
    identity = own_identity(tls)
    try:
        if identity is None or identity.org not in trust.orgs:
            org = identity.org if identity else "this organisation"
            return warned("chain", f"the CA of {org} is not in {tls.trust}", "Put its bundle there too: health checks need it.")
        verify_peer(tls.certificate.read_bytes(), trust, machine.now())
    except WattScoreError as error:
        if "expired" in error.message or "not yet valid" in error.message:
            return passed("chain", "issued by the own CA; for its dates see above")
        return failed("chain", error, "Issue this certificate by the CA whose bundle the others have.")
    return passed("chain", f"issued by the CA of {identity.org} that others are given")


def check_dealer(side: Side) -> Finding | None:
    """That who deals belongs to neither party. None for a client."""
    own, settings = own_identity(side.tls), side.settings
    if own is None:
        return None
    try:
        if isinstance(settings, PartySettings):
            check_separate(own, settings)
        elif isinstance(settings, CoordinatorSettings):
            _check_neutral(own, settings)
        else:
            return None
    except WattScoreError as error:
        return failed("dealer separate", error)
    return passed("dealer separate", "the coordinator's organisation is neither party's")


def _check_neutral(own: Identity, settings: CoordinatorSettings) -> None:
    for party in settings.members:
        if party.org == own.org:
            raise IdentityError(
                f"the coordinator {own} belongs to the organisation of {party}",
                remedy="Run it at a third organisation: dealer and one party together can read the other's data.",
            )


def check_descriptors(machine: Machine) -> Finding:
    """That connections of strangers and a job's files fit side by side. The daemon itself asks for all that it may have."""
    if (most := machine.descriptors()) < FEW_DESCRIPTORS:
        return warned(
            "descriptors",
            f"this user may open {most} files and connections, fewer than {FEW_DESCRIPTORS}",
            "Raise the limit: LimitNOFILE in a systemd unit, `ulimits` in Compose, `ulimit -Hn` of the daemon's shell.",
        )
    return passed("descriptors", f"this user may open {most} files and connections")


def check_runs(settings: PartySettings, processors: int) -> Finding:
    """That the party's workers can be of use to a training, so far as this side can tell."""
    count, lanes, check = settings.workers, settings.policy.lanes, "runs of rows"
    if count and lanes == 1:
        text = f"{count} workers and policy.lanes = 1: no training has runs for them"
        return warned(check, text, "Set lanes in [policy], here, at the other party and at the coordinator.")
    if count > (most := min(lanes, processors)):
        text = f"of {count} workers {most} can work at a time: policy.lanes = {lanes}, {processors} processors"
        return warned(check, text, "Have fewer workers, or more lanes.")
    where = f" that wait for the bank at {', '.join(settings.worker_addresses)}" if settings.worker_addresses else ""
    return passed(check, f"{count} workers{where}" if count else "no workers: rows of a training stay together")


def check_folder(data: Path) -> Finding:
    """That the daemon can keep what it must, and others cannot read it."""
    there = data
    while not there.exists() and there != there.parent:
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        return failed(
            "data folder", f"{data}: this user cannot write {there}", "Give it to the daemon's user, as whom to run this."
        )
    if there == data and data.stat().st_mode & 0o077:
        return warned("data folder", f"{data}: other users may enter", f"Run `chmod 700 {data}`: models and stocks are in it.")
    return passed("data folder", str(data))
