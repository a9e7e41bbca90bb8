"""What a party's randomness grows from: the dealt seed, hashed with a nonce of its own; and by what a seed is known again.

PROTOCOL.md section 2.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import blake2b

from common.mpc.prg import SEED_BYTES
from common.party import Party

NONCE_BYTES = 32
KEY_BYTES = SEED_BYTES  # of what a party brings to its tags
FINGERPRINT_BYTES = 32
DEALT_BYTES = SEED_BYTES + 2 * FINGERPRINT_BYTES  # to each party: a seed, and what the dealer commits itself to


def fresh_nonce() -> bytes:
    """32 bytes of the operating system's generator, for the dealer's eyes only."""
    return secrets.token_bytes(NONCE_BYTES)


def own_seed(dealt: bytes, nonce: bytes) -> bytes:
    """The seed that a party and its dealer expand: uniform to whoever lacks one of the two. ValueError for other sizes."""
    if len(dealt) != SEED_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, and a nonce {NONCE_BYTES}")
    return blake2b(nonce, key=dealt, digest_size=SEED_BYTES, person=b"wattscore.own").digest()


def fingerprint(seed: bytes) -> bytes:
    """The same for the same seed, and a uniform value to whoever does not have it: a hash keyed by the seed."""
    return blake2b(b"", key=seed, digest_size=FINGERPRINT_BYTES, person=b"wattscore.seen").digest()


def commitments(seeds: Mapping[Party, bytes]) -> bytes:
    """Fingerprints of the grid's seed and of the bank's, (64,): by these a dealer commits itself to all that it deals."""
    return b"".join(fingerprint(seeds[party]) for party in Party)
