"""Good tables, changed a little at random: quotes, types, nulls, order, parts, encodings, bytes. What reading them may do.

It may refuse with a named error, or read every line: never another exception, never fewer rows than lines without a word.
`python -m tests.common.rows.fuzz 20000` runs as many.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import ConfigError, DataError
from common.party import Party
from common.rows.dataset import read_table
from common.rows.declare import DatasetConfig

ROWS = 60
WORDS = [
    "NULL", r"\N", "nan", "-", "n/a", "#DIV/0!", "", " ", "1,234.5", "12%", "9.15E+17", "１２", "TRUE", "'7", '="8"', "\u200b",
    "企业", "2024-13",
]  # fmt: skip
MARKS = ['"', '""', ",", ",,", ";", "\n", "\r\n", "\r", "\x00", "\ufeff", "'", '"\n', ',"', "\\", "\t"]
KINDS = [
    pa.string(), pa.large_string(), pa.binary(), pa.float64(), pa.float32(), pa.int64(), pa.bool_(), pa.date32(), pa.null(),
    pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.decimal128(20, 2), pa.dictionary(pa.int32(), pa.string()),
    pa.list_(pa.int8()),
]  # fmt: skip


def table(r: random.Random) -> list[list[str]]:
    head = ["id", "month", "kwh", "name", "flag"]
    months = ["2024-01", "2024-02"]
    names = ["n", "s", 'a "b"', "c,d"]
    return [
        head,
        *(
            [f"E{k // 2:04d}", months[k % 2], f"{r.lognormvariate(6, 1):.2f}", r.choice(names), str(k % 3 // 2)]
            for k in range(ROWS)
        ),
    ]


def written(rows: list[list[str]]) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text

    return "".join(",".join(map(cell, row)) + "\n" for row in rows)


def changed_text(r: random.Random, text: str) -> str:
    """One small change of the text of a file."""
    at, lines = r.randrange(len(text)), text.split("\n")
    k = r.randrange(len(lines))
    return r.choice(
        [
            lambda: text[:at] + r.choice(MARKS) + text[at:],
            lambda: text[:at] + text[at + r.randint(1, 3) :],
            lambda: text[:at],
            lambda: "\n".join([*lines[:k], lines[k], *lines[k:]]),
            lambda: "\n".join([*lines[:k], *lines[k + 1 :]]),
            lambda: "\n".join([*lines[:k], "", *lines[k:]]),
            lambda: "\n".join([*lines[:k], "a title", *lines[k:]]),
            lambda: text.replace("\n", r.choice(["\r\n", "\r"])),
            lambda: text.replace(",", ";"),
            lambda: text + r.choice(["\n\n", "total,,,,\n", '"', "\x1a"]),
        ]
    )()


def changed_cells(r: random.Random, rows: list[list[str]]) -> list[list[str]]:
    """One small change of cells, or of all of a column."""
    k, c, word = r.randrange(len(rows)), r.randrange(len(rows[0])), r.choice(WORDS)
    some = r.random()
    for j, row in enumerate(rows):
        if j == k or (some < 0.3 and j and r.random() < 0.5):
            row[c] = word
    return rows


def as_parquet(r: random.Random, rows: list[list[str]], path: Path) -> None:
    """Columns of types of their own, of which one is changed."""
    columns: dict[str, Any] = {name: [row[k] or None for row in rows[1:]] for k, name in enumerate(rows[0])}
    arrays = {}
    for name, values in columns.items():
        array = pa.array(values, pa.string())
        try:
            arrays[name] = array.cast(r.choice(KINDS)) if r.random() < 0.4 else array
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            arrays[name] = array
    pq.write_table(pa.table(arrays), path, use_deprecated_int96_timestamps=r.random() < 0.3)


def changed_bytes(r: random.Random, raw: bytes) -> bytes:
    at = r.randrange(max(1, len(raw)))
    put = r.choice([b"", bytes([r.randrange(256)])])
    return r.choice([raw[:at], raw[:at] + put + raw[at + 1 :]])


def make(r: random.Random, folder: Path) -> Path:
    """A file or a folder of two, made of a good table."""
    rows = table(r)
    for _ in range(r.choice([0, 1, 1, 2])):
        rows = changed_cells(r, rows)
    path = folder / "t"
    if r.random() < 0.3:
        as_parquet(r, rows, path)
    else:
        text = written(rows)
        for _ in range(r.choice([0, 1, 1, 2])):
            text = changed_text(r, text) if text else text
        path.write_bytes(text.encode(r.choice(["utf-8"] * 4 + ["gb18030", "utf-16", "utf-8-sig"]), "replace"))
    if r.random() < 0.1:
        path.write_bytes(changed_bytes(r, path.read_bytes()))
    if r.random() < 0.15:
        whole = folder / "parts"
        whole.mkdir()
        path.rename(whole / "p-1")
        make(r, whole) if r.random() < 0.5 else as_parquet(r, table(r), whole / "p-2")
        return whole
    return path


def lines_of(path: Path) -> int | None:
    """Data lines of a single text file that are not blank; None of other files."""
    raw = path.read_bytes() if path.is_file() else b"PAR1"
    if raw[:4] == b"PAR1":
        return None
    code = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8" if _is(raw, "utf-8") else "gb18030"
    text = raw.decode(code, "replace").replace("\r\n", "\n").replace("\r", "\n")
    return sum(1 for line in text.split("\n") if line.strip("\ufeff")) - 1


def _is(raw: bytes, code: str) -> bool:
    try:
        raw.decode(code)
    except UnicodeError:
        return False
    return True


def outcome(path: Path) -> str:
    """What reading did. Raises AssertionError for what it may not do."""
    try:
        config = DatasetConfig(path=path, id="id", period="month")
        loaded = read_table(config, name="t", party=Party.GRID)
    except (DataError, ConfigError) as error:
        assert (error.remedy and str(path.parent) in str(error)) or "files:" in str(error), f"says too little: {error}"
        assert str(path.parent) not in error.public
        return "refused"
    lines = lines_of(path)
    if lines is not None and loaded.table.rows != lines:
        assert any("line breaks" in text for text in loaded.warnings), f"{loaded.table.rows} rows of {lines} lines"
    return "read with a word" if loaded.warnings else "read"


def run(count: int, seed: int, on_fault: Callable[[int, Path, BaseException], None]) -> Counter[str]:
    found: Counter[str] = Counter()
    for k in range(count):
        r = random.Random(f"{seed}-{k}")
        with tempfile.TemporaryDirectory(prefix="wattscore-fuzz-") as name:
            path = make(r, Path(name))
            try:
                found[outcome(path)] += 1
            except Exception as error:
                on_fault(k, path, error)
                found["fault"] += 1
    return found


if __name__ == "__main__":

    def show(k: int, path: Path, error: BaseException) -> None:
        print(f"mutation {k}: {type(error).__name__}: {str(error)[:300]}")

    print(dict(run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, show)))
