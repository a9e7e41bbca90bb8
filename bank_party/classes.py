"""Are there labels enough of each class? Floors of the bank's own, which nobody else can place. PROTOCOL.md section 7."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from common.errors import PolicyError
from common.home.rowsets import distinct, row_keys
from common.rows.table import FeatureTable
from common.stages.sizes import TOO_FEW, TOO_FEW_REMEDY

_SPAN = 25

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Floors:
    """Fewest labels of each class among the rows that train and among those held out."""

    train: int
    held: int

    def moved(self, table: FeatureTable, secret: bytes) -> Floors:
        """Up by as much as 25, or as they are, as a hash of the rows under the bank's secret says: the same for the same rows.

        So a count that is known but for one label is not held against a number that somebody chose.
        """
        digest = blake2b(distinct(row_keys(table)).data, key=secret, digest_size=16, person=b"wattscore.floor").digest()
        one, two = (int.from_bytes(digest[k : k + 8], "little") for k in (0, 8))
        return Floors(self.train + one % (1 + min(_SPAN, self.train)), self.held + two % (1 + min(_SPAN, self.held)))


def check_classes(table: FeatureTable, test: Mask, floors: Floors) -> None:
    """table: all matched rows; those of `test` (n,) are held out. Raises PolicyError, of which others do not hear why."""
    for what, rows, least in (("training", ~test, floors.train), ("held-out", test, floors.held)):
        ones = int(np.sum(table.outcomes, where=rows))
        if min(ones, int(rows.sum()) - ones) < least:
            raise PolicyError(
                f"the matched {what} rows hold fewer labels of one class than this bank trains on",
                remedy=TOO_FEW_REMEDY,
                public=TOO_FEW,
            )
