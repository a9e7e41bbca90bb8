"""Bytes for whoever holds the key of one certificate, and for nobody who carries them: ECIES over P-256.

An ephemeral key's Diffie-Hellman secret with the certificate's gives, by HKDF-SHA-256, a key of AES-256-GCM, used once.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from common.errors import DataError

_MAGIC = b"WSSEAL1\n"
_POINT = 65  # bytes of a public key, uncompressed
_NONCE = bytes(12)  # the key serves once


def seal(data: bytes, certificate: x509.Certificate) -> bytes:
    """`data` for the holder of the certificate's key. Raises DataError for a certificate of another kind of key."""
    public = certificate.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise DataError("a certificate with a key other than P-256", public="a certificate of another kind of key")
    own = ec.generate_private_key(ec.SECP256R1())
    point = own.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    head = _MAGIC + point
    return head + AESGCM(_key(own.exchange(ec.ECDH(), public), head)).encrypt(_NONCE, data, head)


def unseal(sealed: bytes, key: ec.EllipticCurvePrivateKey, source: str) -> bytes:
    """What was sealed for this key. Raises DataError for anything else."""
    head, rest = sealed[: len(_MAGIC) + _POINT], sealed[len(_MAGIC) + _POINT :]
    try:
        if not head.startswith(_MAGIC):
            raise ValueError
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), head[len(_MAGIC) :])
        return AESGCM(_key(key.exchange(ec.ECDH(), point), head)).decrypt(_NONCE, rest, head)
    except (ValueError, InvalidTag):
        text = f"{source}: not sealed for this key, or damaged"
        raise DataError(text, public=text, remedy="Ask the party to open it for this key's certificate.") from None


def _key(secret: bytes, head: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"wattscore sealed" + head).derive(secret)
