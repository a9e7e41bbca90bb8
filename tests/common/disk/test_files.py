"""A private file: its mode, whole or not at all, and on disk with its name before anybody goes on."""

from __future__ import annotations

import ast
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.disk.files import by_age, make_folder, private_file, write_private
from tests.common.disk.diary import Diary
from tests.source import ROOT, parse


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_for_its_owner_or_as_asked_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_private(tmp_path / "own", b"1")
        write_private(tmp_path / "shown", b"2", mode=0o644)
    finally:
        os.umask(before)
    assert (mode(tmp_path / "own"), mode(tmp_path / "shown")) == (0o600, 0o644)
    (tmp_path / "own").chmod(0o644)
    write_private(tmp_path / "own", b"3")
    assert mode(tmp_path / "own") == 0o600 and (tmp_path / "own").read_bytes() == b"3"


def test_a_file_is_on_disk_before_it_has_its_name_and_its_name_before_the_end(tmp_path: Path) -> None:
    with Diary() as diary:
        write_private(tmp_path / "a", b"1")
    assert diary.entries == [f"sync {tmp_path / '.a.part'}", f"name {tmp_path / 'a'}", f"sync {tmp_path}"]


def test_a_failure_leaves_the_file_as_it_was_and_no_part(tmp_path: Path) -> None:
    write_private(tmp_path / "a", b"1")
    with pytest.raises(RuntimeError), private_file(tmp_path / "a") as stream:
        stream.write(b"2")
        raise RuntimeError
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("a", b"1")]


def test_folders_are_made_for_their_owner_and_each_is_on_disk(tmp_path: Path) -> None:
    with Diary() as diary:
        make_folder(tmp_path / "a" / "b")
        make_folder(tmp_path / "a" / "b")
    assert diary.entries == [f"sync {tmp_path}", f"sync {tmp_path / 'a'}"]
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700


def test_files_by_age_are_those_that_are_there_when_they_are_looked_at(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("c", "b", "a")]
    for age, path in enumerate(paths):
        path.touch()
        os.utime(path, ns=(age, age))

    def listed() -> Iterator[Path]:
        for path in reversed(paths):
            path.unlink() if path.name == "b" else None  # by another process, once its name was read
            yield path

    assert by_age(listed()) == [paths[0], paths[2]]


def test_whatever_gets_another_name_keeps_it_after_a_power_cut() -> None:
    """Who renames a file waits for its folder, in the same function; demos and trials, whose files nobody misses, may not."""
    forgotten, found = list[str](), 0
    for file in sorted(f for package in ("common", "grid_party", "bank_party") for f in (ROOT / package).rglob("*.py")):
        if "trial" in file.parts:
            continue
        for function in ast.walk(parse(file)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [call for call in ast.walk(function) if isinstance(call, ast.Call)]
                renames = [call for call in calls if _renames(call)]
                found += len(renames)
                if renames and not any(isinstance(c.func, ast.Name) and c.func.id in ("sync_folder", "_finish") for c in calls):
                    forgotten.append(f"{file.relative_to(ROOT)}:{renames[0].lineno}")
    assert forgotten == [] and found > 5


def _renames(call: ast.Call) -> bool:
    """Path.rename and Path.replace have one argument, text's and those of data classes and instants have others."""
    named = isinstance(call.func, ast.Attribute) and call.func.attr in ("rename", "replace")
    return named and len(call.args) == 1 and not call.keywords
