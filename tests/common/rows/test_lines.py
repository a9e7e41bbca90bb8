"""The lines of rows, held against the reader of rows: blank lines, breaks within quotes, ends of lines, blocks."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.rows.formats import lines as module
from common.rows.formats.lines import first_lines

CELL = st.text(st.sampled_from('a1 ,"\n企'), max_size=4)
TABLE = st.lists(st.lists(CELL, min_size=2, max_size=3), min_size=1, max_size=12)


def by_reader(text: str, skip: int) -> dict[int, int]:
    stream = io.StringIO(text, newline="")
    for _ in range(skip):
        stream.readline()
    reader, line, found = csv.reader(stream), skip + 1, {}
    for row in reader:
        if row:
            found[len(found) - 1] = line
        line = skip + reader.line_num + 1
    return found


@given(TABLE, st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(0, 11), max_size=3), st.integers(0, 2), st.integers(1, 40))
def test_a_row_begins_where_the_reader_of_rows_finds_it(
    table: list[list[str]], end: str, blank: list[int], skip: int, block: int
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator=end)
    stream.write(f"a title{end}" * skip)
    for k, row in enumerate(table):
        writer.writerow(row)
        stream.write(end * blank.count(k))
    text = stream.getvalue()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", block)
        expected = by_reader(text, skip)
        assert first_lines(io.BytesIO(text.encode()), range(-1, 14), skip) == expected
        cut = io.BytesIO(text.removesuffix(end).encode())
        assert first_lines(cut, [3], skip) == {k: line for k, line in expected.items() if k == 3}


@pytest.mark.parametrize("text", ["a,b\r1,2\r", "a,b\n1,2\r3,4\n", "title\ra,b\n1,2\n"])
def test_bare_carriage_returns_are_left_to_the_reader(text: str) -> None:
    assert first_lines(io.BytesIO(text.encode()), [5], 1 if text.startswith("title") else 0) is None
