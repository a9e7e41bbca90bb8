"""`wattscore try` without a grid's file: who trains then, and what is refused before any process starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, DataError
from common.plan.several import SeveralPlan
from common.trial.heads import check_alike
from common.trial.run import TrialOptions, make_plan
from common.trial.try_cli import options_of

GIVEN: dict[str, Any] = {
    "period": None, "test": 0.3, "seed": 42, "coding": "auto", "out": None, "compare": False, "report": None, "keep": None,
}  # fmt: skip


def banks(folder: Path, count: int, rows: int = 30) -> list[Path]:
    found = []
    for k in range(count):
        file = folder / f"bank-{k}.csv"
        lines = [f"E{k}{i:03d},{i % 7},{int(i % 3 == 0)}" for i in range(rows)]
        file.write_text("\n".join(["id,amount,y", *lines]), encoding="utf-8")
        found.append(file)
    return found


def asked(files: list[Path], **more: Any) -> TrialOptions:
    keys = {"key": "id", "grid_key": None, "bank_key": None, "label": "y", "label_values": None, "missing": None}
    return options_of(more.pop("grid", None), files, **{**keys, **GIVEN, "allow_small": True, **more})


def test_three_banks_without_a_grid_train_alone(tmp_path: Path) -> None:
    options = asked(banks(tmp_path, 3))
    assert set(options.datasets) == {"bank", "bank-2", "bank-3"}
    plan = make_plan(options)
    assert isinstance(plan, SeveralPlan) and plan.alone and len(plan.banks) == 3


def test_two_banks_need_a_grid(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="banks train alone from three on"):
        asked(banks(tmp_path, 2))


def test_a_banks_own_key_is_enough(tmp_path: Path) -> None:
    assert asked(banks(tmp_path, 3), key=None, bank_key="id").datasets["bank-2"].id == "id"


def test_a_file_of_few_ids_is_refused_by_its_name_and_how_to_try_anyway(tmp_path: Path) -> None:
    files = banks(tmp_path, 3)
    with pytest.raises(DataError, match=r"bank.*30 ids, below 1,000") as caught:
        asked(files, allow_small=False)
    assert "--allow-small" in caught.value.remedy


def test_a_file_without_the_label_is_refused_before_anything_starts(tmp_path: Path) -> None:
    files = banks(tmp_path, 3)
    files[1].write_text(files[1].read_text(encoding="utf-8").replace("id,amount,y", "id,amount,z"), encoding="utf-8")
    with pytest.raises(DataError, match="no column 'y'"):
        asked(files)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"amount": "numeric"}, "b.csv lacks 'tenor', other than a.csv"),
        ({"amount": "numeric", "tenor": "numeric", "rate": "numeric"}, "b.csv also has 'rate'"),
        ({"amount": "numeric", "term": "numeric"}, "b.csv lacks 'tenor' and also has 'term'"),
        ({"amount": "numeric", "tenor": "categorical"}, "b.csv: words in 'tenor'"),
    ],
)
def test_banks_whose_columns_differ_are_told_which_before_any_job(other: dict[str, str], said: str) -> None:
    first = {"amount": "numeric", "tenor": "numeric"}
    check_alike({"a.csv": first, "b.csv": dict(reversed(first.items()))})
    with pytest.raises(DataError, match=said):
        check_alike({"a.csv": first, "b.csv": other})


def test_ids_that_do_not_meet_are_told_with_the_file_of_several(tmp_path: Path) -> None:
    grid = tmp_path / "grid.csv"
    grid.write_text("\n".join(["id,kwh", *(f"E0{i:03d},{i}" for i in range(30))]), encoding="utf-8")
    with pytest.raises(DataError, match=r"bank-1\.csv.*no id is common to both files"):
        asked(banks(tmp_path, 2), grid=grid)
