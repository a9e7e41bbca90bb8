"""Products of a matrix one party holds with vectors that are shared. PROTOCOL.md section 3.

Once per job each party sends its matrix minus a mask (6 to 8 bytes a cell, one round). From then on a product costs one message
of the vector's length and one matrix-vector product a side; what is missing of the sum, mask times mask, is the dealer's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from common.errors import LocalProtocolError, PolicyError
from common.mpc.beside import one_ahead
from common.mpc.correlations.asked import MATRIX_BLOCK, Correlations
from common.mpc.fixedpoint import Words
from common.mpc.session import MAX_ARRAY_BYTES, Kind, Session
from common.mpc.short import WIDE, Sent, fill, lengthen, sent_as, shorten
from common.party import Party

# The 64-bit type that holds a matrix's numbers: signed ones stay themselves when widened.
_SAME_WORDS: dict[Any, Any] = {np.dtype(np.int32): np.int64, np.dtype(np.uint64): np.uint64}


class Rows(Protocol):
    """A matrix (n, m) read and written by slices of rows, column-major: an array, or one that is not in memory."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]: ...

    def __setitem__(self, rows: slice, values: npt.NDArray[Any], /) -> None: ...


@dataclass(frozen=True, repr=False)
class Matrices:
    """`own`, (n, m_own), in clear; `masked`, (n, m_other), the other's minus its mask. The ridge matrices likewise, (m, m).

    All are column-major, own int32 and the others uint64: both A @ v and A.T @ w then run at memory speed.
    ones: whether the bank's last column is known to both, and masked by nothing: E is X there. width: bytes of the masked
    words; what stands above is zero.
    """

    own: Rows
    own_ridge: Words
    masked: Rows
    masked_ridge: Words
    ones: bool = False
    width: int = WIDE


def check_width(rows: int, columns: int, cell: int) -> None:
    """Raises PolicyError for columns of which a block of rows, at so many bytes a cell, is more than one array may be."""
    block = min(rows, MATRIX_BLOCK)
    if (most := MAX_ARRAY_BYTES // (cell * block)) < columns:
        raise PolicyError(
            f"{block} rows of {columns} columns are more than one message may hold",
            expected=f"at most {most} columns of either side",
            got=columns,
            remedy="Name fewer columns in the plan, or give those in bins fewer of them.",
        )


def in_memory(shape: tuple[int, int]) -> Rows:
    """An empty (rows, m) array of words in memory: where `share_matrices` puts the other's matrix unless told otherwise."""
    words: Words = np.empty(shape, np.uint64, order="F")
    return words


async def share_matrices(
    session: Session,
    correlations: Correlations,
    own: Rows,
    own_ridge: Words,
    other_columns: int,
    room: Callable[[tuple[int, int]], Rows] = in_memory,
    width: int = WIDE,
    ones: Words | None = None,
) -> Matrices:
    """Rows as `share_rows` exchanges them, then the ridge matrices in whole words: (width n + 8 m) m bytes from each."""
    mine = np.ascontiguousarray((own_ridge - correlations.ridge_mask(own.shape[1])).T)
    masked = await share_rows(session, correlations, own, other_columns, room, width, behind=mine, ones=ones)
    theirs = await session.collect(Kind.MASKED_MATRIX, mine.dtype, (other_columns, other_columns))
    return Matrices(own, own_ridge, masked, np.asfortranarray(theirs.T), ones is not None, width)


async def share_rows(
    session: Session,
    correlations: Correlations,
    own: Rows,
    other_columns: int,
    room: Callable[[tuple[int, int]], Rows] = in_memory,
    width: int = WIDE,
    *,
    behind: Words | None = None,
    ones: Words | None = None,
) -> Rows:
    """Each party sends E = X - U and keeps X; the other's E, (n, m_other). In blocks of 65,536 rows.

    own: int32 or uint64. room: gives the place for E. width: bytes of E's words; what stands above is zero. behind: what
    leaves behind the last block, before the other's is waited for; whoever asks for it collects the other's. ones: the
    bank's last column, (n,), where both know it: it is not sent, and E is X there, of a mask that is zero. Raises
    LocalProtocolError at a bank that has another.
    """
    rows, columns = own.shape
    bank = session.party is Party.BANK
    mine, theirs_sent = columns - (ones is not None and bank), other_columns - (ones is not None and not bank)
    masked = room((rows, other_columns))
    blocks = [slice(low, min(rows, low + MATRIX_BLOCK)) for low in range(0, rows, MATRIX_BLOCK)]
    masking = (partial(_masked, correlations, block, own, at, width, mine, ones) for block, at in enumerate(blocks))
    sizes = (columns * (at.stop - at.start) for at in blocks)
    async with one_ahead(map(session.begin, masking, sizes)) as hidden:
        for at in blocks:
            await session.post(Kind.MASKED_MATRIX, await hidden())
            if behind is not None and at.stop == rows:
                await session.post(Kind.MASKED_MATRIX, behind)
            shape = theirs_sent, at.stop - at.start
            theirs = await session.collect(Kind.MASKED_MATRIX, *sent_as(shape, width))
            beside = None if ones is None or bank else ones[at]
            await session.compute(partial(_put, masked, at.start, theirs, width, shape, beside), theirs.size)
    return masked


def _put(masked: Rows, low: int, theirs: Sent, width: int, shape: tuple[int, int], ones: Words | None) -> None:
    at = slice(low, low + shape[1])
    if width < WIDE and isinstance(masked, np.ndarray):
        fill(masked[at].T[: shape[0]], theirs, width)
        if ones is not None:
            masked[at, -1] = ones
    else:
        words = lengthen(theirs, width, shape)
        masked[at] = (words if ones is None else np.concatenate([words, ones[None]])).T


def _masked(correlations: Correlations, block: int, own: Rows, at: slice, width: int, columns: int, ones: Words | None) -> Sent:
    part = own[at].T  # (columns, rows), row-major as it is sent
    if columns < len(part) and not np.array_equal(part[-1].astype(np.int64).view(np.uint64), ones[at]):  # type: ignore[index]
        raise LocalProtocolError("the bank's last column is not what both take it for", got=columns)
    part = part[:columns]
    hidden = correlations.matrix_mask(block, part.shape[1], columns)
    for column, mask in zip(part, hidden, strict=True):  # in place of the mask, in the processor's cache
        np.subtract(column.astype(_SAME_WORDS[part.dtype]).view(np.uint64), mask, out=mask)
    return shorten(hidden, width)


def forward(matrix: npt.NDArray[Any], vector: Words) -> Words:
    """matrix @ vector modulo 2^64, for a matrix of int32 or uint64.

    einsum's integer loops are vectorised; those of `@` are not, and take seven times as long.
    """
    result: Words = np.einsum("ij,j->i", matrix, vector.view(_SAME_WORDS[matrix.dtype])).view(np.uint64)
    return result


def backward(matrix: npt.NDArray[Any], vector: Words) -> Words:
    """matrix.T @ vector modulo 2^64."""
    result: Words = np.einsum("ij,i->j", matrix, vector.view(_SAME_WORDS[matrix.dtype])).view(np.uint64)
    return result


def forward_units(matrix: npt.NDArray[Any], vectors: Words) -> Words:
    """(matrix (n, m) @ vectors (m, k)).T modulo 2^64, (k, n)."""
    result: Words = np.einsum("ij,jk->ki", _words(matrix), vectors)
    return result


def backward_units(matrix: npt.NDArray[Any], values: Words) -> Words:
    """matrix.T @ values.T modulo 2^64, (m, k), for values (k, n)."""
    result: Words = np.einsum("ij,ki->jk", _words(matrix), values)
    return result


def _words(matrix: npt.NDArray[Any]) -> Words:
    return matrix.astype(_SAME_WORDS[matrix.dtype], copy=False).view(np.uint64)
