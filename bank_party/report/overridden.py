"""What officers decided against the reported model since it scores: from the bank's files of scores and of final decisions."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bank_party.decision.scores import DECIDED, READ, read_scores
from bank_party.monitor.matured import with_period
from bank_party.monitor.overrides import OverridesConfig, alarms, measure, read_finals
from common.disk.data_folder import Name
from common.errors import DataError
from common.monitor.book import Book
from common.monitor.history import OverrideMonth

NOTHING = 0  # the look of a report that counts no decision
_ROW = ["id", "month"]


@dataclass(frozen=True)
class Overridden:
    """Decided months of one model, rising, and those above the declared limit by more than chance.

    look: under which number the bank's book keeps which rows had been decided: a report made again counts these and no other.
    """

    months: tuple[OverrideMonth, ...]
    above: frozenset[str]
    limit: float
    look: int

    @property
    def share(self) -> float | None:
        """Of what the model approved or declined, in the months that are shown; None where none is."""
        shown = [m for m in self.months if m.low is not None and m.high is not None]
        decided = sum(m.decided for m in shown)
        return sum((m.low or 0) + (m.high or 0) for m in shown) / decided if decided else None


def find_overridden(data: Path, model: str, config: OverridesConfig | None, look: int | None) -> Overridden | None:
    """None where no final decision is on a row that this model has scored.

    look: whose rows count, NOTHING for none; default: every row that has been decided, entered as a look. Raises DataError for
    final decisions that cannot be read, and for a look that the bank's book does not have.
    """
    if config is None or look == NOTHING:
        return None
    book = Book(data / Name.HISTORY)
    seen = None if look is None else _seen(book, look)
    scored = [one for one in book.scored() if one[1] == model and (seen is None or one[0] in seen)]
    parts = {one[0]: read_scores(data / Name.SCORES, [one], (*READ, DECIDED)) for one in scored}
    finals = read_finals(config) if parts else None
    if finals is None:
        return None
    decided = {job: _decided(part, finals) for job, part in parts.items()} if seen is None else seen
    counted = [part.assign(counts=_among(decided[job], part)) for job, part in parts.items()]
    rows = pd.concat(counted).drop_duplicates(_ROW, keep="last")  # of a row scored twice the later score
    found = measure(rows[rows["counts"]], finals, None)
    if not found:
        return None
    number = book.look({job: zlib.compress(bits) for job, bits in decided.items()}) if look is None else look
    return Overridden(found[0].months, frozenset(alarm.month for alarm in alarms(found, config)), config.limit, number)


def _seen(book: Book, look: int) -> dict[str, bytes]:
    if not (seen := book.looked(look)):
        message = f"the report counts final decisions as of look {look}, which the bank's book does not have"
        raise DataError(message, public=message, remedy="Restore monitor.sqlite from a back-up, or write the report anew.")
    return {job: zlib.decompress(bits) for job, bits in seen.items()}


def _decided(part: pd.DataFrame, finals: pd.DataFrame) -> bytes:
    """A bit for each row of a file of scores: whether there is a final decision on it."""
    keys = ["id", "period"]
    bits = np.zeros(int(part.index.max()) + 1 if len(part) else 0, np.bool_)
    bits[part.index] = pd.MultiIndex.from_frame(with_period(part)[keys]).isin(pd.MultiIndex.from_frame(finals[keys]))
    return np.packbits(bits).tobytes()


def _among(decided: bytes, part: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    bits = np.unpackbits(np.frombuffer(decided, np.uint8)).astype(np.bool_)
    inside = part.index.to_numpy() < len(bits)  # a file that has grown since is another one
    return inside & bits[np.where(inside, part.index.to_numpy(), 0)] if len(bits) else inside
