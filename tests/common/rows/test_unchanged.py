"""Files that change while a table is read make no table: it would be of two."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.errors import DataError
from common.party import Party
from common.rows import alike, dataset, ids
from common.rows.dataset import DatasetConfig, read_outcomes, read_table
from common.rows.formats import parquet
from common.rows.formats.paths import unchanged


def write(path: Path, names: list[str]) -> None:
    pq.write_table(pa.table({"id": names, "x": [1.0, 2.0, 3.0], "y": [0, 1, 0]}), path)


def replaced(at: Any, name: str, change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function of this name changes the files once it is through."""
    function = getattr(at, name)

    def then(*arguments: Any, **named: Any) -> Any:
        found = function(*arguments, **named)
        change()
        return found

    monkeypatch.setattr(at, name, then)


def test_ids_are_of_one_file_though_they_are_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, few in ((ids, "MANY", -1), (dataset, "MANY", -1), (parquet, "_MANY", 0)):
        monkeypatch.setattr(module, name, few)
    write(path := tmp_path / "loans.parquet", ["A", "B", "C"])
    config = DatasetConfig(path=path, id="id")
    assert read_table(config, name="loans", party=Party.GRID).table.ids.tolist() == ["A", "B", "C"]
    replaced(alike, "_numbered", lambda: write(path, ["A", "A", "B"]), monkeypatch)
    with pytest.raises(DataError, match=r"loans\.parquet: the file changed while dataset loans was read") as caught:
        read_table(config, name="loans", party=Party.GRID)
    assert str(tmp_path) not in caught.value.public


def test_what_a_change_made_invalid_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path := tmp_path / "loans.parquet", ["A", "B", "C"])
    replaced(dataset, "read_own_ids", lambda: os.truncate(path, 40), monkeypatch)
    config = DatasetConfig(path=path, id="id", label="y")
    with pytest.raises(DataError, match="the file changed"):
        read_table(config, name="loans", party=Party.BANK)


def test_an_outcome_is_of_the_file_of_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path := tmp_path / "loans.parquet", ["A", "B", "C"])
    replaced(dataset, "read_labels", lambda: write(path, ["C", "B", "A"]), monkeypatch)
    with pytest.raises(DataError, match="the file changed"):
        read_outcomes(DatasetConfig(path=path, id="id", label="y"), name="loans")


@pytest.mark.parametrize("what", ["new", "gone"])
def test_a_folder_with_a_file_more_or_fewer_has_changed(what: str, tmp_path: Path) -> None:
    for name in ("part-2", "part-10"):
        write(tmp_path / f"{name}.parquet", ["A", "B", "C"])
    with unchanged(tmp_path, "dataset loans"):
        pass
    with pytest.raises(DataError, match=r"part-9\.parquet" if what == "new" else r"part-2\.parquet"), unchanged(tmp_path, "it"):
        if what == "new":
            write(tmp_path / "part-9.parquet", ["D", "E", "F"])
        else:
            (tmp_path / "part-2.parquet").unlink()


def test_what_else_went_wrong_is_said_where_nothing_changed(tmp_path: Path) -> None:
    write(path := tmp_path / "loans.parquet", ["A", "B", "C"])
    with pytest.raises(KeyError, match="own"), unchanged(path, "dataset loans"):
        raise KeyError("own")
