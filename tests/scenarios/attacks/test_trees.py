"""A grid that is after labels, and asks for trees: their winners tell it what they are priced at, and then no more."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from common.client.client import Client
from common.learn.trees.half import TreesHalf
from common.party import Party
from common.rows.table import FeatureTable, Ids
from tests.scenarios.attacks.reading import JOBS, NO_FLOORS, forget, halves_of, spiked, targets_of, train
from tests.scenarios.end_to_end.lab import Lab, make_tables

TREES: dict[str, Any] = {"kind": "trees", "trees": 10, "depth": 2}
LEAST = 50  # training rows of a bin, by the bank's policy


@pytest.fixture(scope="module")
def lab(lab: Lab) -> Lab:
    lab.restart("grid", policy={**NO_FLOORS, "min_columns": 1, "scores_per_row": 1000})
    lab.write("rows", *make_tables("R", grid_columns=7))
    return lab


def test_spikes_make_no_threshold_of_their_own_and_the_bank_s_book_ends_the_attack(lab: Lab, client: Client) -> None:
    frame, bank = make_tables("R", grid_columns=7)
    done = []
    for job in range(JOBS):
        spikes = spiked(frame, targets_of(job, sorted(bank["id"])))
        spikes.to_csv(lab.table("grid", "rows"), index=False)
        forget(lab)
        done.append(train(client, job, model=TREES))
    assert [one.state for one in done] == ["succeeded"] + ["failed"] * (JOBS - 1)
    assert all("told as much of as the bank allows" in one.fault.message for one in done[1:])
    half = halves_of(lab, done[0].id)[Party.GRID]
    assert isinstance(half, TreesHalf)
    sides = sides_of(half, spiked(frame, targets_of(0, sorted(bank["id"]))))
    assert len(sides) >= 6 and sides.min() > LEAST  # so the one company is among fifty, whatever threshold wins
    told = {value for one in (done[0].grid.report.opened, done[0].bank.report.opened) for value in one}
    assert not {"grid_weights", "bank_weights", "gradients"} & told


def sides_of(half: TreesHalf, rows: Any) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Of each threshold of the grid's half how many rows lie on its smaller side."""
    numeric = {name: rows[name].to_numpy(np.float64) for name in half.fitted.sources}
    table = FeatureTable(Ids.of(rows["id"].tolist()), None, numeric, {}, None, tuple(numeric))
    share = half.fitted.transform(table) > 0
    return np.minimum(share.sum(0), (~share).sum(0)).astype(np.int64)


@pytest.mark.parametrize(
    ("model", "preparation", "why"),
    [
        ({"trees": 1}, {}, r"trees = 1 \(at least 10\)"),
        ({}, {"min_bin_rows": 1}, "min_bin_rows"),
        ({}, {"min_binary": 0}, "min_binary"),
    ],
)
def test_plans_that_would_tell_of_few_rows_are_refused(
    lab: Lab, client: Client, model: dict[str, Any], preparation: dict[str, Any], why: str
) -> None:
    found = train(client, 0, model={**TREES, **model}, preparation=preparation)
    assert found.state != "succeeded"
    assert re.search(why, found.fault.message), found.fault.message
