"""Shifting shared values without a dealer, by products of bits that ring-LWE makes. PROTOCOL.md section 21.

x + 2^62 is below 2^63, so its two shares wrap exactly if either's top bit is set: a or b = a + b - a b. That product is had
from one of random bits, made before, as Beaver (1991) has it: each party tells its top bit xor its random one.

Products of many bits at once: both stand in polynomials at places no two of which sum to twice a third one, so the product's
coefficients at doubled places are the bits' products. The grid masks its polynomial as a_k s + e + 2^LIFT alpha; the bank
sends c = beta a_k + v a_0 + e', v used once, and keeps beta E_k + v E_0, the grid -c s. They sum to 2^LIFT alpha beta plus
noise that both round away: wrong once in 2^35.
"""

from __future__ import annotations

import numpy as np

from common.errors import LocalProtocolError
from common.mpc.fixedpoint import Words
from common.mpc.lattice.ring import DEGREE, Integers, Wide, spectrum
from common.mpc.lattice.sampled import Public, Sampler
from common.mpc.session import Kind, Session
from common.party import Party

FORM = 4
CARRY_BITS = 21
"""Bits of a product's shares, and so how far a shift can widen what is left of a word."""
LIFT = 64 - CARRY_BITS
AT_ONCE = 128
POLYNOMIALS = 32  # in memory together
_OFFSET = np.uint64(1 << 62)
_ONE = np.uint64(1)
# those with digits 0 and 1 in base 3: their sums have no carry, so a digit 2 is twice a 1 and a digit 1 is of two that differ
PLACES = np.stack([np.arange(AT_ONCE) >> i & 1 for i in range(7)]).T @ 3 ** np.arange(7)


def polynomials_of(count: int) -> int:
    """How many polynomials so many products take."""
    return -(-count // AT_ONCE)


def _spread(bits: Integers) -> Integers:
    """Bits, (k, AT_ONCE), at their places, (k, N)."""
    found = np.zeros((len(bits), DEGREE), np.int64)
    found[:, PLACES] = bits
    return found


class OwnBits:
    """The grid's random bits under masks that it undoes."""

    def __init__(self, sampler: Sampler, public: Public, bits: Integers) -> None:
        self._sampler, self._public, self.bits = sampler, public, bits
        self._secret = spectrum(sampler.ternary(DEGREE))

    def masked(self, first: int, number: int) -> Words:
        """Some of the polynomials that hold them, (number, N); number -1 holds none."""
        made = Wide(self._public.polynomials(FORM, first + 1, number)).times(self._secret)
        made += self._sampler.errors(number, DEGREE).view(np.uint64)
        held = _spread(self.bits[first : first + number]) if first >= 0 else np.zeros((number, DEGREE), np.int64)
        return made + (held.view(np.uint64) << np.uint64(LIFT))

    def share(self, heard: Words) -> Words:
        """This party's shares of products, (k, AT_ONCE) modulo 2^CARRY_BITS, of the c that it heard, (k, N)."""
        found: Words = (-Wide(heard).times(self._secret))[:, 2 * PLACES] >> np.uint64(LIFT)
        return found


class HeldBits:
    """The bank's random bits, which multiply the grid's."""

    def __init__(self, sampler: Sampler, public: Public, bits: Integers, zero: Words) -> None:
        """zero: the polynomial that holds none, (N,)."""
        self._sampler, self._public, self.bits, self._zero = sampler, public, bits, Wide(zero)
        self._public_zero = Wide(public.polynomials(FORM, 0, 1)[0])

    def multiplied(self, first: int, masked: Words) -> tuple[Words, Words]:
        """c, (k, N), of some of the grid's polynomials, (k, N), and this party's shares, as `OwnBits.share`."""
        number = len(masked)
        bits = spectrum(_spread(self.bits[first : first + number]))
        once = spectrum(self._sampler.ternary(number, DEGREE))
        c = Wide(self._public.polynomials(FORM, first + 1, number)).times(bits) + self._public_zero.times(once)
        c += self._sampler.errors(number, DEGREE).view(np.uint64)
        mine = Wide(masked).times(bits) + self._zero.times(once)
        return c, (mine[:, 2 * PLACES] >> np.uint64(LIFT)) + _ONE


class Carries:
    """Random bits of this party and its shares of their products with the other's, each used once; made by `share_carries`."""

    def __init__(self, session: Session, bits: Integers, products: Words) -> None:
        self._session, self._bits, self.products = session, bits.astype(np.uint64).ravel(), products.ravel()
        self._count, self._used = bits.size, 0

    async def shift(self, words: Words, by: int | Words) -> Words:
        """Shares of x / 2^by, up or down at random in proportion, of shares of x, |x| < 2^62 - 2^by; both (m,).

        They are shares modulo 2^(64 - by + CARRY_BITS), or 2^64 where that is less: bits above it are anything. One round, of a
        bit a value each way. by: from 1 to 61, for all or for each.
        """
        count, bank = len(words), self._session.party is Party.BANK
        part = slice(self._used, self._used + count)
        if part.stop > self._count:
            raise LocalProtocolError("more values are shifted than bits were made for", expected=self._count, got=part.stop)
        self._used = part.stop
        bits, products = self._bits[part], self.products[part]
        shift = np.broadcast_to(np.asarray(by, np.uint64), words.shape)
        moved = words + _OFFSET + (_ONE << shift) if bank else words  # 2^by for what both shares' low bits lose
        top = moved >> np.uint64(63)
        mine = np.packbits((top ^ bits).astype(np.uint8))
        heard = await self._session.exchange(Kind.LATTICE_CARRIES, mine)
        own = np.unpackbits(mine, count=count).astype(np.uint64)
        other = np.unpackbits(heard, count=count).astype(np.uint64)
        both = (_ONE - own - own) * ((_ONE - other - other) * products + other * bits)
        if not bank:
            both += own * other
        found: Words = (moved >> shift) - (top - both << np.uint64(64) - shift)
        return found - (_OFFSET >> shift) if bank else found

    def __repr__(self) -> str:
        return "Carries(bits hidden)"


async def share_carries(
    session: Session, sampler: Sampler, public: Public, count: int, again: Sampler | None = None
) -> Carries:
    """Makes what `count` values are shifted by, under keys of this call alone.

    public: the polynomials of the grid. again: gives this party's bits, where these are had of its seed again. Two messages one
    after another: from the grid 8 N bytes for every AT_ONCE products and once more, and from the bank as many but for those.
    """
    total, shares = polynomials_of(count), []
    bits = (sampler if again is None else again).bits(total, AT_ONCE)
    parts = [(low, min(POLYNOMIALS, total - low)) for low in range(0, total, POLYNOMIALS)]
    if session.party is Party.GRID:
        own = OwnBits(sampler, public, bits)
        await session.post(Kind.LATTICE_BITS, own.masked(-1, 1))
        for low, number in parts:
            await session.send(Kind.LATTICE_BITS, own.masked(low, number))
            shares.append(own.share(await session.receive(Kind.LATTICE_BITS, np.uint64, (number, DEGREE))))
        return Carries(session, own.bits, np.concatenate(shares))
    (zero,) = await session.receive(Kind.LATTICE_BITS, np.uint64, (1, DEGREE))
    held = HeldBits(sampler, public, bits, zero)
    for low, number in parts:
        c, mine = held.multiplied(low, await session.receive(Kind.LATTICE_BITS, np.uint64, (number, DEGREE)))
        await session.send(Kind.LATTICE_BITS, c)
        shares.append(mine)
    return Carries(session, held.bits, np.concatenate(shares))
