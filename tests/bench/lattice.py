"""How hard the ring-LWE samples of sections 20 and 21 are: primal and dual attacks as Alkim, Ducas, Poeppelmann, Schwabe count.

Core-SVP (USENIX Security 2016, section 6): one call to a sieve in dimension b costs 2^(0.292 b). Structure of the ring is not
used, as no attack is known that gains by it. Ternary secrets are weighted to the errors' deviation.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from common.learn.linear.score_undealt import FLOOD_STEPS
from common.learn.linear.undealt import PULL_BITS, RIDGE_BITS, VECTOR_BITS
from common.mpc.lattice import committed, turned
from common.mpc.lattice.phasors import FLOOD_BITS as LINK_FLOOD_BITS
from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.ring96 import SMALL, UNIT, WORDS
from common.mpc.lattice.rows import noise
from common.mpc.lattice.sampled import ERROR_DEVIATION, FLOOD_BITS, SECRETS, distance, flood_bits

MODULUS_BITS, WIDE_BITS = 64, 32 * WORDS
STANDARD = {128: 109, 192: 75}
"""Most bits of a modulus for N = 4096 and ternary secrets, by bits of security: table 1 of the Homomorphic Encryption
Standard, 2018."""
SCORES = {5: "scores in steps of 2⁻⁵", 20: "scores in steps of 2⁻²⁰"}
"""By `score_bits`: the default, and the most."""
_SIEVE, _VECTORS = 0.292, 0.2075  # exponents of a sieve's cost, and of how many short vectors it gives
_TERNARY = math.sqrt(2.0 / 3.0)


def log_delta(block: int) -> float:
    """log2 of the root Hermite factor that blocks of this size reach."""
    return math.log2((math.pi * block) ** (1.0 / block) * block / (2.0 * math.pi * math.e)) / (2.0 * (block - 1))


def primal(degree: int = DEGREE, bits: float = MODULUS_BITS, deviation: float = ERROR_DEVIATION) -> tuple[int, float]:
    """Block size and log2 of the cost of finding the secret as a short vector, the best over numbers of samples."""
    gain = degree * math.log2(deviation / _TERNARY)  # of volume, as secrets are scaled up to errors

    def reached(block: int, samples: int) -> bool:
        d = degree + samples + 1
        left = math.log2(deviation) + math.log2(block) / 2
        return left <= (2 * block - d - 1) * log_delta(block) + (samples * bits + gain) / d

    block = _least(lambda b: any(reached(b, m) for m in range(degree // 4, 3 * degree, 64)))
    return block, _SIEVE * block


def dual(degree: int = DEGREE, bits: float = MODULUS_BITS, deviation: float = ERROR_DEVIATION) -> tuple[int, float]:
    """The same of telling samples from uniform words by short dual vectors, as many as one advantage needs."""

    def cost(block: int, samples: int) -> float:
        d = degree + samples
        volume = degree * (bits - math.log2(deviation / _TERNARY))
        length = (d - 1) * log_delta(block) + volume / d
        tau = 2.0 ** min(length + math.log2(deviation) - bits, 40.0)
        log_advantage = 2.0 - 2.0 * math.pi**2 * tau**2 * math.log2(math.e)
        return _SIEVE * block + max(0.0, -2.0 * log_advantage - _VECTORS * block)

    found = min((cost(b, m), b) for b in range(60, 1500, 5) for m in range(degree // 4, 3 * degree, 256))
    return found[1], found[0]


def as_the_standard_counts(log2_cost: float, degree: int = DEGREE) -> float:
    """The same where a sieve takes 2^(0.292 b + 16.4) steps, and a reduction 8 d of them in dimension d = 2 N."""
    return log2_cost + 16.4 + math.log2(8 * 2 * degree)


def hidden(rows: int = 30_000, columns: int = 24) -> dict[str, tuple[float, float]]:
    """`distance` of what stands under the floods of sums that nobody sees: to the owner, of v e_0 - s e', and to the other, of
    these and of the owner's errors times what the other multiplies; of updates and scores, to either, of all of it."""
    ridge, link = 64 - RIDGE_BITS, math.hypot(SECRETS, ERROR_DEVIATION * SMALL)
    sums = {
        "u": noise(columns, VECTOR_BITS),
        "the ridge's rows": noise(columns, ridge),
        "updates": turned.noise(rows, PULL_BITS),
    }
    found = {name: (distance(SECRETS, FLOOD_BITS), distance(size, flood_bits(size))) for name, size in sums.items()}
    found["updates"] = (found["updates"][1],) * 2
    found["phasors"] = distance(SECRETS, LINK_FLOOD_BITS), distance(link, LINK_FLOOD_BITS)
    stored = flood_bits(link)
    found["phasors made ahead"] = distance(SECRETS, FLOOD_BITS), distance(link, stored)
    for bits, name in SCORES.items():
        size, flood = committed.noise(columns), committed.flood_width(columns, committed.COMMITTED_SCALE - bits - FLOOD_STEPS)
        found[name] = (distance(size, flood + UNIT),) * 2
    return found


def _least(good: Callable[[int], bool]) -> int:
    low, high = 60, 3000
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle + 1, high)
    return low


if __name__ == "__main__":
    for modulus in (MODULUS_BITS, WIDE_BITS):
        for name, (size, found) in (("primal", primal(bits=modulus)), ("dual", dual(bits=modulus))):
            counted = as_the_standard_counts(found)
            print(f"2^{modulus}, {name}: block size {size}, 2^{found:.0f}, and as the standard counts 2^{counted:.0f}")
    for name, (owner, other) in hidden().items():
        print(f"{name}: 2^{owner:.1f} a coefficient to the owner, 2^{other:.1f} to the other")
