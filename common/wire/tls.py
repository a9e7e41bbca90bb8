"""TLS 1.3 with both certificates checked: the credentials of every connection, and who is at its other end.

gRPC's Python has no minimum version of TLS. Naming, as the only suite of TLS 1.2, one that needs a pre-shared key (none
is ever configured) leaves TLS 1.3, whose suites are not named there, as all that can be negotiated. gRPC reads that
setting while it is imported, so this module must be imported before grpc; `Credentials.load` refuses to work otherwise.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import Field

from common.config import StrictModel
from common.errors import ConfigError, IdentityError, PeerLost, PeerProtocolError, WattScoreError
from common.party import Identity
from common.trust.authority import TrustStore, check_dates, check_leaf, identity_of, parse_key, read_certificate
from common.trust.revoked import read_revoked

_SETTING, _UNUSABLE_SUITE = "GRPC_SSL_CIPHER_SUITES", "ECDHE-PSK-AES128-CBC-SHA"
if "grpc" not in sys.modules:
    os.environ[_SETTING] = _UNUSABLE_SUITE
TLS13_ONLY = os.environ.get(_SETTING) == _UNUSABLE_SUITE

import grpc  # noqa: E402
import grpc.aio  # noqa: E402

_log = logging.getLogger(__name__)

_Stamp = list[tuple[int, int, int] | None]  # of files: when last written, size, inode; None for one that is missing


class TlsConfig(StrictModel):
    """The files of a process: its certificate, its key and the folder of organisations it trusts."""

    certificate: Path = Field(description="This process's certificate (PEM), as `wattscore certs issue` made it.")
    key: Path = Field(description="Its private key (PEM, ECDSA P-256), readable by its owner only.")
    trust: Path = Field(description="The folder of trusted CA certificates, one ORG.pem for each organisation.")


@dataclass(frozen=True, repr=False)
class Own:
    """The credentials of this process: identity, certificate and private key (both PEM; the key for signing too)."""

    identity: Identity
    certificate: bytes
    key: bytes
    signer: ec.EllipticCurvePrivateKey


class Credentials:
    """This process's identity and whom it trusts. Files are looked at anew at each use, so that they may be replaced."""

    def __init__(self, config: TlsConfig, own: Own) -> None:
        self.identity, self.trust = own.identity, TrustStore(config.trust)
        self._config = config
        self._held, self._seen = own, _Stamp()

    @classmethod
    def load(cls, config: TlsConfig) -> Credentials:
        """Raises ConfigError for a file that is missing, unreadable or too widely readable, IdentityError for a
        certificate that is outside its dates, of another key or not a leaf."""
        if not TLS13_ONLY:
            raise ConfigError(
                "grpc was imported before common.wire.tls, so connections older than TLS 1.3 would be possible",
                remedy="Import common.wire.tls first.",
            )
        credentials = cls(config, _read_own(config))
        _ = credentials.trust.orgs  # raises if the folder is missing
        read_revoked(config.trust)
        return credentials

    def __repr__(self) -> str:
        return f"Credentials({self.identity})"

    def server(self, orgs: Iterable[str]) -> grpc.ServerCredentials:
        """For a server that only processes of `orgs` may connect to. Replaced files apply to new connections.

        Raises IdentityError for an unknown organisation, and what `load` raises.
        """
        allowed = sorted(set(orgs))
        seen = self._stamp(allowed)

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal seen
            stamp = self._stamp(allowed)
            if stamp == seen:
                return None
            try:
                configuration = self._server_configuration([org for org in allowed if org in self.trust.orgs])
            except WattScoreError as error:
                _log.error("the changed trust is not used for new connections: %s", error)
                return None
            seen = stamp
            return configuration

        first = self._server_configuration(allowed)
        # The stub omits that None means "no change".
        return grpc.dynamic_ssl_server_credentials(first, fetch, require_client_authentication=True)  # type: ignore[arg-type]

    def stamp(self, server: Identity) -> object:
        """Changes when a file that `channel` reads for `server` is replaced."""
        return self._stamp([server.org])

    def channel(self, server: Identity, own: Own | None = None) -> tuple[grpc.ChannelCredentials, list[tuple[str, str]]]:
        """Credentials and channel options with which TLS connects, as `own`, to `server` and to nobody else.

        Raises IdentityError for an unknown organisation.
        """
        own, root = own or self.own(), self.trust.bundle_for([server.org])
        credentials = grpc.ssl_channel_credentials(root, own.key, own.certificate)
        return credentials, [("grpc.ssl_target_name_override", server.dns)]

    def own(self) -> Own:
        """The pair in the files; while they hold none of this identity, as in the middle of a replacement, the last one."""
        stamp = self._stamp([])
        if stamp != self._seen:
            try:
                self._held = self._read_own()
            except WattScoreError as error:
                _log.warning("the replaced TLS files are not used: %s", error)
            self._seen = stamp  # taken before reading: what changes meanwhile is read at the next use
        return self._held

    def _read_own(self) -> Own:
        own = _read_own(self._config)
        if own.identity != self.identity:
            raise IdentityError(f"{self._config.certificate} is of another", expected=self.identity, got=own.identity)
        return own

    def _server_configuration(self, orgs: list[str]) -> grpc.ServerCertificateConfiguration:
        own = self.own()
        return grpc.ssl_server_certificate_configuration([(own.key, own.certificate)], self.trust.bundle_for(orgs))

    def _stamp(self, orgs: list[str]) -> _Stamp:
        trusted = [self._config.trust / f"{org}.pem" for org in orgs]
        with suppress(ConfigError):  # a folder that cannot be read: whoever uses it says so
            trusted += [file for org in orgs for file in self.trust.old_files(org)]
        return [_file_stamp(file) for file in (self._config.certificate, self._config.key, *trusted)]


def caller_certificate(context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
    """The certificate (PEM) of who called. Raises IdentityError if the connection has none."""
    certificates = list(context.auth_context().get("x509_pem_cert", ()))
    if len(certificates) != 1:
        raise IdentityError("the connection has no client certificate", remedy="Connect with TLS and a certificate.")
    return bytes(certificates[0])


def connection_failure(error: grpc.aio.AioRpcError, server: Identity) -> WattScoreError:
    """The meaning of an UNAVAILABLE `error` of a call to `server`: it was not `server` that answered, or nobody usable did.

    A server that refuses this process's certificate closes the connection without a reason: that is a PeerLost.
    """
    details = error.details() or ""
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return PeerProtocolError(f"{server} does not know this call", remedy="Install the same version of WattScore on both.")
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return PeerProtocolError(
            f"a message to or from {server} is larger than a message may be: {details}", remedy="Ask for less at once."
        )
    if "Hostname Verification" in details:
        return IdentityError(f"the server reached is not {server}", remedy="Check the address and the role.")
    if "CERTIFICATE_VERIFY_FAILED" in details:
        reason = details.split("CERTIFICATE_VERIFY_FAILED:")[-1].removesuffix(": OK").strip()
        return IdentityError(f"the server reached did not prove to be {server}: {reason}")
    return PeerLost(
        f"no connection to {server}: {details}",
        remedy="Check its address, that it runs, and in its log whether it refused this process's certificate.",
    )


def _read_own(config: TlsConfig) -> Own:
    certificate = read_certificate(config.certificate)
    pem = read_key(config.key)
    key = parse_key(pem, str(config.key))
    if key.public_key() != certificate.public_key():
        raise IdentityError(f"{config.key} is not the key of {config.certificate}", remedy="Name the two of one role.")
    identity = identity_of(certificate)
    check_dates(certificate, datetime.now(UTC), f"the certificate {config.certificate}")
    check_leaf(certificate, identity)
    return Own(identity, certificate.public_bytes(Encoding.PEM), pem, key)


def read_key(file: Path) -> bytes:
    """A private key (PEM), or another secret. Raises ConfigError for a file that cannot be read, or that others may read."""
    try:
        if file.stat().st_mode & 0o077:
            raise ConfigError(f"{file}: other users may read or change this key", remedy=f"Run `chmod 600 {file}`.")
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})", remedy="Check the path and its permissions.") from None


def _file_stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
