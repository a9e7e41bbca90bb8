"""A bank's own PKI for its own network: a CA, a server on loopback, callers; and requests as a program there sends them."""

from __future__ import annotations

import http.client
import ipaddress
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.patience import patience


class Pki:
    """Files NAME.pem and NAME.key in a folder, all of one CA, whose certificate is ca.pem."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = _name("office CA")
        self._write("ca", self._builder("office CA", self._key, ca=True).sign(self._key, hashes.SHA256()), self._key)

    def issue(self, name: str, *addresses: str) -> None:
        """A certificate with this common name, and for servers the addresses of loopback and these."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName("localhost")]
        names += [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", *addresses)]
        builder = self._builder(name, key, ca=False).add_extension(x509.SubjectAlternativeName(names), critical=False)
        self._write(name, builder.sign(self._key, hashes.SHA256()), key)

    def context(self, caller: str | None) -> ssl.SSLContext:
        """What a caller connects with."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if caller is not None:
            context.load_cert_chain(self.folder / f"{caller}.pem", self.folder / f"{caller}.key")
        return context

    def _builder(self, name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        usage = x509.KeyUsage(True, False, False, False, False, ca, ca, False, False)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        (self.folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        file = self.folder / f"{name}.key"
        file.touch(mode=0o600)
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Caller:
    """One connection of one program."""

    def __init__(self, port: int, context: ssl.SSLContext, token: str | None = None) -> None:
        self._line = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=patience(30))
        self._token = {"Authorization": f"Bearer {token}"} if token is not None else {}
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and body; headers of the answer stay in `headers`, in small letters. bytes are sent as they are."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        json_type = {"Content-Type": "application/json"} if body is not None else {}
        self._line.request(method, path, sent, {**self._token, **json_type, **(headers or {})})
        answer = self._line.getresponse()
        text = answer.read()
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, json.loads(text) if text else None

    def score(self, key: str, **asked: Any) -> tuple[int, Any]:
        return self.ask("POST", "/v1/score", asked, {"Idempotency-Key": key})

    def close(self) -> None:
        self._line.close()
