"""A seed is as random as the better of its two halves, and is known again by a hash that does not give it away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.mpc.prg import Prg, Purpose
from common.mpc.seeds import fingerprint, fresh_nonce, own_seed

BYTES = st.binary(min_size=32, max_size=32)


@given(BYTES, BYTES, BYTES)
def test_another_half_is_another_seed(dealt: bytes, one: bytes, other: bytes) -> None:
    assert (own_seed(dealt, one) == own_seed(dealt, other)) == (one == other)
    assert (own_seed(one, dealt) == own_seed(other, dealt)) == (one == other)


@given(BYTES, BYTES)
def test_a_fingerprint_is_neither_the_seed_nor_what_is_expanded_of_it(seed: bytes, nonce: bytes) -> None:
    made = own_seed(seed, nonce)
    assert len({seed, made, fingerprint(seed), fingerprint(made)}) == 4
    assert fingerprint(seed)[:16] != Prg(seed).words(Purpose.MATRIX, 0, 2).tobytes()


def test_known_answers() -> None:
    """Both sides of a version must make the same of the same; a stock outlives the process that dealt it."""
    assert own_seed(bytes(32), bytes(range(32))).hex()[:16] == "dd0c82850b0b1bfb"
    assert fingerprint(bytes(range(32))).hex()[:16] == "b63798cc392a8d03"


def test_nonces_are_fresh() -> None:
    assert len({fresh_nonce() for _ in range(100)}) == 100


@pytest.mark.parametrize("sizes", [(31, 32), (32, 0), (33, 32), (32, 33)])
def test_halves_of_another_size(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        own_seed(bytes(sizes[0]), bytes(sizes[1]))
