"""Pages in a folder: which are found, and where the link to the index leads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.disk.pages import bare, find_pages, linked, read_page

PAGE = '<head>\n<meta name="wattscore-page" content="{}">\n<title>a &amp; b</title>\n</head>\n<body>\n<p>text</p>\n</body>\n'
REPORT = '<meta name="wattscore-report" content="bank train-1 en+zh 00">\n<title>r</title>\n<body>\n'


def test_pages_of_a_folder_and_of_those_in_it_are_found_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "one" / "two").mkdir(parents=True)
    (tmp_path / "index.html").write_text(PAGE.format("index"))
    (tmp_path / "notes.html").write_text("<title>somebody's</title>")
    (tmp_path / "late.html").write_bytes(b" " * 9000 + PAGE.format("monitor").encode())  # its mark stands too far down
    (tmp_path / "bad.html").write_bytes(b"\xff\xfe\x00<meta")
    (tmp_path / "one" / "quality.html").write_text(PAGE.format("quality"))
    (tmp_path / "one" / "two" / "quality.html").write_text(PAGE.format("quality"))
    for k, name in enumerate(("old.html", "new.html")):
        (tmp_path / name).write_text(REPORT)
        os.utime(tmp_path / name, (k, k))
    found = find_pages(tmp_path)
    assert [page.file.relative_to(tmp_path).as_posix() for page in found] == ["one/quality.html", "new.html", "old.html"]
    assert [(page.kind, page.job, page.title) for page in found[:2]] == [("quality", "", "a & b"), ("report", "train-1", "r")]
    assert read_page(tmp_path / "none.html") is None and read_page(tmp_path) is None


@pytest.mark.parametrize(("place", "way"), [("monitor.html", "index.html"), ("quality/quality.html", "../index.html")])
def test_a_page_links_the_index_that_is_there(tmp_path: Path, place: str, way: str) -> None:
    text = PAGE.format("monitor")
    assert linked(text, tmp_path / place) == text
    (tmp_path / "index.html").write_text("<body>\nof somebody else")
    assert linked(text, tmp_path / place) == text
    (tmp_path / "index.html").write_text(PAGE.format("index"))
    found = linked(text, tmp_path / place)
    assert f'<a href="{way}">' in found and found.count("<body>\n<div") == 1
    assert bare(found) == bare(text) == text
