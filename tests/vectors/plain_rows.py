"""Sections 7 and 8 of PROTOCOL.md once more, as `plain.py` reads the others: ids that are matched, rows that are held out."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.vectors.plain import Vector, tag


def hashed(text: str, job: bytes, elligator: Any) -> bytes:
    """Section 8: H(id) as its u coordinate; `elligator` maps an integer to u of 8 times the point."""
    key = hashlib.blake2b(job, digest_size=64, person=b"wattscore-psi").digest()
    uniform = hashlib.blake2b(text.encode(), digest_size=32, key=key).digest()
    u: int = elligator(int.from_bytes(uniform, "little") % 2**255)
    return u.to_bytes(32, "little")


def held_out(table: list[tuple[str, int, int]], options: dict[str, Any], text: str) -> Vector:
    """Section 7: the places of the rows (id, month, label) that the bank draws; `text`: the options as they are hashed."""
    if options["by"] == "time":
        last = max(month for _, month, _ in table)
        return [at for at, (_, month, _) in enumerate(table) if month > last - options["months"]]
    key = hashlib.blake2b(text.encode(), digest_size=32, person=b"split").digest()
    of_id = hashlib.blake2b(b"", key=key, digest_size=16, person=b"row.id").digest()
    ids = {name: tag(of_id, name)[0] for name, _, _ in table}
    everything = b"".join(h.to_bytes(8, "little") for h in sorted(mixed(key, ids[i], m, y) for i, m, y in table))
    order = hashlib.blake2b(everything).digest()
    if options["by"] == "row":
        return smallest([(mixed(order, ids[i], m, 0), y) for i, m, y in table], options)
    firms = list(dict.fromkeys(i for i, _, _ in table))
    ever = {firm: max(y for i, _, y in table if i == firm) for firm in firms}
    drawn = {firms[at] for at in smallest([(mixed(order, ids[firm], 0, 0), ever[firm]) for firm in firms], options)}
    return [at for at, (firm, _, _) in enumerate(table) if firm in drawn]


def mixed(key: bytes, of_id: int, month: int, value: int) -> int:
    secret = hashlib.blake2b(b"", key=key, digest_size=16, person=b"row.period").digest()
    block = of_id.to_bytes(8, "little") + (month << 8 | value).to_bytes(8, "little")
    cipher = Cipher(algorithms.AES(secret), modes.CBC(bytes(16))).encryptor()  # one block: CBC from zero is the block function
    return int.from_bytes(cipher.update(block)[:8], "little")


def smallest(rows: list[tuple[int, int]], options: dict[str, Any]) -> Vector:
    held = round(options["test"] * len(rows))
    ones = [at for at, (_, y) in enumerate(rows) if y == 1]
    some = round(options["test"] * len(ones))
    parts = [(ones, some), ([at for at, (_, y) in enumerate(rows) if y == 0], held - some)]
    if not options["stratify"]:
        parts = [(list(range(len(rows))), held)]
    ordered = [(sorted(members, key=lambda at: rows[at][0]), count) for members, count in parts]
    return sorted(at for members, count in ordered for at in members[:count])
