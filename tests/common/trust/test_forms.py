"""What other verifiers make of the certificates: OpenSSL takes them; the one that lacks constraints on URIs refuses."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import verification

from common.errors import ConfigError
from common.party import Identity
from common.trust.authority import issue, make_ca, parse_key

GRID = Identity("volt", "grid")


@pytest.fixture
def volt(tmp_path: Path) -> Path:
    make_ca("volt", tmp_path)
    issue(tmp_path, GRID, tmp_path)
    return tmp_path


def test_openssl_takes_them_on_both_sides(volt: Path) -> None:
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.load_cert_chain(volt / "grid.pem", volt / "grid.key")
        context.load_verify_locations(volt / "ca.pem")
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=GRID.dns)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    ended: set[ssl.SSLObject] = set()
    for _ in range(8):
        for end in (here, there):
            try:
                end.do_handshake()
                ended.add(end)
            except ssl.SSLWantReadError:
                continue
    assert ended == {here, there} and here.version() == "TLSv1.3"


def test_a_verifier_without_constraints_on_uris_refuses_them(volt: Path) -> None:
    """As the page for those with a PKI says; once this passes, that page is to change."""
    ca, leaf = (x509.load_pem_x509_certificate((volt / name).read_bytes()) for name in ("ca.pem", "grid.pem"))
    builder = verification.PolicyBuilder().store(verification.Store([ca]))
    with pytest.raises(verification.VerificationError):
        builder.build_client_verifier().verify(leaf, [])


@pytest.mark.parametrize("kind", ["P-384", "RSA"])
def test_other_keys_are_refused_by_name(kind: str) -> None:
    key = ec.generate_private_key(ec.SECP384R1()) if kind == "P-384" else rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ConfigError, match=r"the key is not an ECDSA P-256 key"):
        parse_key(pem, "the key")
