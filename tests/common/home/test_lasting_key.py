"""The key by which a party knows the other's shares of closed models again: made once, kept, refused when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import DataError
from common.home.home import lasting_key


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "data" / "tags.key"
    key = lasting_key(file)
    assert len(key) == 32 and lasting_key(file) == key != lasting_key(tmp_path / "other" / "tags.key")
    assert file.stat().st_mode & 0o777 == 0o600 and [path.name for path in file.parent.iterdir()] == ["tags.key"]


def test_of_two_processes_that_make_one_the_first_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tags.key"
    first = lasting_key(file)
    monkeypatch.setattr(Path, "exists", lambda path: False)  # it was not there when the second looked
    assert lasting_key(file) == first


def test_a_damaged_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tags.key"
    file.write_bytes(bytes(31))
    with pytest.raises(DataError, match=r"tags\.key is damaged"):
        lasting_key(file)
