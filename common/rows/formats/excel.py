"""A sheet of a workbook (.xlsx, .xlsb, .xls, .ods), by python-calamine: one parser for all four, and fast.

Excel keeps a number of a date, 15 digits of a number, and nothing of what a column means. Each cell is taken for what Excel
says that it is; a column of which cells differ is text.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from common.disk.scratch import Scratch
from common.errors import ConfigError
from common.rows.formats.delimited import named
from common.rows.formats.formulas import passed_over
from common.rows.formats.options import FileOptions
from common.rows.origin import Data, Note, Origin

SIGNATURES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True)
class Excel:
    """header: names in order; rows: (their place in the sheet from 1, their cells), without empty ones."""

    path: Path
    origin: Origin
    options: FileOptions
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[Any, ...]], ...]
    said: tuple[str, ...]
    kind = "excel"

    @classmethod
    def open(cls, path: Path, origin: Origin, options: FileOptions) -> Excel:
        """Raises ConfigError where the library is not installed, DataError for what is no table."""
        said, cells = _cells(path, origin, options)
        filled = [(k + 1, tuple(row)) for k, row in enumerate(cells) if any(cell != "" for cell in row)]
        filled = [(k, row) for k, row in filled if k > options.skip_rows]
        if not filled:
            raise origin.fault("the sheet is empty", remedy="Name another by `sheet`.")
        line, names = filled[0]
        wide = next((k for k, row in filled[1:] if sum(cell != "" for cell in row) > 1), None)
        if sum(cell != "" for cell in names) == 1 and wide is not None:
            what = f"row {line} has one value where row {wide} has several: a title above the header"
            raise origin.fault(what, remedy=f"Set skip_rows = {wide - 1}, or remove what is above the header.")
        return cls(
            path,
            origin,
            options,
            named([_shown(c) for c in names]),
            tuple(filled[1:]),
            said,
        )

    def read(self, columns: list[str], scratch: Scratch | None) -> tuple[Data, tuple[str, ...]]:
        place = {name: k for k, name in enumerate(self.header)}
        return pa.table({c: _column([row[place[c]] for _, row in self.rows]) for c in columns}), self.said

    def places(self, rows: Collection[int]) -> dict[int, str]:
        return {row: f"row {self.rows[row][0]} of the sheet" for row in rows}

    def estimated_rows(self) -> int:
        return len(self.rows)


def _cells(path: Path, origin: Origin, options: FileOptions) -> tuple[tuple[str, ...], list[list[Any]]]:
    """(what is to be said of the sheet, its cells)."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetVisibleEnum
    except ImportError:
        raise ConfigError(
            f"{path}: an Excel workbook, and what reads it is not installed",
            remedy="Run: pip install python-calamine. Or save the sheet as CSV UTF-8.",
        ) from None
    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            hidden = {sheet.name for sheet in book.sheets_metadata if sheet.visible != SheetVisibleEnum.Visible}
            sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except PasswordError:
        what = "the workbook is protected by a password"
        raise origin.fault(what, remedy="Save a copy without one, or save the sheet as CSV UTF-8.") from None
    except (CalamineError, OSError, ValueError):
        raise origin.fault("the file is not a workbook that can be read", remedy="Save the sheet as CSV UTF-8.") from None
    filled = [name for name, rows in sheets.items() if rows and name not in hidden]
    if options.sheet is not None and options.sheet not in sheets:
        what = f"the workbook has no sheet {options.sheet!r}"
        raise origin.fault(what, local=f"{what}; it has {', '.join(map(repr, sheets))}", remedy="Check `sheet`.")
    if options.sheet is None and len(filled) != 1:
        if not filled:
            raise origin.fault("the workbook is empty, or all of its sheets are hidden", remedy="Name one by `sheet`.")
        what = "the workbook has more than one sheet"
        raise origin.fault(what, local=f"{what}: {', '.join(map(repr, filled))}", remedy="Name one by `sheet`.")
    name = options.sheet or filled[0]
    formulas, errors = passed_over(path, name)
    if formulas is not None:
        what = f"{formulas[0]} cells hold a formula that nothing has computed"
        remedy = "Open the workbook in a spreadsheet and save it, or write values."
        raise origin.fault(what, local=f"{what} (first: {formulas[1]} of {name!r})", remedy=remedy)
    said = Note(f"read as a workbook, sheet {name!r}")
    what = "cells hold an error, such as #N/A, and are read as empty"
    wrong = () if errors is None else (f"{errors[0]} {what} (first: {errors[1]})",)
    return (said, *wrong), sheets[name]


def _column(cells: list[Any]) -> Any:
    """A column as Arrow holds it: of one kind where all cells are, else as text."""
    given = [None if cell == "" else cell for cell in cells]
    kinds = {type(cell) for cell in given if cell is not None}
    if kinds <= {bool}:
        return pa.array(given, pa.bool_() if kinds else pa.string())
    if kinds <= {bool, int, float}:
        return pa.array([None if c is None else float(c) for c in given], pa.float64())
    if kinds <= {date, datetime}:
        if all((isinstance(c, date) and not isinstance(c, datetime)) or c.time() == time(0) for c in given if c is not None):
            return pa.array([c.date() if isinstance(c, datetime) else c for c in given], pa.date32())
        return pa.array([_moment(c) for c in given], pa.timestamp("us"))
    if kinds == {timedelta}:
        return pa.array(given, pa.duration("us"))
    if kinds == {time}:
        return pa.array(given, pa.time64("us"))
    return pa.array([None if c is None else _shown(c) for c in given], pa.string())


def _moment(cell: date | None) -> datetime | None:
    return cell if cell is None or isinstance(cell, datetime) else datetime.combine(cell, time(0))


def _shown(cell: Any) -> str:
    """A cell as text; a whole number without decimals."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell == int(cell) and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, timedelta):
        return str(cell)
    return cell.isoformat() if isinstance(cell, date | datetime | time) else str(cell)
