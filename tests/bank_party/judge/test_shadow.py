"""A model beside the champion on rows without an outcome, against figures by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bank_party.decision.scores import write_scores
from bank_party.judge import shadow
from common.errors import DataError
from common.rows.table import FeatureTable, Ids
from common.stats.measures import sigmoid


def scores(ids: list[str], u: list[float], cut: float = 0.0) -> pd.DataFrame:
    verdicts = ["approve" if x < cut else "decline" for x in u]
    return pd.DataFrame({"id": ids, "u": u, "probability": sigmoid(np.array(u)), "decision": verdicts})


def test_the_same_scores_are_no_change() -> None:
    mine = scores(list("abcd"), [-2, -1, 1, 2])
    found = shadow.compare("c", mine, mine)
    assert found == shadow.Shadow("c", 4, 0.0, pytest.approx(1.0), 0.0, 0.5, 0.5)


def test_rank_decisions_and_rows_are_of_rows_that_both_scored() -> None:
    mine, theirs = scores(list("abcdx"), [-2, 1, -1, 2, 9]), scores(list("dcbay"), [2, 1, -1, -2, 9])
    found = shadow.compare("c", mine, theirs)
    assert found is not None and found.rows == 4
    assert found.rank == pytest.approx(0.8)  # Spearman: 1 - 6 * 2 / (4 * 15)
    assert found.otherwise == 0.5 and found.approved == found.champion_approved == 0.5


def test_psi_is_over_tenths_of_the_champions_probabilities() -> None:
    ids = [str(k) for k in range(1000)]
    before = np.linspace(-3, 3, 1000)
    moved = np.where(before < 2.4, before, before - 5.9)  # the worst tenth becomes the best
    found = shadow.compare("c", scores(ids, moved.tolist()), scores(ids, before.tolist()))
    p, q = (np.array([100] * 10) + 0.5) / 1005, (np.array([200] + [100] * 8 + [0]) + 0.5) / 1005
    assert found is not None and found.psi == pytest.approx(float(((q - p) * np.log(q / p)).sum()), rel=0.05)


def test_rows_all_alike_have_no_rank_and_no_common_row_no_comparison() -> None:
    flat = shadow.compare("c", scores(list("ab"), [1, 1]), scores(list("ab"), [1, 2]))
    assert flat is not None and flat.rank is None
    assert shadow.compare("c", scores(["a"], [1]), scores(["b"], [1])) is None


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_are_compared_by_id_and_month(tmp_path: Path, kind: str) -> None:
    for name, months in (("one", [24290, 24291]), ("two", [24290, 24292])):
        table = FeatureTable(Ids.of(["=a", "=a"]), np.array(months, np.int32), {}, {})
        frame = scores(["=a", "=a"], [1, 2]).drop(columns="id")
        write_scores(tmp_path / f"{name}.{kind}", table, {name: frame[name].tolist() for name in frame})
    found = shadow.compare_files("c", tmp_path / f"one.{kind}", tmp_path / f"two.{kind}")
    assert found is not None and found.rows == 1
    with pytest.raises(DataError, match=r"nothing.csv: no file of scores"):
        shadow.compare_files("c", tmp_path / "nothing.csv", tmp_path / f"two.{kind}")
