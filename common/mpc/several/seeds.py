"""The seed that all banks hold alike, which no bank and no dealer makes alone, and the grid's seed beside it. Section 16."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from common.errors import PeerProtocolError
from common.mpc.correlations.dealt import DealtSeed, take_dealt, take_seed
from common.mpc.seeds import NONCE_BYTES
from common.mpc.session import Channel, Kind, Round

COMMON = Round(Kind.SEED, 1)
NONCES = Round(Kind.NONCES, 0)


def common_nonce(nonces: Sequence[bytes]) -> bytes:
    """What all banks bring together to the seed that they hold alike: a hash of what each of them brought."""
    return blake2b(b"".join(nonces), digest_size=NONCE_BYTES, person=b"wattscore.banks").digest()


async def take_common(dealer: Channel) -> DealtSeed:
    """What the grid, or a bank, is dealt to make the seed of the sums over banks of, 96 bytes as the seed of its line."""
    return await take_seed(dealer, COMMON)


async def take_nonces(dealer: Channel, own: bytes, place: int, banks: int) -> bytes:
    """What all banks brought, as one nonce. Raises PeerProtocolError where this bank's own is not among them at its place."""
    told = (await take_dealt(dealer, NONCES, (banks * NONCE_BYTES,), "uint8")).tobytes()
    nonces = [told[low : low + NONCE_BYTES] for low in range(0, len(told), NONCE_BYTES)]
    if nonces[place] != own or len(set(nonces)) < banks:
        raise PeerProtocolError(
            "the coordinator does not say what this bank brought to the seed of all banks", remedy="Do not trust it."
        )
    return common_nonce(nonces)
