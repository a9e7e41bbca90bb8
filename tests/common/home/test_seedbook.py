"""The book of seeds: what was met once is met for ever, across restarts."""

from __future__ import annotations

from pathlib import Path

from common.home.seedbook import SeedBook


def test_what_was_entered_is_not_new_again(tmp_path: Path) -> None:
    file = tmp_path / "home" / "seeds.sqlite"
    assert SeedBook(file).enter([b"a", b"b"])
    assert not SeedBook(file).enter([b"b"])
    assert not SeedBook(file).enter([b"c", b"a"])
    assert not SeedBook(file).enter([b"c"]), "what comes beside an old one is met too"
    assert SeedBook(file).enter([b"d"])


def test_two_alike_at_once_are_not_new(tmp_path: Path) -> None:
    assert not SeedBook(tmp_path / "seeds.sqlite").enter([b"a", b"a"])
