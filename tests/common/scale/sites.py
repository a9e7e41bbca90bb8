"""A cluster's configuration and files in a folder, and servers that stand for its ports."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.config import to_toml
from common.scale.settings import RayCluster, load_cluster
from tests.common.web.pki import Pki

GREETING = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # an empty SETTINGS frame of HTTP/2


def site(folder: Path, port: int = 1, host: str = "127.0.0.1") -> Path:
    """ray.toml, and all that it names, made as they should be."""
    pki = Pki(folder / "ray")
    pki.issue("node", "10.78.0.1", "10.78.0.2")
    (folder / "ray" / "token").touch(mode=0o600)
    (folder / "ray" / "token").write_text("7d1a" * 16, encoding="ascii")
    (folder / "scratch").mkdir(mode=0o700)
    named = {
        "scratch": "scratch",
        "token": "ray/token",
        "certificate": "ray/node.pem",
        "key": "ray/node.key",
        "ca": "ray/ca.pem",
    }
    (folder / "ray.toml").write_text(to_toml({"address": f"{host}:{port}", **named}), encoding="utf-8")
    return folder / "ray.toml"


@contextmanager
def served(config: Path, *, tls: bool = True, mutual: bool = True, of: Path | None = None) -> Iterator[RayCluster]:
    """The cluster, of which the head's port greets whoever gets through the handshake. of: another folder of certificates."""
    folder = of or config.parent / "ray"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "node.pem", folder / "node.key")
    if mutual:
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(link, server_side=True) if tls else link as line:
                    line.sendall(GREETING)
                    line.recv(1)
            except OSError:
                link.close()

    thread = threading.Thread(target=serve)
    thread.start()
    port = listener.getsockname()[1]
    config.write_text(config.read_text(encoding="utf-8").replace('127.0.0.1:1"', f'127.0.0.1:{port}"'), encoding="utf-8")
    try:
        yield load_cluster(config)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
