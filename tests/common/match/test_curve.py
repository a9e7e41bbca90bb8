"""Curve25519: published vectors, an independent Elligator in Python integers, and points that must be refused."""

from __future__ import annotations

import copy
import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import LocalProtocolError, PeerProtocolError
from common.match import curve
from common.match.curve import Points, Secret, hash_to_curve, validate

P, A = 2**255 - 19, 486662

# RFC 7748, section 5.2
X25519 = [
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
]
# RFC 9380, appendix J.4.2: u[0] and P.x, big-endian
ELLIGATOR = [
    (
        "608d892b641f0328523802a6603427c26e55e6f27e71a91a478148d45b5093cd",
        "1bb913f0c9daefa0b3375378ffa534bda5526c97391952a7789eb976edfe4d08",
    ),
    (
        "46f5b22494bfeaa7f232cc8d054be68561af50230234d7d1d63d1d9abeca8da5",
        "7c22950b7d900fa866334262fcaea47a441a578df43b894b4625c9b450f9a026",
    ),
    (
        "235fe40c443766ce7e18111c33862d66c3b33267efa50d50f9e8e5d252a40aaa",
        "31ad08a8b0deeb2a4d8b0206ca25f567ab4e042746f792f4b7973f3ae2096c52",
    ),
]


def is_square(value: int) -> bool:
    return pow(value, (P - 1) // 2, P) == 1


def on_curve(u: int) -> bool:
    return is_square(u * (u * u + A * u + 1))


def elligator(r: int) -> int:
    """u of 8 times the point that r maps to, by RFC 9380 section 6.7.1 and the doubling formula."""
    u = -A * pow(1 + 2 * r * r, -1, P) % P
    u = u if on_curve(u) else (-A - u) % P
    for _ in range(3):
        u = (u * u - 1) ** 2 * pow(4 * u * (u * u + A * u + 1), -1, P) % P
    return u


def pack(*us: int) -> Points:
    return np.frombuffer(b"".join(u.to_bytes(32, "little") for u in us), np.uint8).reshape(-1, 32).copy()


def unpack(points: Points) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in points]


def names(count: int) -> list[str]:
    return [f"91{number:016d}" for number in range(count)]


TWIST = next(u for u in range(2, 100) if not on_curve(u))


@pytest.mark.parametrize(("scalar", "u", "product"), X25519)
def test_multiply_rfc7748(scalar: str, u: str, product: str) -> None:
    point = np.frombuffer(bytes.fromhex(u), np.uint8).reshape(1, 32)
    assert Secret(random=lambda _: bytes.fromhex(scalar)).multiply(point).tobytes().hex() == product


@pytest.mark.parametrize(("r", "u"), ELLIGATOR)
def test_map_rfc9380(r: str, u: str) -> None:
    mapped = curve._map_to_curve([bytes.fromhex(r)[::-1]])
    assert mapped[::-1].hex() == u
    assert elligator(int(r, 16)) == int(u, 16)  # the oracle of the next test


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=8), st.binary(max_size=100))
def test_hash_to_curve_is_elligator_of_keyed_blake2b(ids: list[str], domain: bytes) -> None:
    key = hashlib.blake2b(domain, digest_size=64, person=b"wattscore-psi").digest()
    uniform = [hashlib.blake2b(i.encode(), digest_size=32, key=key).digest() for i in ids]
    expected = [elligator(int.from_bytes(r, "little") % 2**255) for r in uniform]
    points = hash_to_curve(ids, domain)
    assert points.shape == (len(ids), 32)
    assert unpack(points) == expected


def test_hash_to_curve_lies_on_the_curve_and_depends_on_domain() -> None:
    one, two = hash_to_curve(names(50), b"job 1"), hash_to_curve(names(50), b"job 2")
    assert all(on_curve(u) for u in unpack(one))
    assert not set(unpack(one)) & set(unpack(two))


def test_multiply_commutes_and_stays_on_the_curve() -> None:
    points, a, b = hash_to_curve(names(40), b"job"), Secret(), Secret()
    assert not np.array_equal(a.multiply(points), b.multiply(points))
    np.testing.assert_array_equal(a.multiply(b.multiply(points)), b.multiply(a.multiply(points)))
    validate(a.multiply(points))


def test_chunks_keep_order_and_report_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, secret = names(100), Secret()
    hashed = hash_to_curve(ids, b"job")
    multiplied = secret.multiply(hashed)
    monkeypatch.setattr(curve, "CHUNK", 16)
    seen: list[int] = []
    np.testing.assert_array_equal(hash_to_curve(ids, b"job"), hashed)
    np.testing.assert_array_equal(secret.multiply(hashed, seen.append), multiplied)
    assert seen == [16, 32, 48, 64, 80, 96, 100]
    validate(multiplied)  # its chunks, too


def test_threads_share_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve, "CHUNK", 4)
    secret, points = Secret(), hash_to_curve(names(200), b"job")
    parts = [points[start::8] for start in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(secret.multiply, parts))
    for part, product in zip(parts, together, strict=True):
        np.testing.assert_array_equal(secret.multiply(part), product)


@pytest.mark.parametrize("u", [0, 1, P - 1])
def test_multiply_refuses_low_order(u: int) -> None:
    with pytest.raises(PeerProtocolError, match="low order"):
        Secret().multiply(pack(9, u))


def test_points_must_be_rows_of_32_bytes() -> None:
    for wrong in (np.zeros((2, 31), np.uint8), np.zeros(64, np.uint8), np.zeros((2, 32), np.int8)):
        with pytest.raises(LocalProtocolError):
            Secret().multiply(wrong)  # type: ignore[arg-type]
        with pytest.raises(LocalProtocolError):
            validate(wrong)  # type: ignore[arg-type]


def test_secret_is_fresh_and_does_not_leak() -> None:
    scalar = bytes(range(32))
    secret = Secret(random=lambda _: scalar)
    assert scalar.hex() not in repr(secret) and str(scalar) not in repr(secret)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(LocalProtocolError):
            leak(secret)
    assert not np.array_equal(Secret().multiply(pack(9)), Secret().multiply(pack(9)))


def test_validate_accepts_the_edges() -> None:
    largest = next(u for u in range(P - 1, 0, -1) if on_curve(u))
    validate(pack(9, largest))
    validate(pack())


@pytest.mark.parametrize("u", [P, P + 1, P + 9, 2**255 - 1, 2**255 + 9, 2**256 - 1])
def test_validate_refuses_unreduced(u: int) -> None:
    with pytest.raises(PeerProtocolError, match="reduced"):
        validate(pack(9, u))


def test_validate_refuses_duplicates() -> None:
    points = hash_to_curve(names(20), b"job")
    points[13] = points[2]
    with pytest.raises(PeerProtocolError, match="twice"):
        validate(points)


@pytest.mark.parametrize("place", [0, 17, 39])
def test_validate_refuses_a_twist_point(place: int) -> None:
    points = hash_to_curve(names(40), b"job")
    points[place] = pack(TWIST)[0]
    with pytest.raises(PeerProtocolError, match="not a point"):
        validate(points)


def test_validate_refuses_many_twist_points() -> None:
    twists = [u for u in range(2, 400) if not on_curve(u)]
    for count in (2, 3, len(twists)):
        with pytest.raises(PeerProtocolError, match="not a point"):
            validate(pack(*twists[:count]))


@pytest.mark.parametrize("trial", range(20))
def test_validate_each_trial_alone_sees_its_half(trial: int) -> None:
    def only_here(size: int) -> bytes:
        return (1 << trial).to_bytes(4, "little") * (size // 4)

    good = [u for u in range(2, 400) if on_curve(u)][:20]  # with one more, too many to be looked at one by one
    with pytest.raises(PeerProtocolError):
        validate(pack(*good, TWIST), random=only_here)
    validate(pack(*good, TWIST), random=bytes)  # in no half: unseen, so the halves are what decides


def test_validate_looks_at_each_of_few_points() -> None:
    good = [u for u in range(2, 400) if on_curve(u)][:19]
    validate(pack(*good), random=bytes)
    with pytest.raises(PeerProtocolError, match="not a point"):
        validate(pack(*good, TWIST), random=bytes)
