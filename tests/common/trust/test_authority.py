"""The certificate authority, what it issues, whom it trusts, and the command line around it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError, IdentityError
from common.party import Identity
from common.trust import authority
from common.trust.authority import TrustStore, export_bundle, import_bundle, issue, make_ca, verify_peer
from common.trust.cli import certs

START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
GRID = Identity("volt", "grid")
BOTH = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


@pytest.fixture
def volt(tmp_path: Path) -> Path:
    return make_ca("volt", tmp_path / "volt", 100, now=START).parent


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    return make_ca("acme", tmp_path / "acme", 100, now=START).parent


@pytest.fixture
def trust(volt: Path, acme: Path, tmp_path: Path) -> TrustStore:
    for folder in (volt, acme):
        import_bundle(export_bundle(folder), tmp_path / "trust", folder.name, now=START)
    return TrustStore(tmp_path / "trust")


def forge(ca: Path, uris: list[str], usages: tuple[x509.ObjectIdentifier, ...] = BOTH, *, is_ca: bool = False) -> bytes:
    """A leaf by the CA in `ca` that `issue` would not make."""
    key = load_pem_private_key((ca / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate((ca / "ca.pem").read_bytes())
    leaf_key = ec.generate_private_key(ec.SECP256R1()).public_key()
    builder = x509.CertificateBuilder(issuer.subject, x509.Name([]), leaf_key, 7, START - DAY, START + DAY)
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def forge_ca(org: str, drop: str = "", permitted: list[x509.GeneralName] | None = None) -> bytes:
    """A self-signed CA certificate of `org` without the extension `drop`, or with other permitted names."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, org)])
    limits = permitted or [x509.DNSName(f"{org}.wattscore"), x509.UniformResourceIdentifier(org)]
    extensions: dict[str, x509.ExtensionType] = {
        "basic": x509.BasicConstraints(True, 0),
        "usage": x509.KeyUsage(False, False, False, False, False, True, True, False, False),
        "limits": x509.NameConstraints(limits, None),
    }
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, START - DAY, START + DAY)
    for name, extension in extensions.items():
        if name != drop:
            builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


# Making


def test_a_ca_is_limited_to_its_organisation(volt: Path) -> None:
    certificate = authority.read_certificate(volt / "ca.pem")
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    limits = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert basic.critical and basic.value.ca and basic.value.path_length == 0
    assert limits.critical and limits.value.permitted_subtrees == [
        x509.DNSName("volt.wattscore"),
        x509.UniformResourceIdentifier("volt"),
    ]


def test_keys_are_p256_and_for_their_owner_only(volt: Path) -> None:
    issue(volt, GRID, volt, now=START)
    for file in (volt / "ca.key", volt / "grid.key"):
        assert file.stat().st_mode & 0o777 == 0o600
        assert authority.parse_key(file.read_bytes(), "key").curve.name == "secp256r1"


def test_a_certificate_carries_its_identity_twice(volt: Path) -> None:
    certificate = authority.read_certificate(issue(volt, GRID, volt, now=START))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["wattscore://volt/grid"]
    assert names.get_values_for_type(x509.DNSName) == ["grid.volt.wattscore"]
    assert authority.identity_of(certificate) == GRID


def test_nothing_is_overwritten(volt: Path) -> None:
    issue(volt, GRID, volt, now=START)
    before = {file: file.read_bytes() for file in volt.iterdir()}
    with pytest.raises(ConfigError, match=r"ca\.key exists already"):
        make_ca("volt", volt)
    with pytest.raises(ConfigError, match=r"grid\.key exists already"):
        issue(volt, GRID, volt, now=START)
    (volt / "grid.key").unlink()
    with pytest.raises(ConfigError, match=r"grid\.pem exists already"):
        issue(volt, GRID, volt, now=START)
    assert not (volt / "grid.key").exists()
    assert {file: before[file] for file in volt.iterdir()} == {file: file.read_bytes() for file in volt.iterdir()}


def test_a_folder_that_cannot_be_made(volt: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        make_ca("volt", volt / "ca.pem" / "inner")


def test_a_ca_issues_for_its_organisation_only(volt: Path, acme: Path) -> None:
    with pytest.raises(IdentityError, match="cannot issue wattscore://acme/bank"):
        issue(volt, Identity("acme", "bank"), volt, now=START)
    (volt / "ca.key").write_bytes((acme / "ca.key").read_bytes())
    with pytest.raises(IdentityError, match="do not belong together"):
        issue(volt, GRID, volt, now=START)
    with pytest.raises(IdentityError, match="not an identity"):
        make_ca("Volt Ltd", volt)


def test_a_certificate_does_not_outlive_its_ca(volt: Path) -> None:
    ca = authority.read_certificate(volt / "ca.pem")
    leaf = authority.read_certificate(issue(volt, GRID, volt, 365, now=START))
    assert leaf.not_valid_after_utc == ca.not_valid_after_utc
    with pytest.raises(IdentityError, match=r"the CA in .* expired"):
        issue(volt, Identity("volt", "late"), volt, now=START + 101 * DAY)


@settings(deadline=None)
@given(st.integers(-1000, 100))
def test_days_left_round_down(hours: int) -> None:
    certificate = x509.load_pem_x509_certificate(forge_ca("volt"))
    assert authority.days_left(certificate, START + DAY - timedelta(hours=hours)) == hours // 24


def test_a_fingerprint_is_openssls(volt: Path) -> None:
    pem = (volt / "ca.pem").read_bytes()
    text = authority.fingerprint(pem)
    assert len(text) == 32 * 3 - 1
    digest = x509.load_pem_x509_certificate(pem).fingerprint(SHA256())
    assert bytes.fromhex(text.replace(":", "")) == digest
    assert ssl.PEM_cert_to_DER_cert(pem.decode())  # PEM as other tools read it


# Trusting


def test_bundles_are_the_certificate_alone(volt: Path, trust: TrustStore) -> None:
    assert export_bundle(volt).read_bytes() == (volt / "ca.pem").read_bytes()
    assert trust.orgs == ("acme", "volt")
    assert trust.bundle_for(["volt", "acme", "volt"]).count(b"BEGIN CERTIFICATE") == 2
    with pytest.raises(IdentityError, match="'elsewhere' is unknown"):
        trust.bundle_for(["volt", "elsewhere"])
    with pytest.raises(IdentityError, match="no organisation"):
        trust.bundle_for([])
    with pytest.raises(ConfigError, match="not a folder"):
        _ = TrustStore(volt / "nothing").orgs


def test_an_unknown_organisation_is_told_no_path(trust: TrustStore) -> None:
    with pytest.raises(IdentityError) as caught:
        trust.certificate("../volt")
    assert str(trust.folder) in str(caught.value) and str(trust.folder) not in caught.value.public


BAD_BUNDLES = {
    "is of another organisation": forge_ca("acme"),
    "not a PEM certificate": b"hello",
    "must hold one certificate": forge_ca("volt") * 2,
    "not a CA certificate": forge_ca("volt", drop="basic"),
    "CA certificate of path": forge_ca("volt", drop="usage"),
    "not limited": forge_ca("volt", drop="limits"),
    "limited to the names": forge_ca("volt", permitted=[x509.DNSName("wattscore"), x509.UniformResourceIdentifier("volt")]),
    "limited to": forge_ca("volt", permitted=[x509.DNSName("volt.wattscore")]),
}


@pytest.mark.parametrize("message", BAD_BUNDLES)
def test_bad_bundles_are_refused(message: str, tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(BAD_BUNDLES[message])
    with pytest.raises(IdentityError, match=message):
        import_bundle(tmp_path / "bundle", tmp_path / "trust", "volt", now=START)
    assert not (tmp_path / "trust").exists()


def test_the_forged_ca_is_otherwise_good(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(forge_ca("volt"))
    assert import_bundle(tmp_path / "bundle", tmp_path / "trust", "volt", now=START).name == "volt.pem"


def test_a_leaf_or_an_expired_ca_or_a_key_is_no_bundle(volt: Path, tmp_path: Path) -> None:
    leaf = issue(volt, Identity("volt", "grid"), tmp_path, now=START)
    with pytest.raises(IdentityError, match="not self-signed"):
        import_bundle(leaf, tmp_path / "trust", "volt", now=START)
    with pytest.raises(IdentityError, match="expired"):
        import_bundle(volt / "ca.pem", tmp_path / "trust", "volt", now=START + 101 * DAY)
    (tmp_path / "leak").write_bytes((volt / "ca.pem").read_bytes() + (volt / "ca.key").read_bytes())
    with pytest.raises(IdentityError, match="holds a private key"):
        import_bundle(tmp_path / "leak", tmp_path / "trust", "volt", now=START)


def test_trust_is_not_replaced_silently(volt: Path, trust: TrustStore, tmp_path: Path) -> None:
    assert import_bundle(volt / "ca.pem", trust.folder, "volt", now=START) == trust.folder / "volt.pem"
    make_ca("volt", tmp_path / "new", now=START)
    with pytest.raises(IdentityError, match=r"trusts another certificate of volt.*--until"):
        import_bundle(tmp_path / "new" / "ca.pem", trust.folder, "volt", now=START)
    assert (trust.folder / "volt.pem").read_bytes() == (volt / "ca.pem").read_bytes()


# Verifying


def test_a_peer_is_who_its_organisation_says(volt: Path, trust: TrustStore) -> None:
    leaf = issue(volt, GRID, volt, 10, now=START).read_bytes()
    assert verify_peer(leaf, trust, START) == GRID
    with pytest.raises(IdentityError, match=r"wattscore://volt/grid expired"):
        verify_peer(leaf, trust, START + 11 * DAY)
    with pytest.raises(IdentityError, match="not yet valid"):
        verify_peer(leaf, trust, START - DAY)


def test_trust_ends_with_the_file(volt: Path, trust: TrustStore) -> None:
    leaf = issue(volt, GRID, volt, now=START).read_bytes()
    (trust.folder / "volt.pem").unlink()
    with pytest.raises(IdentityError, match="'volt' is unknown"):
        verify_peer(leaf, trust, START)


def test_who_was_trusted_before_is_trusted_by_what_the_folder_holds_now(volt: Path, trust: TrustStore, tmp_path: Path) -> None:
    """Signatures that were once checked are remembered: neither another CA, nor an unlimited one, nor another leaf has them."""
    leaf, file = issue(volt, GRID, volt, now=START).read_bytes(), trust.folder / "volt.pem"
    before, other = file.read_bytes(), make_ca("volt", tmp_path / "other", now=START).read_bytes()
    for _ in range(2):
        assert verify_peer(leaf, trust, START) == GRID
        for pem, said in ((other, "issued by another CA"), (forge_ca("volt", "limits"), "not limited to the names of volt")):
            file.write_bytes(pem)
            with pytest.raises(IdentityError, match=said):
                verify_peer(leaf, trust, START)
        file.write_bytes(before)
        der = bytearray(x509.load_pem_x509_certificate(leaf).public_bytes(Encoding.DER))
        der[-1] ^= 1  # of its signature
        with pytest.raises(IdentityError, match="issued by another CA"):
            verify_peer(x509.load_der_x509_certificate(bytes(der)).public_bytes(Encoding.PEM), trust, START)
        with pytest.raises(IdentityError, match="expired"):
            verify_peer(leaf, trust, START + 3000 * DAY)


def test_another_organisations_identity_is_refused(acme: Path, trust: TrustStore) -> None:
    with pytest.raises(IdentityError, match="issued by another CA"):
        verify_peer(forge(acme, ["wattscore://volt/grid"]), trust, START)


def test_a_ca_of_the_same_name_is_not_the_same_ca(trust: TrustStore, tmp_path: Path) -> None:
    make_ca("volt", tmp_path / "false", now=START)
    leaf = issue(tmp_path / "false", GRID, tmp_path / "false", now=START).read_bytes()
    with pytest.raises(IdentityError, match="issued by another CA"):
        verify_peer(leaf, trust, START)


def test_a_hand_copied_ca_without_limits_is_refused(volt: Path, trust: TrustStore) -> None:
    (trust.folder / "volt.pem").write_bytes(forge_ca("volt", drop="limits"))
    with pytest.raises(IdentityError, match="not limited"):
        verify_peer(forge(volt, [str(GRID)]), trust, START)


@pytest.mark.parametrize(
    "uris",
    [[], ["https://volt/grid"], ["wattscore://volt/grid", "wattscore://volt/other"], ["WATTSCORE://volt/grid"]],
)
def test_a_certificate_needs_exactly_one_identity(uris: list[str], volt: Path, trust: TrustStore) -> None:
    with pytest.raises(IdentityError):
        verify_peer(forge(volt, uris), trust, START)


def test_other_uris_do_not_matter(volt: Path, trust: TrustStore) -> None:
    assert verify_peer(forge(volt, ["spiffe://volt/x", str(GRID)]), trust, START) == GRID


@pytest.mark.parametrize("usages", [BOTH[:1], BOTH[1:], (ExtendedKeyUsageOID.CODE_SIGNING,)])
def test_both_key_usages_are_needed(usages: tuple[x509.ObjectIdentifier, ...], volt: Path, trust: TrustStore) -> None:
    with pytest.raises(IdentityError, match="extended key usage"):
        verify_peer(forge(volt, [str(GRID)], usages), trust, START)


def test_a_ca_is_no_peer(volt: Path, trust: TrustStore) -> None:
    with pytest.raises(IdentityError, match="is a CA's"):
        verify_peer(forge(volt, [str(GRID)], is_ca=True), trust, START)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_anything_else_is_not_a_certificate(data: bytes) -> None:
    with pytest.raises(IdentityError, match="not a PEM certificate"):
        verify_peer(data, TrustStore(Path("nowhere")), START)


def test_other_keys_are_refused() -> None:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for key in (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(ConfigError, match="not an ECDSA P-256 key"):
            authority.parse_key(key.private_bytes(*form), "key")
    with pytest.raises(ConfigError, match="not an unencrypted PEM private key"):
        authority.parse_key(b"hello", "key")
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(*form[:2], BestAvailableEncryption(b"secret"))
    with pytest.raises(ConfigError, match="openssl pkey -in OLD -out NEW"):
        authority.parse_key(locked, "key")


# The command line


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(certs, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_two_organisations_exchange_trust(tmp_path: Path) -> None:
    volt, acme, bundle = tmp_path / "volt", tmp_path / "acme", tmp_path / "sent.pem"
    run("init", "--org", "volt", "--dir", volt)
    run("init", "--org", "acme", "--dir", acme)
    run("issue", "--role", "grid", "--role", "client", "--dir", volt, "--out", volt / "run")
    sent = run("bundle", "--out", bundle, "--dir", volt)
    received = run("trust", bundle, "--org", "volt", "--dir", acme)
    print_of = authority.fingerprint((volt / "ca.pem").read_bytes())
    assert print_of in sent and print_of in received
    assert sorted(file.name for file in (volt / "run").iterdir()) == [
        "client.key",
        "client.pem",
        "grid.key",
        "grid.pem",
    ]
    peer = (volt / "run" / "grid.pem").read_bytes()
    assert verify_peer(peer, TrustStore(acme / "trust"), datetime.now(UTC)) == GRID


def test_show(tmp_path: Path) -> None:
    run("init", "--org", "volt", "--dir", tmp_path)
    run("issue", "--role", "grid", "--days", "30", "--dir", tmp_path)
    shown = run("show", tmp_path / "grid.pem")
    assert "wattscore://volt/grid" in shown and "O=volt" in shown and "days left" in shown
    assert authority.fingerprint((tmp_path / "grid.pem").read_bytes()) in shown
    assert "none (subject" in run("show", tmp_path / "ca.pem")


def test_errors_reach_the_main_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        run("show", tmp_path / "missing.pem")
    run("init", "--org", "volt", "--dir", tmp_path)
    with pytest.raises(IdentityError, match="another organisation"):
        run("trust", tmp_path / "ca.pem", "--org", "acme", "--dir", tmp_path)
    with pytest.raises(IdentityError, match="not an identity"):
        run("issue", "--role", "good", "--role", "Bad Role", "--dir", tmp_path)
    assert not (tmp_path / "good.key").exists()
