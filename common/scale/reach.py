"""Whether a port of the cluster speaks TLS of the cluster's CA, and to nobody without a certificate of it."""

from __future__ import annotations

import socket
import ssl

from common.errors import ConfigError
from common.scale.settings import RayCluster

_SECONDS = 5.0  # within which a port answers
_START = "Start its nodes with RAY_USE_TLS=1 and certificates of the cluster's own CA; deploy/RAY.md says how."


def check_tls(cluster: RayCluster, host: str, port: int) -> None:
    """Raises ConfigError for a port that does not answer, speaks plaintext, is another's, or takes anybody."""
    where = f"ray {host}:{port}"
    try:
        greeting = _greeting(cluster, host, port, proven=True)
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(
            f"{where}: its certificate is not what {cluster.ca} signed ({error.verify_message})", remedy=_START
        ) from None
    except ssl.SSLError as error:
        raise ConfigError(f"{where}: no TLS that this node's certificate opens ({error.reason})", remedy=_START) from None
    except OSError as error:
        said = error.strerror or str(error) or type(error).__name__
        raise ConfigError(f"{where} does not answer ({said})", remedy="Start the cluster, or correct `address`.") from None
    if not greeting:
        raise ConfigError(f"{where}: refuses this node's certificate", remedy=_START)
    try:
        unproven = _greeting(cluster, host, port, proven=False)
    except OSError:  # an SSLError is one
        return
    if unproven:
        raise ConfigError(f"{where}: talks to who shows no certificate", remedy=_START)


def answers(cluster: RayCluster) -> bool:
    """Whether the head's port still takes connections."""
    host, _, port = cluster.address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS):
            return True
    except OSError:
        return False


def _greeting(cluster: RayCluster, host: str, port: int, proven: bool) -> bytes:
    """The first bytes of the server: of HTTP/2 it speaks first, once it is content with the certificate."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(cluster.ca))
    context.set_alpn_protocols(["h2"])
    if proven:
        context.load_cert_chain(cluster.certificate, cluster.key)
    address = host.strip("[]"), port
    with (
        socket.create_connection(address, timeout=_SECONDS) as link,
        context.wrap_socket(link, server_hostname=address[0]) as line,
    ):
        return line.recv(9)
