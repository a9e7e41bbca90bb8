"""From panel to file: what is written is what was built, it reads back as a dataset, and it says how it was made."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import __version__
from common.errors import ConfigError, DataError
from common.party import Party
from common.records import build as module
from common.records.build import Features, Keys, build, made, write
from common.records.entries import make
from common.records.held import Room
from common.records.panel import Panel
from common.records.recipe import Recipe
from common.records.samples import Samples
from common.rows.dataset import DatasetConfig, read_table
from common.rows.featurefile import read_made
from tests.common.records.oracle import as_values, feature
from tests.common.records.panels import KINDS, panels, recipes_of, world

ALL: tuple[Recipe, ...] = tuple(recipe for kind in KINDS for recipe in recipes_of(kind))


def test_features_are_the_samples_cells_of_every_recipe() -> None:
    panel = world()
    features = build(panel, ALL, Samples(min_history=3))
    assert list(features.columns) == [recipe.column for recipe in ALL]
    months = features.periods - panel.first
    assert features.ids.tolist() == panel.ids[features.rows].tolist() and features.count > 500
    assert np.lexsort((features.periods, features.rows)).tolist() == list(range(features.count))
    assert panel.label is not None and features.label is not None
    np.testing.assert_array_equal(features.label, panel.label[features.rows, months])
    for recipe in ALL:
        found = as_values(features.columns[recipe.column])
        for n in range(0, features.count, 37):
            expected: Any = feature(recipe, panel, int(features.rows[n]), int(months[n]))
            assert found[n] == (pytest.approx(expected, rel=1e-6, abs=1e-6) if isinstance(expected, float) else expected)


@given(panel=panels(), ahead=st.integers(0, 2), data=st.data())
def test_the_label_and_all_after_it_change_no_feature(panel: Panel, ahead: int, data: st.DataObject) -> None:
    """The label's own month may be the sample's: of the labels, only those before the label's month may be seen."""
    entries = ({"kind": k, "field": "label", "window": 4, "min_months": 1} for k in ("mean", "share", "since", "max"))
    recipes = make(*({**entry, "lag": max(0, 1 - ahead)} for entry in entries), {"kind": "static", "field": "label", "lag": 1})
    samples = Samples(min_history=1, ahead=ahead)
    try:
        one = build(panel, recipes, samples)
    except DataError:
        return
    n = data.draw(st.integers(0, one.count - 1))
    assert panel.label is not None
    label = panel.label.copy()
    label[:, one.periods[n] - panel.first + ahead :] = data.draw(st.sampled_from([0.0, 1.0]))
    two = build(replace(panel, label=label), recipes, samples)
    m = int(np.flatnonzero((two.rows == one.rows[n]) & (two.periods == one.periods[n]))[0])
    for name in one.columns:
        assert as_values(one.columns[name])[n] == as_values(two.columns[name])[m]


def test_a_recipe_of_the_answer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"bank\.toml: .*label's own month"):
        build(world(), make({"kind": "last", "field": "label"}), Samples(), source="bank.toml")


def test_a_file_reads_back_as_the_dataset_it_is(tmp_path: Path) -> None:
    features = build(world(), ALL, Samples(min_history=2))
    path = tmp_path / "new" / "bank.parquet"
    digest = write(features, path)
    assert path.stat().st_mode & 0o777 == 0o600 and list(path.parent.iterdir()) == [path]
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    config = DatasetConfig(path=path, id="enterprise_id", period="month", label="overdue", columns=features.configs())
    table = read_table(config, name="loans", party=Party.BANK, require_label=True).table
    assert table.order == tuple(features.columns) and table.ids.tolist() == features.ids.tolist()
    assert table.periods is not None and table.periods.tolist() == features.periods.tolist()
    assert table.label is not None and features.label is not None and table.label.tolist() == features.label.tolist()
    for name, values in features.columns.items():
        if name in table.numeric:
            np.testing.assert_array_equal(table.numeric[name].astype(np.float32), values)
        else:
            assert table.categorical[name].tolist() == as_values(values).tolist()
    inferred = read_table(config.model_copy(update={"columns": {}}), name="loans", party=Party.BANK).columns
    assert {n: c.kind for n, c in inferred.items()} == {n: c.kind for n, c in features.configs().items()}
    assert all(c.transform == "auto" for c in inferred.values() if c.kind == "numeric")


def test_a_file_says_how_it_was_made_and_is_the_same_each_time(tmp_path: Path) -> None:
    panel, samples = world(), Samples(min_history=4)
    features = build(panel, ALL, samples)
    one = write(features, tmp_path / "a.parquet", origin={"records": "ab" * 32})
    assert one == write(build(world(), ALL, samples), tmp_path / "b.parquet", origin={"records": "ab" * 32})
    assert one != write(features, tmp_path / "c.parquet", origin={"records": "cd" * 32})
    found = read_made(tmp_path / "a.parquet")
    assert found.pop("origin") == {"records": "ab" * 32}
    assert found.pop("keys") == {"id": "enterprise_id", "month": "month", "label": "overdue"}
    assert found.pop("columns").keys() == set(features.columns)
    assert found == made(ALL, samples) and found["version"] == __version__
    assert make(*found["recipes"]) == ALL and Samples.model_validate(found["samples"]) == samples
    digests = {made(ALL, samples)["digest"], made(ALL[1:], samples)["digest"], made(ALL, Samples())["digest"]}
    assert len(digests) == 3


def test_without_labels_none_is_written(tmp_path: Path) -> None:
    for panel, samples in ((replace(world(), label=None), Samples()), (world(), Samples(labelled=False))):
        features = build(panel, make({"kind": "last", "field": "x"}), samples)
        write(features, tmp_path / "grid.parquet", keys=Keys(id="id"))
        assert pq.read_schema(tmp_path / "grid.parquet").names == ["id", "month", "x_last"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "grid.parquet"
    features = build(world(), make({"kind": "age"}), Samples())
    digest = write(features, path)

    def full(writer: Any, table: Any, **options: Any) -> None:
        raise OSError("no space left on device")  # once the file has its first bytes

    with monkeypatch.context() as patch:
        patch.setattr(module.pq.ParquetWriter, "write_table", full)
        with pytest.raises(OSError, match="no space"):
            write(features, path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert write(features, path) == digest and list(tmp_path.iterdir()) == [path]


def test_a_feature_cannot_take_a_keys_name(tmp_path: Path) -> None:
    features = build(world(), make({"kind": "last", "field": "x", "name": "month"}), Samples())
    with pytest.raises(ConfigError, match="'month', the name of a key column"):
        write(features, tmp_path / "grid.parquet")


def test_numbers_beyond_float32_are_named() -> None:
    panel = world()
    huge = replace(panel, numeric={"x": np.where(np.isnan(panel.numeric["x"]), np.nan, 1e308)})
    with pytest.raises(DataError, match="'x_sum_6' gives numbers beyond float32"):
        build(huge, make({"kind": "sum", "field": "x", "window": 6}), Samples())


def test_a_part_that_fails_ends_those_that_have_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    panel, ended, begun = world(), threading.Event(), list[int]()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            ended.set()
            super().shutdown(wait=wait)

    def column(*_: Any) -> Any:
        begun.append(len(begun))
        if len(begun) > 1:
            ended.wait()
        raise DataError("a part that fails", public="a part that fails", remedy="")

    monkeypatch.setattr(module, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(module, "column", column)
    with pytest.raises(DataError, match="a part that fails"):
        build(panel, ALL, Samples(min_history=3), room=Room(cells=1))
    assert len(begun) <= 2 < panel.enterprises


def test_a_file_of_somebody_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a feature file"):
        read_made(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="cannot be read"):
        read_made(tmp_path / "absent.parquet")


def test_reprs_show_no_row() -> None:
    features: Features = build(world(), ALL, Samples())
    assert repr(features) == f"Features({features.count} samples, {len(ALL)} columns)"
