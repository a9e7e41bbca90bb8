"""Labels known by now: of rows whose outcome has come, from whichever datasets can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bank_party.labels import known_labels, read_labels
from common.errors import DataError
from common.rows.dataset import DatasetConfig


def test_labels_are_read_where_they_are_known_and_a_label_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    config = DatasetConfig(path=file, id="firm", period="month", label="overdue")
    assert len(read_labels(config, name="loans")) == 0  # no file yet
    file.write_text("firm,month,overdue\n f1 ,2024-01,1\nf2,202402,\nf3,2024-02-01,0\n")
    found = read_labels(config, name="loans")
    assert found.to_dict("list") == {"id": ["F1", "F3"], "period": ["2024-01", "2024-02"], "label": [1.0, 0.0]}
    later = tmp_path / "later.csv"
    later.write_text("firm,month,overdue\nf2,2024-02,1\n")
    both = known_labels({"loans": config, "later": config.model_copy(update={"path": later})}, ("loans", "later"))
    assert both["id"].tolist() == ["F1", "F3", "F2"]
    file.write_text("firm,month,overdue\nf1,2024-01,2\n")
    with pytest.raises(DataError, match=r"overdue.*not 0 or 1"):
        read_labels(config, name="loans")
    file.write_text("firm,month\nf1,2024-01\n")
    assert len(read_labels(config, name="loans")) == 0
