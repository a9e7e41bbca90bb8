"""Labels known by now: of rows whose outcome has come, from whichever datasets can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bank_party.labels import known_labels, read_labels
from common.errors import ConfigError, DataError
from common.records.build import Keys, build, write
from common.records.entries import make
from common.records.samples import Samples
from common.rows.dataset import DatasetConfig
from common.rows.months import month_text
from tests.common.records.panels import world


def test_labels_are_read_where_they_are_known_and_a_label_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    config = DatasetConfig(path=file, id="firm", period="month", label="overdue")
    with pytest.raises(DataError, match="No such file"):
        read_labels(config, name="loans")
    file.write_text("firm,month,overdue\n f1 ,2024-01,1\nf2,202402,\nf3,2024-02-01,0\n")
    found = read_labels(config, name="loans")
    assert found is not None
    assert found.to_dict("list") == {"id": ["F1", "F3"], "period": ["2024-01", "2024-02"], "label": [1.0, 0.0]}
    later = tmp_path / "later.csv"
    later.write_text("firm,month,overdue\nf2,2024-02,1\n")
    both = known_labels({"loans": config, "later": config.model_copy(update={"path": later})})
    assert both is not None and both["id"].tolist() == ["F1", "F3", "F2"]
    file.write_text("firm,month,overdue\nf1,2024-01,2\n")
    with pytest.raises(DataError, match=r"overdue.*not 0 or 1"):
        read_labels(config, name="loans")
    file.write_text("firm,month,overdu\nf1,2024-01,1\n")
    with pytest.raises(DataError, match=r"no column 'overdue'; close names in the file: 'overdu'"):
        read_labels(config, name="loans")


def test_labels_of_many_files_and_of_features_are_found(tmp_path: Path) -> None:
    for month in ("01", "02"):
        (tmp_path / f"rows-{month}.csv").write_text(f"firm,month,overdue\nf1,2024-{month},1\n")
    many = DatasetConfig(path=tmp_path / "rows-*.csv", id="firm", period="month", label="overdue")
    found = read_labels(many, name="loans")
    assert found is not None and found["period"].tolist() == ["2024-01", "2024-02"]
    panel, recipes = world(), make({"kind": "last", "field": "x"})
    made = build(panel, recipes, Samples(min_history=2))
    write(made, tmp_path / "known.parquet", keys=Keys(label="bad"))
    write(build(panel, recipes, Samples(min_history=2, labelled=False)), tmp_path / "open.parquet")
    known, opened = (DatasetConfig(features=tmp_path / f"{name}.parquet") for name in ("known", "open"))
    found = read_labels(known, name="loans")
    assert found is not None and made.label is not None and found["label"].tolist() == made.label.tolist()
    assert found["period"].tolist() == [month_text(p) for p in made.periods.tolist()]
    assert read_labels(opened, name="new") is None and known_labels({"new": opened}, lambda *_: None) is None
    with pytest.raises(ConfigError, match="dataset new: has no label"):
        known_labels({"loans": known, "new": opened})
