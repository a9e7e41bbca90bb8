"""What officers decided against the reported model since it scores: from the bank's files of scores and of final decisions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bank_party.decision.scores import DECIDED, READ, read_scores
from bank_party.monitor.overrides import OverridesConfig, alarms, measure, read_finals
from common.disk.data_folder import Name
from common.monitor.book import Book
from common.monitor.history import OverrideMonth


@dataclass(frozen=True)
class Overridden:
    """Decided months of one model, rising, and those above the declared limit by more than chance."""

    months: tuple[OverrideMonth, ...]
    above: frozenset[str]
    limit: float

    @property
    def until(self) -> str:
        """The last month counted: a report made again counts up to it and no further."""
        return self.months[-1].month

    @property
    def share(self) -> float | None:
        """Of what the model approved or declined, in the months that are shown; None where none is."""
        shown = [m for m in self.months if m.low is not None and m.high is not None]
        decided = sum(m.decided for m in shown)
        return sum((m.low or 0) + (m.high or 0) for m in shown) / decided if decided else None


def find_overridden(data: Path, model: str, config: OverridesConfig | None, until: str | None) -> Overridden | None:
    """None where no final decision is on a row that this model has scored; until: the last month that counts, empty for none.

    Raises DataError for final decisions that cannot be read.
    """
    scored = [] if config is None or until == "" else [one for one in Book(data / Name.HISTORY).scored() if one[1] == model]
    if config is None or not scored:
        return None
    scores = read_scores(data / Name.SCORES, scored, (*READ, DECIDED))
    found = measure(scores if until is None else scores[scores["month"] <= until], read_finals(config), None)
    if not found:
        return None
    return Overridden(found[0].months, frozenset(alarm.month for alarm in alarms(found, config)), config.limit)
