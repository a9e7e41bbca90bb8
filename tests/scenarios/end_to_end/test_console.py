"""The console of a grid that runs: the link that its command prints, over TLS, and a job that its pages show."""

from __future__ import annotations

import http.client
import socket
import ssl

import pytest

from common.client.client import Client
from common.trial.processes import free_ports
from tests.common.web.pki import Pki
from tests.patience import patience
from tests.scenarios.end_to_end.lab import Lab, eventually, make_plan, make_tables, own, succeed


def ask(port: int, context: ssl.SSLContext, path: str, cookie: str = "") -> tuple[int, dict[str, str], str]:
    line = http.client.HTTPSConnection("localhost", port, context=context, timeout=patience(20))
    try:
        line.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = line.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode()
    finally:
        line.close()


def test_who_opens_the_printed_link_sees_what_the_daemon_does(lab: Lab, client: Client) -> None:
    pki = Pki(lab.folder / "console-pki")
    pki.issue("console")
    (port,) = free_ports(1, lab.reserved)
    files = {"certificate": str(pki.folder / "console.pem"), "key": str(pki.folder / "console.key")}
    lab.write("after", *make_tables("V"))
    lab.restart("grid", console={"listen": f"127.0.0.1:{port}", **files})
    job, context = succeed(client, make_plan("after")).id, pki.context(None)
    assert ask(port, context, "/en/")[0] == 401
    link = own(lab, "grid", "console").splitlines()[0]
    path = link.removeprefix(f"https://127.0.0.1:{port}")
    status, headers, _ = ask(port, context, path)
    cookie = headers["set-cookie"].partition(";")[0]
    assert status == 303 and ask(port, context, path)[0] == 401  # a link serves once
    eventually(lambda: "done" in ask(port, context, f"/en/jobs/{job}", cookie)[2])  # the grid enters that once it is told
    status, _, page = ask(port, context, f"/en/jobs/{job}", cookie)
    assert status == 200 and "which enterprises both sides hold" in page
    assert job in ask(port, context, "/zh/", cookie)[2]
    with pytest.raises(ssl.SSLError):  # whoever does not know its CA, or asks for less than TLS 1.3, sees nothing
        ask(port, ssl.create_default_context(), "/en/", cookie)
    older = pki.context(None)
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        ask(port, older, "/en/", cookie)
    with socket.create_connection(("127.0.0.1", port), timeout=patience(20)) as plain:
        plain.sendall(b"GET /en/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in plain.recv(1000)
    assert cookie not in lab.written("grid") and path not in lab.written("grid")
