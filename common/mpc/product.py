"""Products of a matrix one party holds with vectors that are shared. PROTOCOL.md section 3.

Once per job each party sends its matrix minus a mask (8 bytes a cell, one round). From then on a product costs one message
of the vector's length and one matrix-vector product a side; what is missing of the sum, mask times mask, is the dealer's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from common.mpc.correlation import MATRIX_BLOCK, Correlations
from common.mpc.fixedpoint import Words
from common.mpc.session import Kind, Session


@dataclass(frozen=True, repr=False)
class Matrices:
    """`own`, (n, m_own), in clear; `masked`, (n, m_other), the other's minus its mask. The ridge matrices likewise, (m, m).

    All are uint64, column-major: both A @ v and A.T @ w then run at memory speed.
    """

    own: Words
    own_ridge: Words
    masked: Words
    masked_ridge: Words


async def share_matrices(
    session: Session, correlations: Correlations, own: Words, own_ridge: Words, other_columns: int
) -> Matrices:
    """Each party sends E = X - U and keeps X; the other keeps E. 8 (n + m) m bytes from each, in blocks of 65,536 rows."""
    rows, columns = own.shape
    masked: Words = np.empty((rows, other_columns), np.uint64, order="F")
    for block, low in enumerate(range(0, rows, MATRIX_BLOCK)):
        part = own[low : low + MATRIX_BLOCK].T  # (columns, rows), row-major as it is sent
        mine = await session.compute(partial(_masked, correlations, block, part), part.size)
        await session.post(Kind.MASKED_MATRIX, mine)
        theirs = await session.collect(Kind.MASKED_MATRIX, np.uint64, (other_columns, part.shape[1]))
        masked.T[:, low : low + MATRIX_BLOCK] = theirs
    mine = np.ascontiguousarray((own_ridge - correlations.ridge_mask(columns)).T)
    theirs = await session.exchange(Kind.MASKED_MATRIX, mine, shape=(other_columns, other_columns))
    return Matrices(own, own_ridge, masked, np.asfortranarray(theirs.T))


def _masked(correlations: Correlations, block: int, part: Words) -> Words:
    columns, rows = part.shape
    return part - correlations.matrix_mask(block, rows, columns)


def forward(matrix: Words, vector: Words) -> Words:
    """matrix @ vector modulo 2^64. einsum's integer loops are vectorised; those of `@` are not, and take seven times as long."""
    result: Words = np.einsum("ij,j->i", matrix, vector)
    return result


def backward(matrix: Words, vector: Words) -> Words:
    """matrix.T @ vector modulo 2^64."""
    result: Words = np.einsum("ij,i->j", matrix, vector)
    return result
