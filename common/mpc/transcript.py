"""What went each way between two parties, as who sent it goes on with it and as who took it does: sums of checksums.

They are compared where a stage has opened something or left a model, or a stock that both made: a word that is another at who
took it ends the job. It is against faults, and against a party that tells another word than it reckons with; who reckons with
a lie says it alike at both ends. PROTOCOL.md section 17.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from common.errors import LocalProtocolError

SUM_BYTES = 16
_TAGS = AESGCM(b"wattscore.said.1")  # public: no secret would help against who hashes what it should have sent
_FEW = 1 << 12  # bytes that are copied sooner than looked at where they are
_MODULUS = 1 << 8 * SUM_BYTES

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


def checksum(label: object, values: Array) -> int:
    """Of an array with its label, type and shape: a tag of AES-GCM, which is quick on much and on little."""
    head = f"{label} {values.dtype.str} {values.shape}".encode()
    few = values.nbytes <= _FEW
    told = values.tobytes() if few else np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    return int.from_bytes(_TAGS.encrypt(head, b"", told), "little")


class Transcript:
    """Sums over all arrays of one way, whatever the order in which they are added, modulo 2^128."""

    def __init__(self) -> None:
        self._sum: int | None = 0

    def stop(self) -> None:
        """For who never looks at the sum: to add a small array takes as long as to send it."""
        self._sum = None

    def add(self, label: object, values: Array) -> None:
        """label: with the array's number in its way, as no other has it."""
        if self._sum is not None:
            self._sum = (self._sum + checksum(label, values)) % _MODULUS

    def join(self, other: int) -> None:
        """The same of arrays that were added elsewhere, by their sum."""
        if self._sum is not None:
            self._sum = (self._sum + other) % _MODULUS

    @property
    def sum(self) -> Bytes:
        """(SUM_BYTES,) by now. Raises LocalProtocolError once nothing is added any more."""
        if self._sum is None:
            raise LocalProtocolError("what was exchanged here is summed no more, and cannot be compared")
        return np.frombuffer(self._sum.to_bytes(SUM_BYTES, "little"), np.uint8)
