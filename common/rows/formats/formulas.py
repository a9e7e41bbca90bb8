"""Cells of a workbook that readers find empty or 0 and that are not: formulas that nothing has computed, errors like #REF!."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import BadZipFile, ZipFile

_SHEET = re.compile(rb"<(?:\w+:)?sheet [^>]*?/?>")
_ATTRIBUTE = re.compile(rb'([\w:]+)="([^"]*)"')
_RELATION = re.compile(rb"<Relationship [^>]*?/?>")
_FORMULA = rb'<c r="([A-Z]+\d+)"%s[^>]*>\s*<f[^>]*?(?:/>|>[^<]*</f>)\s*%s</c>'
_EMPTY = re.compile(_FORMULA % (rb"", rb"(?:<v\s*/>|<v>\s*</v>)?\s*"))
_EMPTY_TEXT = re.compile(_FORMULA % (rb'(?= [^>]*t="str")', rb"(?:<v\s*/>|<v>\s*</v>)\s*"))
_VALUE = re.compile(rb'<c r="([A-Z]+)(\d+)"[^>]*>\s*<f[^>]*?(?:/>|>[^<]*</f>)\s*<v>([^<]+)</v>')
_TO_COMPUTE = re.compile(rb'<(?:\w+:)?calcPr [^>]*fullCalcOnLoad="(?:1|true)"')
_ERROR = re.compile(rb'<c r="([A-Z]+\d+)"(?: [^>]*)? t="e"')

Found = tuple[int, str]  # how many such cells, and the first


def passed_over(path: Path, sheet: str) -> tuple[Found | None, Found | None]:
    """Formulas without a value of `sheet` of an .xlsx, and its errors; None of where there are none, or of other workbooks.

    A formula whose value is a text of no characters, as `=IF(B2>0,B2,"")` gives it, has one: spreadsheets write it, and that
    it is text. XlsxWriter, which computes nothing, writes 0 as the value of each formula, and that all is to be computed when
    the workbook is opened: where it says so, a column whose formulas are all 0 has no values.
    """
    try:
        with ZipFile(path) as book:
            part = _part(book, sheet)
            cells = book.read(part) if part else b""
            to_compute = bool(part) and _TO_COMPUTE.search(book.read("xl/workbook.xml")) is not None
    except (BadZipFile, KeyError, OSError):
        return None, None
    return _found(_EMPTY, _EMPTY_TEXT.sub(b"", cells)) or (_zeros(cells) if to_compute else None), _found(_ERROR, cells)


def _zeros(cells: bytes) -> Found | None:
    columns = dict[bytes, list[bytes]]()
    some = set[bytes]()
    for column, row, value in _VALUE.findall(cells):
        columns.setdefault(column, []).append(row)
        if value not in (b"0", b"0.0"):
            some.add(column)
    none = {column: rows for column, rows in columns.items() if column not in some}
    first = next(((column + rows[0]).decode() for column, rows in none.items()), "")
    return (sum(map(len, none.values())), first) if none else None


def _found(what: re.Pattern[bytes], cells: bytes) -> Found | None:
    found = what.findall(cells)
    return (len(found), found[0].decode()) if found else None


def _part(book: ZipFile, sheet: str) -> str | None:
    """The name of the sheet's part in the package."""
    if "xl/workbook.xml" not in book.namelist():
        return None
    sheets = [dict(_ATTRIBUTE.findall(tag)) for tag in _SHEET.findall(book.read("xl/workbook.xml"))]
    relations = [dict(_ATTRIBUTE.findall(tag)) for tag in _RELATION.findall(book.read("xl/_rels/workbook.xml.rels"))]
    targets = {relation.get(b"Id"): relation.get(b"Target", b"").decode() for relation in relations}
    name = sheet.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").encode()
    target = next((targets.get(tag.get(b"r:id")) for tag in sheets if tag.get(b"name") == name), None)
    return None if target is None else target.lstrip("/") if target.startswith("/") else f"xl/{target}"
