"""What cleaning did: each rule that touched anything, how many rows, and a few examples with masked ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from common.rows.ids import masked
from common.rows.months import month_text
from common.rows.origin import Mask, Origin

EXAMPLES = 3
_SHOWN = 40
_ORDER = {"alike": 1, "several": 2, "duplicate": 3, "conflict": 4, "gap": 5}  # rules over rows, behind those over columns
_TAKES = ("malformed", "impossible", "negative", "outlier")


@dataclass(frozen=True)
class Example:
    """One row that a rule touched. It holds a value: for the owner's own report only."""

    place: str
    id: str
    month: str
    value: str


@dataclass(frozen=True)
class Finding:
    """A rule, the field and columns it looked at, what it did, to how many rows."""

    rule: str
    field: str
    columns: tuple[str, ...]
    action: str
    rows: int
    examples: tuple[Example, ...] = ()


@dataclass
class _Noted:
    columns: dict[str, None] = field(default_factory=dict)
    rows: int = 0
    examples: list[tuple[int, str, str, str]] = field(default_factory=list)


@dataclass
class Journal:
    """Collects findings. `ids` are the source's ids as text by row, set as soon as they are read; `months` likewise."""

    origin: Origin
    ids: Callable[[int], str] = lambda row: ""
    _noted: dict[tuple[str, str, str], _Noted] = field(default_factory=dict)

    def note(
        self,
        rule: str,
        name: str,
        column: str,
        action: str,
        rows: npt.NDArray[np.integer[Any]],
        value: Callable[[int], Any],
        month: Callable[[int], int | None] = lambda index: None,
    ) -> None:
        """Source `rows` touched by a rule; value(i) and month(i) are what the i-th of them held."""
        noted = self._noted.setdefault((rule, name, action), _Noted())
        noted.rows += len(rows)
        if column:
            noted.columns[column] = None
        for index in range(min(len(rows), EXAMPLES - len(noted.examples))):
            when = month(index)
            text = "" if when is None else month_text(when)
            noted.examples.append((int(rows[index]), self.ids(int(rows[index])), text, str(value(index))[:_SHOWN]))

    def lost(self, name: str) -> bool:
        """Whether a rule took values of this field away."""
        return any(field == name and rule in _TAKES for rule, field, _ in self._noted)

    def count(self, rule: str, name: str, column: str, action: str, rows: int) -> None:
        """Rows touched, without examples."""
        if rows:
            noted = self._noted.setdefault((rule, name, action), _Noted())
            noted.rows += rows
            noted.columns[column] = None

    def settle(
        self,
        rule: str,
        name: str,
        column: str,
        action: str,
        bad: Mask,
        what: str,
        remedy: str,
        value: Callable[[int], Any],
        month: Callable[[int], int | None] = lambda index: None,
    ) -> bool:
        """Notes the `bad` rows (n,), or raises DataError where the rule is to refuse; whether there were any.

        value(row) and month(row) are of a source row.
        """
        if not bad.any():
            return False
        rows = np.flatnonzero(bad)
        if action == "refuse":
            first = int(rows[0])
            raise self.origin.bad_row(column, first, len(rows), what, remedy, str(value(first)))
        self.note(rule, name, column, action, rows, lambda i: value(int(rows[i])), lambda i: month(int(rows[i])))
        return True

    def findings(self) -> tuple[Finding, ...]:
        """All of them, the places of examples looked up in one pass over the source."""
        wanted = {row for noted in self._noted.values() for row, _, _, _ in noted.examples}
        places = self.origin.places(wanted)
        return tuple(
            Finding(
                rule,
                name,
                tuple(noted.columns),
                action,
                noted.rows,
                tuple(Example(places[row], masked(id), month, value) for row, id, month, value in noted.examples),
            )
            for (rule, name, action), noted in sorted(self._noted.items(), key=lambda item: _ORDER.get(item[0][0], 0))
        )
