"""A server proves at the start of each call that it holds a certificate which is still good (PROTOCOL.md section 9).

gRPC's Python shows a client nothing of the server's certificate, so that TLS alone would let a revoked one pass. Hence the
client sends 32 random bytes, and the server answers, before anything else, with its certificate and a signature by that
certificate's key over those bytes, the method and the certificate by which the client is known on this connection. Whoever
stands between with a revoked certificate has no good key to sign with, and cannot have another server sign: for that one,
the caller is not the client.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from common.errors import IdentityError
from common.party import Identity
from common.trust.authority import TrustStore, parse_certificate, verify_peer
from common.wire.tls import Own

_NONCE, _CERTIFICATE, _SIGNATURE = "wattscore-nonce-bin", "wattscore-certificate-bin", "wattscore-signature-bin"
_SIZE = 32
_ALGORITHM = ec.ECDSA(SHA256())

Metadata = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Challenge:
    """The question put with one call: `method` is its full path, `own` the client's certificate on this connection (PEM)."""

    nonce: bytes
    method: str
    own: bytes

    @classmethod
    def new(cls, method: str, own: bytes) -> Challenge:
        return cls(secrets.token_bytes(_SIZE), method, own)

    @property
    def metadata(self) -> Metadata:
        """The metadata that goes with the call."""
        return ((_NONCE, self.nonce),)

    def check(self, answered: Iterable[tuple[str, Any]] | None, server: Identity, trust: TrustStore) -> bytes:
        """The server's certificate (PEM). Raises IdentityError unless the answer proves `server`; as `verify_peer` too."""
        found = dict(answered or ())
        certificate, signature = found.get(_CERTIFICATE), found.get(_SIGNATURE)
        if not (isinstance(certificate, bytes) and isinstance(signature, bytes)):
            raise IdentityError(f"{server} did not prove who it is", remedy="Both sides must run the same version.")
        identity = verify_peer(certificate, trust, datetime.now(UTC))
        if identity != server:
            raise IdentityError("the server reached is another", expected=server, got=identity)
        key = parse_certificate(certificate, "the server's certificate").public_key()
        try:
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise InvalidSignature
            key.verify(signature, _text(self), _ALGORITHM)
        except InvalidSignature:
            raise IdentityError(f"{server} did not prove that it holds the key of its certificate") from None
        return certificate


def prove(asked: Iterable[tuple[str, Any]] | None, method: str, caller: bytes, own: Own) -> Metadata:
    """The answer to a call of `method` by whoever holds the certificate `caller` (PEM); empty if the call asks for none."""
    nonce = dict(asked or ()).get(_NONCE)
    if not isinstance(nonce, bytes) or len(nonce) != _SIZE:
        return ()
    signature = own.signer.sign(_text(Challenge(nonce, method, caller)), _ALGORITHM)
    return ((_CERTIFICATE, own.certificate), (_SIGNATURE, signature))


def _text(challenge: Challenge) -> bytes:
    caller = parse_certificate(challenge.own, "the client's certificate").public_bytes(Encoding.DER)
    parts = (b"wattscore server proof", challenge.nonce, challenge.method.encode(), hashlib.sha256(caller).digest())
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
