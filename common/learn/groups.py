"""What telling the strongest groups of the grid's columns takes whatever the closed model is. PROTOCOL.md section 18."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from common.errors import ConfigError, PeerProtocolError
from common.mpc.fixedpoint import Reals, Words
from common.mpc.ranks.masks import MOST
from common.mpc.session import Session
from common.party import Party
from common.rows.hashes import hash_levels, mix_rows
from common.rows.table import FeatureTable

Groups = Sequence[int | None]
"""The group of each of the grid's prepared columns, or of its thresholds; empty at the bank."""


_NEVER = 1.0  # log-odds beside the threshold by which a group that has no text fails it


def check_groups(session: Session, groups: int) -> None:
    """Raises ConfigError at the grid, PeerProtocolError at the bank for more groups than are ranked."""
    if groups > MOST:
        text = f"{groups} different reasons are declared, and {MOST} can be ranked of a model that nobody holds"
        if session.party is Party.BANK:
            raise PeerProtocolError(text)
        raise ConfigError(text, remedy="Share texts: columns of one text are one reason.")


def members(groups: Groups, count: int) -> npt.NDArray[np.bool_]:
    """Which columns each group has, (count, columns)."""
    return np.array([[of == group for of in groups] for group in range(count)], np.bool_)


def least_of(threshold: float, named: int, groups: int) -> Reals:
    """The log-odds by which each of `groups` groups must raise u, (groups,): those that have no text are never told."""
    least = np.full(groups, threshold)
    least[named:] += _NEVER
    return least


def dither_groups(secret: bytes, table: FeatureTable, groups: int, step: int) -> Callable[[slice], Words]:
    """The grid's dither of a block of rows, (groups, rows), uniform in half of 2^step either way, the same for a row each time.

    Rounding at random would else tell finer differences to whoever has a row told again and again. secret: of the grid's half
    of the model.
    """
    key = blake2b(secret, digest_size=32, person=b"wattscore.reason").digest()
    of_level = hash_levels(table.ids, key)

    def of(rows: slice) -> Words:
        keys = table.keys(rows)
        mixed = [mix_rows(keys, of_level, blake2b(bytes([group]), key=key, digest_size=32).digest()) for group in range(groups)]
        return (np.stack(mixed) >> np.uint64(64 - step)) - np.uint64(1 << (step - 1))

    return of
