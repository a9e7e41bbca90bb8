"""Files that are no table here, by their first bytes: what they are, and what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile, is_zipfile

from common.rows.formats.encoding import Bytes


class Foreign(NamedTuple):
    """What a file is, and what to do."""

    what: str
    remedy: str


_UNPACK = "Unpack it; .gz is read as it is."
_EXPORT = "Export it as CSV or Parquet."
_R = (b"RDX", b"X\n\x00\x00\x00")  # of save and saveRDS
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"BZh", "compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"ARROW1\x00\x00", "an Arrow or Feather file", "Write it as Parquet."),
    (b"ORC", "an ORC file", "Write it as Parquet."),
    (b"Obj\x01", "an Avro file", "Write it as Parquet."),
    (b"PARE", "an encrypted Parquet file", "Write it without encryption."),
    (b"SQLite format 3\x00", "an SQLite database", "Read it by source.sql of `features`: sqlite:////absolute/path.db."),
    (b"<stata_dta>", "a Stata file", _EXPORT),
    (b"$FL2", "an SPSS file", _EXPORT),
    (b"$FL3", "an SPSS file", _EXPORT),
    (b"\x00" * 12 + b"\xc2\xea\x81\x60", "a SAS file", _EXPORT),
    (b"HEADER RECORD*******LIB", "a SAS transport file", _EXPORT),
    *((sign, "an R file", _EXPORT) for sign in _R),
    (b"\x80\x04\x95", "a Python pickle", _EXPORT),
    (b"\x80\x05\x95", "a Python pickle", _EXPORT),
    (b"\x93NUMPY", "a NumPy file", _EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _EXPORT),
    (b"\x00\x01\x00\x00Standard ", "an Access database", _EXPORT),
    (b"FEA1", "an Arrow or Feather file", "Write it as Parquet."),
    (b"%PDF", "a PDF file", "Ask for the table itself."),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file", "Fetch the file: git lfs pull."),
)
_STATA = re.compile(rb"[\x69-\x73][\x01\x02]\x01\x00")  # versions 8 to 12, the one that pandas writes unless told otherwise
_DBASE = (0x02, 0x03, 0x30, 0x31, 0x43, 0x83, 0x8B, 0xF5)
_HTML = (b"<html", b"<!doctype", b"<table", b"<?xml", b"<meta")


def foreign(path: Path) -> Foreign | None:
    """None for what may be a table. Raises OSError for what cannot be read."""
    with path.open("rb") as stream:
        start = stream.read(64)
    printed = start.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in start)
    for sign, what, remedy in _KINDS:
        if start.startswith(sign) and not (printed and sign.isalnum()):  # a column may be called ORC
            return Foreign(f"the file is {what}", remedy)
    if _STATA.match(start):
        return Foreign("the file is a Stata file", _EXPORT)
    if start[8:12] == b"DUCK" and not printed:
        return Foreign("the file is a DuckDB database", "Read it by source.sql of `features`: duckdb:////absolute/path.duckdb.")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_HTML):
        return Foreign("the file is HTML or XML, whatever its name says", "Open it in a spreadsheet and save it as CSV UTF-8.")
    if text.startswith((b"{", b"[{")):
        return Foreign("the file is JSON", _EXPORT)
    if start.startswith(b"PK") and not _is_workbook(path):
        return Foreign("the file is a ZIP archive", _UNPACK)
    if start.startswith(b"\x1f\x8b"):
        return _compressed(path)
    if len(start) >= 32 and start[0] in _DBASE and 1 <= start[2] <= 12 and 1 <= start[3] <= 31:  # year, month, day
        return Foreign("the file is a dBase or FoxPro table", _EXPORT)
    return None


def _is_workbook(path: Path) -> bool:
    try:
        names = ZipFile(path).namelist() if is_zipfile(path) else []
    except (BadZipFile, OSError):
        return True  # what reads workbooks says that it is damaged
    return not names or any(name.startswith(("xl/", "content.xml", "[Content_Types]")) for name in names)


def _compressed(path: Path) -> Foreign | None:
    """A table that only its own program may compress, what R saves, or an archive of many."""
    try:
        with Bytes(path).open() as stream:
            start = stream.read(512)
    except (OSError, EOFError):
        return None  # damaged: said by what reads it
    if start[:4] == b"PAR1" or start[:2] == b"PK":
        return Foreign("the file is compressed by gzip around Parquet or a workbook", "Unpack it.")
    if start.startswith(_R):
        return Foreign("the file is an R file", _EXPORT)
    return Foreign("the file is a tar archive", "Unpack it.") if start[257:262] == b"ustar" else None
