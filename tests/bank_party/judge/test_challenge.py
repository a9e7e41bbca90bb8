"""A model beside the champion: on rows both held out, or what its own training measured; too few rows say nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bank_party.decision import bundle
from bank_party.decision.bundle import HeldOut
from bank_party.judge import challenge
from common.errors import DataError
from common.home.models import ModelStore
from common.rows.table import FeatureTable, Ids
from tests.bank_party.decision.worlds import held_out


@pytest.fixture(scope="module")
def held() -> HeldOut:
    return held_out(600)[0]


def test_rows_that_both_held_out_are_compared_whatever_their_order(held: HeldOut) -> None:
    order = np.random.default_rng(1).permutation(len(held.label))
    assert held.periods is not None
    worse = replace(
        held, ids=held.ids[order], periods=held.periods[order], label=held.label[order], u_joint=-held.u_joint[order]
    )
    compared = challenge.on_common_rows("job-1", worse, held)
    found = compared.found
    assert compared.rows.rows == 300 and compared.rows.periods is not None
    assert found is not None and (found.champion, found.rows) == ("job-1", 300)
    assert found.auc == pytest.approx(1 - found.champion_auc) and found.champion_auc > 0.7
    assert found.auc_difference.high < 0


def test_few_rows_in_common_are_not_compared_and_a_policy_may_only_raise_the_floor(held: HeldOut) -> None:
    few = replace(held, ids=Ids.of([id if k < 30 else "x" for k, id in enumerate(held.ids)]))
    assert challenge.on_common_rows("job-1", few, held).found is None
    assert challenge.on_common_rows("job-1", few, held, lambda rows: 2).found is None
    fewer = int(min(held.label.sum(), (1 - held.label).sum()))
    for least, compared in ((2, True), (fewer, True), (fewer + 1, False)):

        def floor(rows: FeatureTable, least: int = least) -> int:
            return least

        assert (challenge.on_common_rows("job-1", held, held, floor).found is not None) is compared


def test_a_row_of_another_month_or_with_another_label_is_not_the_same_row(held: HeldOut) -> None:
    assert held.periods is not None
    assert challenge.on_common_rows("job-1", replace(held, periods=held.periods + 1), held).rows.rows == 0
    assert challenge.on_common_rows("job-1", replace(held, label=1 - held.label), held).rows.rows == 0


def test_what_a_training_measured_is_taken_against_this_champion_only(held: HeldOut, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    kept = challenge.compare("job-1", held.label, held.u_joint, held.u_bank)
    challenge.save(kept, store.folder("job-2"))
    nothing = challenge.measured(store, "job-2", "job-0")
    assert nothing.found is None and not nothing.rows.rows  # and no rows of either are kept
    for job in ("job-2", "job-0"):
        bundle.save(replace(held, job=job), store.folder(job))
    told = challenge.measured(store, "job-2", "job-1")
    assert told.found == kept and told.rows.rows == len(held.ids)
    found = challenge.measured(store, "job-2", "job-0").found
    assert found is not None and (found.champion, found.auc) == ("job-0", found.champion_auc)


def test_a_damaged_comparison_is_said_and_not_taken_for_none(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    store.folder("job-2").mkdir()
    (store.folder("job-2") / challenge.FILE).write_text('{"champion": "job-1"}')
    with pytest.raises(DataError, match="the stored comparison of job job-2 is damaged"):
        challenge.measured(store, "job-2", "job-1")
