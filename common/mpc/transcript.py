"""What went each way between two parties, as who sent it goes on with it and as who took it does: sums of checksums.

They are compared where a stage has opened something or left a model: a word that is another at who took it ends the job. It is
against faults, and against a party that tells another word than it reckons with; who reckons with a lie says it alike at both
ends. PROTOCOL.md section 17.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SUM_BYTES = 16
_KEY = b"wattscore.said.1"  # public: no secret would help against who hashes what it should have sent
_MODULUS = 1 << 8 * SUM_BYTES

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


def tag(key: bytes, place: int, label: object, values: Array) -> bytes:
    """A checksum of an array at this place with its label, type and shape, 16 bytes: AES-GMAC, which is quick on much."""
    found = Cipher(algorithms.AES(key), modes.GCM(place.to_bytes(12, "little"))).encryptor()
    found.authenticate_additional_data(f"{label} {values.dtype.str} {values.shape} ".encode())
    found.authenticate_additional_data(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    found.finalize()
    return found.tag


class Transcript:
    """Sums over all arrays of one way, whatever the order in which they are added, modulo 2^128."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, number: int, label: object, values: Array) -> None:
        """number: the array's own in its way, from 1."""
        self._sum = (self._sum + int.from_bytes(tag(_KEY, number, label, values), "little")) % _MODULUS

    @property
    def said(self) -> Bytes:
        """(SUM_BYTES,) by now."""
        return np.frombuffer(self._sum.to_bytes(SUM_BYTES, "little"), np.uint8)
