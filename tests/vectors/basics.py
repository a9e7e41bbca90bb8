"""The vectors of single operations: streams, links, truncations, splits, matching, frames, and what must be refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from common.match.aided import make_tags
from common.match.curve import Secret, hash_to_curve
from common.mpc import field
from common.mpc.correlations.asked import TruncationPart
from common.mpc.dealer import deal_truncation
from common.mpc.fixedpoint import LinkScales, as_words
from common.mpc.link import Fourier, Link, Taylor
from common.mpc.prg import Prg, Purpose
from common.mpc.seeds import fingerprint, own_seed
from common.mpc.session import Array, Kind, Round
from common.mpc.truncate import masked, shifted
from common.party import Party
from common.plan.train import Split
from common.rows.table import FeatureTable, Ids
from common.stages.split import draw
from common.wire.peer_pb2 import Frame
from tests.common.wire.framed import encode
from tests.peers import NONCES
from tests.vectors.form import load, stored

P = 2**255 - 19
LARGE = 1 << 21  # bytes into a stream: past every buffer it may be made in


def seed(number: int) -> bytes:
    """32 bytes that are plainly no secret."""
    return hashlib.sha256(f"known answer {number}".encode()).digest()


DEALT = {party: seed(party.index) for party in Party}
SEEDS = {party: own_seed(DEALT[party], NONCES[party]) for party in Party}
"""By party: the seed it is dealt, and what it makes of that and its nonce."""


def streams() -> dict[str, Any]:
    """PROTOCOL.md section 2: seeds made, the first bytes for each purpose, far ones; elements of section 13."""
    prg = Prg(seed(2))
    cases = [_stream(prg, purpose, 0) for purpose in Purpose]
    cases += [_stream(prg, Purpose.MATRIX, counter) for counter in (1, 2**24 + 1, 2**48, 2**63)]
    far = prg.words(Purpose.LINK, 5, LARGE // 8 + 4)[-4:]
    drawn = field.elements(prg, Purpose.COUNT_MASK, 3, 6)
    nonzero = field.elements(prg, Purpose.COUNT_FACTOR, 3, 6, below=field.P - 1)
    made = [
        {"dealt": DEALT[p].hex(), "nonce": NONCES[p].hex(), "seed": SEEDS[p].hex(), "fingerprint": fingerprint(SEEDS[p]).hex()}
        for p in Party
    ]
    return {
        "made": made,
        "seed": seed(2).hex(),
        "streams": cases,
        "far": {"purpose": Purpose.LINK.value, "counter": 5, "skip": LARGE, "bytes": far.tobytes().hex()},
        "elements": {"purpose": Purpose.COUNT_MASK.value, "counter": 3, "below": field.P, "values": drawn.tolist()},
        "elements_but_the_last": {
            "purpose": Purpose.COUNT_FACTOR.value,
            "counter": 3,
            "below": field.P - 1,
            "values": nonzero.tolist(),
        },
    }


def _stream(prg: Prg, purpose: Purpose, counter: int) -> dict[str, Any]:
    first = prg.words(purpose, counter, 6).tobytes().hex()
    return {"name": purpose.name, "purpose": purpose.value, "counter": counter, "bytes": first}


def links() -> dict[str, Any]:
    """Section 5: tables at angles a, public factors and public part at openings c."""
    rng = np.random.default_rng(5)
    forms: list[Link] = [
        Fourier(),
        Fourier(16, 4),
        Fourier(32, 8, odd=False),
        Fourier(32, 12, odd=False, dithered=True),
        Fourier(),
        Taylor(),
    ]
    edges = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**30]
    a, c = (np.array([*edges, *rng.integers(0, 2**32, 6).tolist()], np.uint32) for _ in range(2))
    return {
        "cases": [
            _link(link, a, c, *sizes)
            for link, sizes in zip(forms, [(2.5, 14_280)] * 4 + [(4.0, 10**6), (1.0, 1024)], strict=True)
        ]
    }


def _link(link: Link, a: Array, c: Array, step: float, rows: int) -> dict[str, Any]:
    scales = LinkScales.choose(step, rows, link.least_bits)
    tables = np.stack([as_words(np.rint(values * 2.0**scales.table)) for values in link.table_values(a)])
    case: dict[str, Any] = {"link": type(link).__name__.lower(), "period": int(link.times * link.period), "times": link.times}
    if isinstance(link, Fourier):
        case |= {
            "terms": link.terms,
            "odd": link.odd,
            "dithered": link.dithered,
            "coefficients": list(link.coefficients),
        }
    return case | {
        "step": step,
        "rows": rows,
        "table_scale": scales.table,
        "factor_scale": scales.factor,
        "a": a.tolist(),
        "c": c.tolist(),
        "tables": stored(tables),
        "factors": stored(np.stack(list(link.factors(c, scales)))),
        "public": stored(np.ascontiguousarray(link.public(c, scales))),
    }


def truncations() -> dict[str, Any]:
    """Section 4: what is dealt, what is opened, and both shares of the result."""
    edges = [0, 1, -1, 2**62 - 1, -(2**62) + 1, 2**36, -(2**36), 2**61]
    return {
        "seeds": {p.value: s.hex() for p, s in SEEDS.items()},
        "cases": [_truncation(edges, n, s) for n, s in ((0, 36), (7, 12), (2**48, 25))],
    }


def _truncation(values: list[int], number: int, shift: int) -> dict[str, Any]:
    rng, prg = np.random.default_rng(number % 97), {party: Prg(s) for party, s in SEEDS.items()}
    offset, grid = (rng.integers(0, 2**64, len(values), dtype=np.uint64) for _ in range(2))
    words = {Party.GRID: grid, Party.BANK: as_words(np.array(values, np.int64)) - offset - grid}
    dealt = {party: array for party, _, array in deal_truncation(prg, number, offset, shift)}
    count = len(values)
    part = {
        Party.GRID: TruncationPart(
            prg[Party.GRID].words(Purpose.TRUNCATION, number, count),
            prg[Party.GRID].words(Purpose.TRUNCATION_BODY, number, count),
            dealt[Party.GRID],
        ),
        Party.BANK: TruncationPart(
            prg[Party.BANK].words(Purpose.TRUNCATION, number, count),
            dealt[Party.BANK],
            prg[Party.BANK].words(Purpose.TRUNCATION_TOP, number, count),
        ),
    }
    sent = {party: masked(party, part[party], words[party]) for party in Party}
    c = sent[Party.GRID] + sent[Party.BANK]
    named: Callable[[dict[Party, Array]], dict[str, Any]] = lambda by: {p.value: stored(by[p]) for p in Party}  # noqa: E731
    return {
        "x": values,
        "shift": shift,
        "number": number,
        "delta": stored(np.uint64(0) - offset),
        "words": named(words),
        "dealt": named(dealt),
        "sent": named(sent),
        "result": named({party: shifted(party, part[party], c, shift) for party in Party}),
    }


def splits() -> dict[str, Any]:
    """Section 7: the rows that the bank holds out."""
    ids = [f"F{k % 14:02d}" for k in range(40)]
    periods = [24_288 + k // 14 for k in range(40)]
    labels = [int(k % 7 in (0, 3)) for k in range(40)]
    options = [Split(), Split(seed=7), Split(test=0.25, stratify=False), Split(by="enterprise"), Split(by="time", months=1)]
    table = FeatureTable(Ids.of(ids), np.array(periods, np.int32), {}, {}, label=np.array(labels, np.float64))
    cases = [{"options": o.model_dump_json(), "held_out": np.flatnonzero(draw(table, o)).tolist()} for o in options]
    return {"ids": ids, "periods": periods, "labels": labels, "cases": cases}


def matches() -> dict[str, Any]:
    """Section 8: tags for the neutral process, and both parties' points by Diffie-Hellman."""
    ids = {Party.GRID: ["91310000MA1FL0", "A", "株式会社", "B" * 16, "C" * 17], Party.BANK: ["C" * 17, "91310000MA1FL0", "Z"]}
    return {"job": "job-1", "ids": {p.value: ids[p] for p in Party}, "neutral": _tags(ids), "ecdh": _points(ids)}


def _tags(ids: dict[Party, list[str]]) -> dict[str, Any]:
    halves = {party: seed(10 + party.index) for party in Party}
    joined = halves[Party.GRID] + halves[Party.BANK] + b"job-1"
    key = hashlib.blake2b(joined, digest_size=16, person=b"wattscore tags").digest()
    tags = {party: make_tags(pa.array(ids[party]), key) for party in Party}
    return {
        "random": {p.value: halves[p].hex() for p in Party},
        "key": key.hex(),
        "tags": {p.value: stored(tags[p][0]) for p in Party},
        "of": {p.value: tags[p][1].tolist() for p in Party},
    }


def _points(ids: dict[Party, list[str]]) -> dict[str, Any]:
    scalars = {party: seed(20 + party.index) for party in Party}
    hashed = {party: hash_to_curve(ids[party], b"job-1") for party in Party}
    secret = {party: Secret(lambda _, p=party: scalars[p]) for party in Party}  # type: ignore[misc]
    sent = {party: secret[party].multiply(hashed[party]) for party in Party}
    return {
        "scalars": {p.value: scalars[p].hex() for p in Party},
        "hashed": {p.value: stored(hashed[p]) for p in Party},
        "points": {p.value: stored(sent[p]) for p in Party},
        "replies": {p.value: stored(secret[p].multiply(sent[p.other])) for p in Party},
    }


def frames() -> dict[str, Any]:
    """Section 9: the frame of each kind, from the labels and values that stand there; the rest as it stands."""
    known = load("frames.json")
    for case in known["frames"]:
        values = np.array(case["values"], case["element"]).reshape(case["shape"])
        (frame,) = encode(Round(Kind(case["kind"]), case["number"]), values)
        case["frame"] = frame.SerializeToString(deterministic=True).hex()
    first = [Frame.FromString(bytes.fromhex(case["frame"])) for case in known["frames"][:3]]
    known["together"] = Frame(together=first).SerializeToString(deterministic=True).hex()  # of the first three
    return known  # type: ignore[no-any-return]


def refused() -> dict[str, Any]:
    """Values that a party, the neutral process or the dealer must refuse; README.md says which does."""
    good = hash_to_curve(["A", "B"], b"job-1")
    tags = np.array([[1, 5], [2, 3], [2, 4]], np.uint64)
    return {
        "points": [{"why": why, "points": stored(_rows(rows))} for why, rows in _bad_points(good).items()],
        "tags": [
            {"why": "descend", "tags": stored(tags[::-1].copy())},
            {"why": "one twice", "tags": stored(tags[[0, 1, 1]])},
            {"why": "equal first words, second ones descend", "tags": stored(tags[[0, 2, 1]])},
            {"why": "one fewer than said", "said": 4, "tags": stored(tags)},
            {"why": "one more than said", "said": 2, "tags": stored(tags)},
            {"why": "words of another size", "tags": stored(tags.astype(np.uint32))},
            {"why": "points in place of tags", "tags": stored(np.zeros((3, 32), np.uint8))},
        ],
        "messages": [
            {"why": why, "kind": kind.value, "number": number} | stored(values)
            for why, kind, number, values in (
                ("another kind", Kind.MASKED_RESIDUAL, 1, np.zeros(3, np.uint32)),
                ("another number", Kind.MASKED_U, 2, np.zeros(3, np.uint32)),
                ("number zero", Kind.MASKED_U, 0, np.zeros(3, np.uint32)),
                ("a value too many", Kind.MASKED_U, 1, np.zeros(4, np.uint32)),
                ("a column of values", Kind.MASKED_U, 1, np.zeros((3, 1), np.uint32)),
                ("words of another size", Kind.MASKED_U, 1, np.zeros(3, np.uint64)),
                ("nothing", Kind.MASKED_U, 1, np.zeros(0, np.uint32)),
            )
        ],
        "seeds": [{"why": f"{size} bytes", "bytes": bytes(size).hex()} for size in (0, 31, 33)],
        "demands": [
            {"why": "the parties ask for different sizes", "grid": [5], "bank": [6]},
            {"why": "one asks for more", "grid": [5], "bank": []},
            {"why": "both ask twice", "grid": [5, 5], "bank": [5, 5]},
            {"why": "both ask twice, for other sizes", "grid": [5, 6], "bank": [5, 6]},
        ],
    }


def _bad_points(good: Array) -> dict[str, list[int]]:
    one, two = (int.from_bytes(row.tobytes(), "little") for row in good)
    return {
        "one twice": [one, two, one],
        "not reduced: p": [one, P],
        "not reduced: the largest": [one, 2**255 - 1],
        "the highest bit is set": [one, two | 1 << 255],
        "on the twist": [one, 3],
        "of low order: 0": [one, 0],
        "of low order: 1": [one, 1],
        "of low order: -1": [one, P - 1],
    }


def _rows(values: list[int]) -> Array:
    return np.frombuffer(b"".join(v.to_bytes(32, "little") for v in values), np.uint8).reshape(-1, 32)
