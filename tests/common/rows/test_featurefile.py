"""A dataset that names a file of features: nothing of it is told twice, and what the file does not say is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.config import validate
from common.errors import ConfigError, DataError
from common.party import Party
from common.records.build import Keys, build, write
from common.records.entries import make
from common.records.samples import Samples
from common.rows.dataset import read_table
from common.rows.declare import ColumnConfig, DatasetConfig
from common.rows.featurefile import declared, there
from tests.common.records.panels import world

RECIPES = make({"kind": "last", "field": "x"}, {"kind": "static", "field": "tag"})


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "bank.parquet"
    write(build(world(), RECIPES, Samples(min_history=2)), path, keys=Keys(id="code", month="at", label="bad"))
    return path


def test_the_file_says_what_the_configuration_need_not(made: Path) -> None:
    config = declared(DatasetConfig(features=made))
    assert (config.path, config.id, config.period, config.label) == (made, "code", "at", "bad")
    assert {name: column.kind for name, column in config.columns.items()} == {"x_last": "numeric", "tag_static": "categorical"}
    loaded = read_table(DatasetConfig(features=made), name="loans", party=Party.BANK, require_label=True)
    assert loaded.table.label is not None and loaded.seen == () and loaded.columns == config.columns


def test_columns_given_stand_above_those_of_the_file(made: Path) -> None:
    own = ColumnConfig(kind="numeric", transform="auto", reason="Falling amounts")
    config = declared(DatasetConfig(features=made, columns={"x_last": own}))
    assert config.columns["x_last"] == own and config.columns["tag_static"].kind == "categorical"
    with pytest.raises(ConfigError, match=r"no column 'gone'.*x_last"):
        declared(DatasetConfig(features=made, columns={"gone": own}))


@pytest.mark.parametrize("key", ["path", "id", "period", "label", "zone", "missing"])
def test_what_the_file_says_is_not_said_again(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: the file of `features` says it itself"):
        validate(DatasetConfig, {"features": "f.parquet", key: ["-"] if key == "missing" else "UTC"}, "bank.toml")
    with pytest.raises(ConfigError, match="give path and id, or features"):
        validate(DatasetConfig, {"path": "f.csv"}, "bank.toml")


def test_another_file_is_no_feature_file(tmp_path: Path, made: Path) -> None:
    pq.write_table(pa.table({"x": np.arange(3)}), tmp_path / "other.parquet")
    for name, what in (("other.parquet", "not a feature file"), ("gone.parquet", "cannot be read .No such file")):
        with pytest.raises(DataError, match=what):
            declared(DatasetConfig(features=tmp_path / name))
    assert there(DatasetConfig(features=made)) and not there(DatasetConfig(features=tmp_path / "gone.parquet"))
    table = pq.read_table(made)
    pq.write_table(table.replace_schema_metadata({b"wattscore": b'{"version": "0.0"}'}), tmp_path / "old.parquet")
    with pytest.raises(DataError, match="older version"):
        declared(DatasetConfig(features=tmp_path / "old.parquet"))
