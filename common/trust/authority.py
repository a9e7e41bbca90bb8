"""Each organisation's certificate authority, the certificates it issues, and the trust between organisations.

An organisation makes one CA (`make_ca`), issues a certificate to each of its processes (`issue`), hands the others its
CA certificate (`export_bundle`) and takes theirs in (`import_bundle`). All keys are ECDSA P-256. A CA is limited, by
critical name constraints, to the names of its organisation: URI host `org` and DNS names under `org.wattscore`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from common.disk.files import sync_folder, write_new
from common.errors import ConfigError, IdentityError
from common.party import Identity
from common.trust.forms import USAGES, ca_certificate, key_pem, leaf_certificate, subtrees
from common.trust.lastgood import LastGood
from common.trust.revoked import Revoked, read_revoked
from common.trust.succession import end_of, is_old, old_of, pem_files, retire

E = TypeVar("E", bound=x509.ExtensionType)


# Making


def make_ca(org: str, folder: Path, days: int = 3650, *, now: datetime | None = None) -> Path:
    """A new CA of `org` in `folder`: ca.key (mode 0600) and ca.pem, whose path is returned.

    Raises IdentityError if `org` is not a DNS label, ConfigError if either file exists or cannot be written.
    """
    Identity.parse(f"wattscore://{org}/ca")
    key_file, file = folder / "ca.key", folder / "ca.pem"
    _refuse_existing(key_file, file)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = ca_certificate(org, key, now or datetime.now(UTC), timedelta(days=days))
    write_new(key_file, key_pem(key), 0o600)
    write_new(file, certificate.public_bytes(Encoding.PEM), 0o644)
    return file


def issue(ca: Path, identity: Identity, folder: Path, days: int = 365, *, now: datetime | None = None) -> Path:
    """A certificate for `identity` by the CA in folder `ca`: ROLE.key (mode 0600) and ROLE.pem, whose path is returned.

    It never outlives the CA. Raises IdentityError if the CA is of another organisation or outside its dates,
    ConfigError if either file exists or cannot be written, or the CA's files cannot be read.
    """
    key, certificate = _signed(ca, identity, days, now or datetime.now(UTC))
    key_file, file = folder / f"{identity.role}.key", folder / f"{identity.role}.pem"
    _refuse_existing(key_file, file)
    write_new(key_file, key, 0o600)
    write_new(file, certificate, 0o644)
    return file


def renew(ca: Path, identity: Identity, folder: Path, days: int = 365, *, now: datetime | None = None) -> Path:
    """Puts a new key and certificate of `identity` in the place of those in `folder`, each file whole at any moment.

    A running process keeps the pair it has until both are there. Raises as `issue`, and IdentityError if ROLE.pem is
    another's.
    """
    key_file, file = folder / f"{identity.role}.key", folder / f"{identity.role}.pem"
    if (got := identity_of(read_certificate(file))) != identity:
        raise IdentityError(f"{file} is of another", expected=identity, got=got)
    key, certificate = _signed(ca, identity, days, now or datetime.now(UTC))
    parts = [(target.with_name(f".{target.name}.new"), target) for target in (key_file, file)]
    for (part, _), data, mode in zip(parts, (key, certificate), (0o600, 0o644), strict=True):
        part.unlink(missing_ok=True)
        write_new(part, data, mode)
    for part, target in parts:
        part.replace(target)
    sync_folder(folder)
    return file


def _signed(ca: Path, identity: Identity, days: int, now: datetime) -> tuple[bytes, bytes]:
    """A new key and a certificate for it by the CA in `ca`, PEM."""
    authority, authority_key = read_ca(ca)
    if org_of(authority) != identity.org:
        raise IdentityError(
            f"the CA in {ca} cannot issue {identity}", expected=f"an identity of {org_of(authority)}", got=identity.org
        )
    check_dates(authority, now, f"the CA in {ca}")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = leaf_certificate(identity, key, authority, authority_key, now, timedelta(days=days))
    return key_pem(key), certificate.public_bytes(Encoding.PEM)


def export_bundle(ca: Path, out: Path | None = None) -> Path:
    """Writes what the other organisations need, the CA certificate alone, to `out` (default: ORG.pem in folder `ca`).

    Raises ConfigError if `out` exists with other contents.
    """
    certificate = read_certificate(ca / "ca.pem")
    out = out or ca / f"{org_of(certificate)}.pem"
    pem = certificate.public_bytes(Encoding.PEM)
    if not (out.is_file() and out.read_bytes() == pem):
        write_new(out, pem, 0o644)
    return out


def import_bundle(
    bundle: Path, trust: Path, expected_org: str, *, until: date | None = None, now: datetime | None = None
) -> Path:
    """Takes `expected_org`'s CA certificate into the folder `trust` as ORG.pem, and returns that path.

    until: the last day on which the CA that was trusted before is trusted beside it. Compare the new one's `fingerprint` with
    the other organisation over another channel. Raises IdentityError unless the file holds exactly one valid self-signed CA
    certificate limited to that organisation, or if it trusts another already and `until` is not given.
    """
    data = _read(bundle)
    if b"PRIVATE KEY" in data:
        raise IdentityError(
            f"{bundle} holds a private key", remedy=f"Delete it and tell {expected_org}: that key must be replaced."
        )
    certificate = _only_certificate(data, str(bundle))
    _check_ca(certificate, expected_org, str(bundle))
    check_dates(certificate, now or datetime.now(UTC), f"the CA certificate in {bundle}")
    target, pem = trust / f"{expected_org}.pem", certificate.public_bytes(Encoding.PEM)
    if target.exists() and _read(target) != pem:
        if until is None:
            raise IdentityError(
                f"{target} trusts another certificate of {expected_org}",
                remedy=f"If {expected_org} confirms that it replaces its CA, repeat with --until: the last day of the old one.",
            )
        retire(trust, expected_org, until, now or datetime.now(UTC))
    if not target.exists():
        write_new(target, pem, 0o644)
    return target


# Checking


def fingerprint(pem: bytes) -> str:
    """The SHA-256 of the certificate in `pem` as `AB:CD:...` (32 bytes), to compare by telephone."""
    return shown_fingerprint(parse_certificate(pem, "the certificate"))


def shown_fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 of `certificate` as `AB:CD:...` (32 bytes)."""
    return certificate.fingerprint(SHA256()).hex(":").upper()


def days_left(certificate: x509.Certificate, now: datetime | None = None) -> int:
    """Whole days until `certificate` expires, rounded down: negative once it has."""
    return (certificate.not_valid_after_utc - (now or datetime.now(UTC))).days


def identity_of(certificate: x509.Certificate) -> Identity:
    """The identity `certificate` claims. Raises IdentityError unless exactly one wattscore URI is in its SAN."""
    names = _extension(certificate, x509.SubjectAlternativeName)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names else []
    ours = [uri for uri in uris if uri.lower().startswith("wattscore:")]
    if len(ours) != 1:
        raise IdentityError("a certificate must name one identity", expected="one wattscore:// URI", got=len(ours))
    return Identity.parse(ours[0])


def orgs_in(folder: Path) -> set[str]:
    """The organisations that the certificates in a folder, not those it trusts, are of: its own."""
    found = set()
    for file in folder.glob("*.pem"):
        with suppress(ConfigError, IdentityError):
            found.add(identity_of(read_certificate(file)).org)
    return found


def org_of(certificate: x509.Certificate) -> str:
    """The organisation in the subject of `certificate`. Raises IdentityError unless there is exactly one."""
    values = [str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if len(values) != 1:
        raise IdentityError("a CA certificate must name one organisation", expected="one subject O", got=len(values))
    return values[0]


def check_dates(certificate: x509.Certificate, now: datetime, what: str) -> None:
    """Raises IdentityError if `now` (with a time zone) is outside the dates of `certificate`, called `what`."""
    if now < certificate.not_valid_before_utc:
        raise IdentityError(
            f"{what} is not yet valid: it starts at {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            remedy="Check the clocks.",
        )
    if now > certificate.not_valid_after_utc:
        raise IdentityError(
            f"{what} expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC", remedy="Issue a new one."
        )


class TrustStore:
    """The CA certificates a process trusts: the files ORG.pem of one folder, and old ones until they end; read at each use.

    A file that cannot be read any more is taken for what it was, for a while (`LastGood`); then ConfigError is raised.
    """

    def __init__(self, folder: Path, last: LastGood | None = None) -> None:
        self.folder, self._last = folder, last or LastGood()

    @property
    def orgs(self) -> tuple[str, ...]:
        """The trusted organisations, sorted. Raises ConfigError if the folder is missing or cannot be read."""
        return tuple(sorted(file.stem for file in self._files() if not is_old(file)))

    def revoked(self) -> Revoked:
        """The certificates refused although their CA is trusted. Raises ConfigError if the list cannot be read."""
        return self._last.use("revoked", lambda: read_revoked(self.folder, self._last.held("revoked", Revoked())))

    def _files(self) -> list[Path]:
        return self._last.use("files", lambda: pem_files(self.folder))

    def old_files(self, org: str) -> list[Path]:
        """The files of old CAs of `org`, ended or not. Raises ConfigError if the folder is missing or cannot be read."""
        return old_of(self._files(), org)

    def certificate(self, org: str) -> x509.Certificate:
        """The CA certificate of `org`. Raises IdentityError if there is none, or it is not limited to `org`."""
        if org not in self.orgs:
            raise IdentityError(
                f"organisation {org!r} is unknown: it is not in {self.folder}",
                remedy="Add its bundle with `wattscore certs trust`.",
                public=f"organisation {org!r} is unknown here",
            )
        return self._trusted(self.folder / f"{org}.pem", org)

    def _trusted(self, file: Path, org: str) -> x509.Certificate:
        return self._last.use(file, lambda: _ca_of(_read(file), org, str(file)))

    def certificates(self, org: str, now: datetime | None) -> list[x509.Certificate]:
        """The CA certificate of `org`, and the old one beside it unless it has ended `now` (None: ended or not)."""
        old = [file for file in self.old_files(org) if now is None or now < end_of(file)]
        return [self.certificate(org), *(self._trusted(file, org) for file in old)]

    def bundle_for(self, orgs: Iterable[str], now: datetime | None = None) -> bytes:
        """The CA certificates of `orgs`, concatenated PEM. Raises IdentityError for an unknown one, or for none."""
        now = now or datetime.now(UTC)
        certificates = [certificate for org in sorted(set(orgs)) for certificate in self.certificates(org, now)]
        if not certificates:
            raise IdentityError("no organisation is allowed to connect", remedy="Name at least one.")
        return b"".join(c.public_bytes(Encoding.PEM) for c in certificates)


def verify_peer(leaf_pem: bytes, trust: TrustStore, now: datetime | None) -> Identity:
    """The identity proven by `leaf_pem` at `now` (with a time zone; None: whenever its connection was made).

    Raises IdentityError unless the CA of the very organisation it claims is trusted and directly issued it, it is not
    revoked, both are within their dates, and it is a leaf for TLS clients and servers; ConfigError if the list of revoked
    certificates cannot be read.
    """
    leaf = parse_certificate(leaf_pem, "the peer's certificate")
    identity = identity_of(leaf)
    authority = next((ca for ca in trust.certificates(identity.org, now) if _issued(ca, leaf)), None)
    if authority is None:
        if any(_issued(ca, leaf) for ca in trust.certificates(identity.org, None)):
            raise IdentityError(
                f"the certificate of {identity} is by a CA of {identity.org} whose last day here is over",
                remedy=f"{identity.org} must renew it by its new CA.",
            )
        raise IdentityError(
            f"the certificate of {identity} was issued by another CA",
            expected=f"the trusted CA of {identity.org}",
            got=leaf.issuer.rfc4514_string() or "no issuer",
            remedy=f"If it is theirs, ask {identity.org} for its bundle, compare the fingerprint by telephone, and"
            " `wattscore certs trust` it.",
        )
    if now is not None:
        check_dates(authority, now, f"the CA certificate of {identity.org}")
        check_dates(leaf, now, f"the certificate of {identity}")
    check_leaf(leaf, identity)
    if trust.revoked().holds(leaf, identity.org):
        raise IdentityError(f"the certificate of {identity} is revoked", remedy="Its organisation must renew it.")
    return identity


@lru_cache(256)  # by the bytes of both, whenever it is asked: neither dates nor revocation have a part in it
def _issued(authority: x509.Certificate, leaf: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


@lru_cache(256)  # by what the file holds now
def _ca_of(pem: bytes, org: str, what: str) -> x509.Certificate:
    certificate = _only_certificate(pem, what)
    _check_ca(certificate, org, what)
    return certificate


def check_leaf(leaf: x509.Certificate, identity: Identity) -> None:
    """Raises IdentityError if `leaf` is a CA certificate, or not for both TLS clients and TLS servers."""
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise IdentityError(f"the certificate of {identity} is a CA's", remedy="Issue one for this role.")
    usages = _extension(leaf, x509.ExtendedKeyUsage) or ()
    if not all(usage in usages for usage in USAGES):
        raise IdentityError(f"the certificate of {identity} lacks the extended key usage of a TLS client and server")


# Reading


def parse_certificate(pem: bytes, what: str) -> x509.Certificate:
    """The first certificate of `pem`, which is called `what`. Raises IdentityError if there is none."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise IdentityError(f"{what} is not a PEM certificate") from None


def read_certificate(file: Path) -> x509.Certificate:
    """The first certificate of `file`. Raises ConfigError if it cannot be read, IdentityError if it holds none."""
    return parse_certificate(_read(file), str(file))


def parse_key(pem: bytes, what: str) -> ec.EllipticCurvePrivateKey:
    """The private key in `pem`, which is called `what`. Raises ConfigError unless it is unencrypted ECDSA P-256."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        remedy = "If it has a password, take that off: openssl pkey -in OLD -out NEW, and NEW readable by its user alone."
        raise ConfigError(f"{what} is not an unencrypted PEM private key", remedy=remedy) from None
    if not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)):
        raise ConfigError(f"{what} is not an ECDSA P-256 key", remedy="Issue a new one with `wattscore certs issue`.")
    return key


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})", remedy="Check the path and its permissions.") from None


def read_ca(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The CA in this folder and its key. Raises IdentityError where the two do not belong together."""
    certificate = read_certificate(folder / "ca.pem")
    key = parse_key(_read(folder / "ca.key"), str(folder / "ca.key"))
    if key.public_key() != certificate.public_key():
        raise IdentityError(f"ca.key and ca.pem in {folder} do not belong together")
    return certificate, key


def _only_certificate(pem: bytes, what: str) -> x509.Certificate:
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise IdentityError(f"{what} is not a PEM certificate") from None
    if len(certificates) != 1:
        raise IdentityError(f"{what} must hold one certificate", expected=1, got=len(certificates))
    return certificates[0]


def _extension(certificate: x509.Certificate, kind: type[E], *, critical: bool = False) -> E | None:
    """The extension of that kind; None if absent, or if it must be critical and is not."""
    try:
        found = certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise IdentityError("a certificate has malformed extensions") from None
    return found.value if found.critical or not critical else None


def _check_ca(certificate: x509.Certificate, org: str, what: str) -> None:
    """Raises IdentityError unless this is a self-signed CA certificate of `org`, limited to `org`."""
    if org_of(certificate) != org:
        raise IdentityError(f"{what} is of another organisation", expected=org, got=org_of(certificate))
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        raise IdentityError(f"{what} is not self-signed") from None
    basic = _extension(certificate, x509.BasicConstraints, critical=True)
    usage = _extension(certificate, x509.KeyUsage)
    if not (basic and basic.ca and basic.path_length == 0 and usage and usage.key_cert_sign):
        raise IdentityError(f"{what} is not a CA certificate of path length 0")
    limits = _extension(certificate, x509.NameConstraints, critical=True)
    if limits is None or set(limits.permitted_subtrees or ()) != set(subtrees(org)):
        raise IdentityError(
            f"{what} is not limited to the names of {org}",
            remedy=f"{org} must make its CA with `wattscore certs init`.",
        )


def _refuse_existing(*files: Path) -> None:
    for file in files:
        if file.exists():
            raise ConfigError(f"{file} exists already", remedy="Choose another folder, or move it away.")
