"""When a job of several banks may go on without one, and from where: no sum over fewer banks' rows beside one over all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import JobStateError, PeerProtocolError
from common.features.fit import FittedPreparation
from common.home.unfinished import Points
from common.learn.linear.design import Prepared
from common.party import Identity, Party
from common.rows.table import FeatureTable, Ids
from common.stages.course import BANKS, STAGE, Course, Point
from common.stages.several.columns import Counts
from common.stages.several.leave import changed, check, check_all, go_back, resized
from tests.banks import several_plan

ALL = several_plan(3).identities
FEWER = ALL[:2]


def kept(folder: Path, *points: tuple[Point, int], banks: tuple[Identity, ...] = ALL, steps: int = 9) -> Points:
    """A party's points, each with the step that it is of."""
    folder.mkdir()
    made = Points(folder)
    for point, step in points:
        facts: dict[str, Any] = {BANKS: [str(who) for who in banks], "done": step, "steps": steps, "opened": []}
        made.write(int(point) << STAGE | step << 16, {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)})
    return made


BEFORE, WITHIN = ((Point.ALIGNED, 0), (Point.PREPARED, 0)), ((Point.TRAINING, 3), (Point.TRAINING, 4))


def test_steps_taken_with_another_bank_are_dropped_and_prepared_columns_stay(tmp_path: Path) -> None:
    points = kept(tmp_path / "job", *BEFORE, *WITHIN)
    points.confirm(points.held()[-1])
    go_back(points, ALL, alone=False)
    assert len(points.held()) == 4
    check(points, FEWER, alone=False)
    assert len(points.held()) == 4  # an offer that others refuse has changed nothing
    go_back(points, FEWER, alone=False)
    assert [number >> STAGE for number in points.held()] == [Point.ALIGNED, Point.PREPARED]
    assert points.confirmed == points.held()[-1]


def test_it_may_go_on_where_nothing_was_told_yet(tmp_path: Path) -> None:
    for alone in (False, True):
        points = kept(tmp_path / f"job-{alone}")
        go_back(points, FEWER, alone=alone)
        assert points.held() == []


@pytest.mark.parametrize(
    ("points", "alone", "why"),
    [
        (BEFORE[:1], False, "sums over the rows"),  # sums over columns may have been told
        (BEFORE[:1], True, "sums over the rows"),
        (BEFORE, True, "sums over the rows"),  # and those of steps too
        ((*BEFORE, (Point.TRAINING, 9)), False, "what it measured"),
        ((*BEFORE, (Point.REPORTED, 0)), False, "what it measured"),
    ],
)
def test_it_waits_where_sums_over_fewer_banks_would_tell_of_who_is_gone(
    tmp_path: Path, points: tuple[tuple[Point, int], ...], alone: bool, why: str
) -> None:
    made = kept(tmp_path / "job", *points)
    held = made.held()
    for refused in (check, go_back):
        with pytest.raises(JobStateError, match=why):
            refused(made, FEWER, alone=alone)
    assert made.held() == held
    check(made, ALL, alone=alone)  # with all of them it goes on


def test_a_bank_that_has_only_matched_rows_with_all_tells_no_sum_over_fewer(tmp_path: Path) -> None:
    points, names = kept(tmp_path / "job", *BEFORE[:1]), [str(who) for who in FEWER]
    course = Course(None, points, 1, names)
    course._common = points.held()[-1]
    found = course.at(Point.ALIGNED)
    assert found is not None and changed(course, found[1])
    with pytest.raises(JobStateError):
        check_all(course)
    same = Course(None, points, 1, [str(who) for who in ALL])
    same._common = course._common
    check_all(same)


def test_columns_are_resized_so_that_moments_over_the_rows_left_are_one_at_most() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((900, 3)) @ rng.standard_normal((3, 3))
    whiten = np.linalg.inv(np.linalg.cholesky(x.T @ x / 900)).T
    fitted = FittedPreparation.model_construct(columns=[])
    before = Prepared(fitted, FeatureTable(Ids.of([]), None, {}, {}), Party.BANK, ("a", "b", "c"), whiten)
    now = resized(before, Counts(900, 1200, 900), Counts(500, 700, 500), 200)
    left = x[:500] @ now.whiten
    assert np.linalg.eigvalsh(left.T @ left / 500)[-1] <= 1 + 1e-9
    for count in (901, 199):
        with pytest.raises(PeerProtocolError, match="counts other rows"):
            resized(before, Counts(900, 1200, 900), Counts(count, 1200, count), 200)
