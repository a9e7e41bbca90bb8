"""A provider's HTTPS server at localhost, for tests of who asks it for keys."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.common.web.pki import Pki


@contextmanager
def served(folder: Path, answer: Callable[[str], tuple[int, bytes]]) -> Iterator[tuple[str, Path]]:
    """Its address and the CA it is of, in `folder`. answer: of a path, a status and a body."""
    pki = Pki(folder)
    pki.issue("login")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # of a client that did not wait
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.folder / "login.pem", pki.folder / "login.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}", pki.folder / "ca.pem"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
