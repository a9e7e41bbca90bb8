"""A report's tables as DataFrames: what `report.json` says, for a notebook."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from common.report.tables import Table
from common.report.verify import read_report as read_written

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class ReportTables(Mapping[str, "pd.DataFrame"]):
    """A report's tables by name, as in its folder of CSV: `report["segments-1"]`. A notebook shows the findings.

    Numbers are floats, shares fractions, what is hidden NaN.
    """

    job: str
    party: str
    frames: Mapping[str, pd.DataFrame]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        return f"ReportTables({self.job}, {self.party}: {', '.join(self)})"

    @property
    def findings(self) -> pd.DataFrame:
        """verdict, check, value and limit of each check, the worst first."""
        return self.frames["findings-1"]

    def _repr_html_(self) -> str:
        html: str = self.findings.to_html(index=False)
        return html


def read_report(page: str | os.PathLike[str]) -> ReportTables:
    """The tables of the report at `page`, its HTML; raises DataError for files that are no report of this version."""
    written = read_written(Path(page))
    frames = {table.name: _frame(table) for table in written.tables}
    return ReportTables(written.job, written.party, MappingProxyType(frames))


def _frame(table: Table) -> pd.DataFrame:
    import pandas as pd

    found = pd.DataFrame([*table.rows], columns=_unlike(table.columns), dtype=object)
    for name in found.columns:
        numbers = pd.to_numeric(found[name].replace("", None), errors="coerce")
        if bool((numbers.notna() | (found[name] == "")).all()):
            found[name] = numbers.astype(float)
    return found


def _unlike(names: tuple[str, ...]) -> list[str]:
    """Names of columns, a second one of a name with its number."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
