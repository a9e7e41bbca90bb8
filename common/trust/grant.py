"""Grants: what an organisation lets another use a dataset for, signed with the key of its CA. PROTOCOL.md section 9."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import Field, ValidationError, model_validator

from common.config import StrictModel
from common.errors import IdentityError, PolicyError
from common.trust.authority import TrustStore, org_of, read_ca

_DOMAIN = b"wattscore grant 1\0"  # so that no signature of a certificate is one of a grant
_MOST = 1 << 20  # bytes of a file
Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class Grant(StrictModel):
    """A dataset of `org` that `to` may be in jobs with. Dates are days, the last one included."""

    version: Literal[1] = 1
    serial: str = Field(default_factory=lambda: secrets.token_hex(16), pattern=r"^[0-9a-f]{32}$")
    org: str
    to: str
    dataset: str
    kinds: tuple[Literal["train", "score"], ...] = Field(default=("train", "score"), min_length=1)
    purpose: str = Field(min_length=1, max_length=200)
    columns: tuple[str, ...] = Field(default=("*",), min_length=1)
    first_month: Month | None = None
    last_month: Month | None = None
    jobs_per_month: int | None = Field(default=None, ge=1)
    scores_per_row: int | None = Field(default=None, ge=1)
    expires: date

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first_month is not None and self.last_month is not None and self.first_month > self.last_month:
            raise ValueError("first_month is after last_month")
        if self.org == self.to:
            raise ValueError("to: another organisation than the one that grants")
        return self

    def shown(self) -> dict[str, Any]:
        """What stands in its file; of one that says nothing of scores a row as it was before grants could."""
        return self.model_dump(mode="json", exclude={"scores_per_row"} if self.scores_per_row is None else None)

    def canonical(self) -> bytes:
        return json.dumps(self.shown(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def fingerprint(self) -> str:
        """SHA-256 of what is granted, whatever the signature."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def outside(self, columns: Any) -> list[str]:
        """The columns of these that it does not cover."""
        return [] if self.columns == ("*",) else [name for name in columns if name not in self.columns]

    def covers(self, month: str) -> bool:
        """Whether it covers a month, YYYY-MM."""
        return (self.first_month or month) <= month <= (self.last_month or month)


def sign(grant: Grant, ca: Path) -> bytes:
    """The file of a grant, signed by the CA in this folder. Raises IdentityError for a CA of another organisation."""
    certificate, key = read_ca(ca)
    if (org := org_of(certificate)) != grant.org:
        raise IdentityError(f"the CA in {ca} does not grant for {grant.org}", expected=grant.org, got=org)
    signature = base64.b64encode(key.sign(_DOMAIN + grant.canonical(), ec.ECDSA(SHA256()))).decode()
    shown = {"grant": grant.shown(), "signature": signature}
    return json.dumps(shown, indent=1, ensure_ascii=False).encode() + b"\n"


def read_grant(file: Path, trust: TrustStore) -> Grant:
    """The grant in a file. Raises PolicyError for one that is gone or is none, or that its organisation's CA has not signed."""
    try:
        with file.open("rb") as stream:
            raw = json.loads(stream.read(_MOST))
        grant, signature = (
            Grant.model_validate_json(json.dumps(raw["grant"])),
            base64.b64decode(raw["signature"], validate=True),
        )
    except OSError:
        raise PolicyError(
            f"{file}: there is no grant: it was withdrawn, or never put here",
            public="the grant was withdrawn, or there is none",
            remedy="Ask the owner of the dataset for a grant.",
        ) from None
    except (ValueError, KeyError, TypeError, ValidationError):
        raise PolicyError(f"{file}: not a grant of this release", public="not a grant of this release") from None
    for certificate in trust.certificates(grant.org, None):
        if _signed(certificate, signature, grant):
            return grant
    raise PolicyError(
        f"{file}: not signed by the CA that is trusted for {grant.org}",
        public="a grant that its organisation has not signed",
        remedy="Have it signed by `grant sign`, and compare the CA's fingerprint.",
    )


def _signed(certificate: x509.Certificate, signature: bytes, grant: Grant) -> bool:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(signature, _DOMAIN + grant.canonical(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
