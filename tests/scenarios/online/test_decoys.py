"""Decoys between real daemons: the grid's books have as many rows more for each that is asked for, and always the same."""

from __future__ import annotations

import json
from contextlib import closing

import pandas as pd
import pytest

from common.disk.data_folder import Name
from tests.common.stages.plain import OFF
from tests.scenarios.end_to_end.lab import eventually, make_tables
from tests.scenarios.end_to_end.test_scoring import in_the_clear
from tests.scenarios.online.conftest import Office, charged

DECOYS = 3


@pytest.fixture(scope="module")
def shared(aside: Office) -> Office:
    return aside


def test_the_grid_is_asked_for_the_same_others_beside_a_row_and_nobody_hears_of_them(office: Office) -> None:
    grid, bank = make_tables("Z", 60, seed=21)
    office.write("new", grid, bank.drop(columns="y"))
    office.deal(60, 4)  # a session takes one whole, and each start of the bank begins one
    online = {**office.extra["bank"]["online"], "decoys": DECOYS}
    office.restart("bank", online=online)
    eventually(office.serving, 60.0)
    exact = in_the_clear(office, office.model, "new")
    one, two = map(str, exact.index[:2])
    before = {side: charged(office, side) for side in ("grid", "bank")}
    ours = json.loads(bank.set_index("id").loc[one].drop("y").to_json())
    with closing(office.caller()) as caller:
        status, answer = caller.score("alone", id=one)
        assert status == 200 and [result["id"] for result in answer["results"]] == [one], answer
        assert abs(answer["results"][0]["log_odds"] - exact[one]) <= OFF and answer["cost"]["scores_charged"] == 1 + DECOYS
        counted = {side: charged(office, side) - before[side] for side in before}
        assert counted == {"grid": 1 + DECOYS, "bank": 1 + DECOYS}
        assert caller.score("again", id=one)[0] == 200
        status, answer = caller.score("given", id=one, columns=ours)
        assert status == 200 and abs(answer["results"][0]["log_odds"] - exact[one]) <= OFF
        status, problem = caller.score("many", ids=[f"A{place}" for place in range(251)])
        assert status == 422 and problem["field"] == "ids" and "at most 250" in problem["remedy"]
        session = answer["session"]
    office.restart("bank", online=online)
    eventually(office.serving, 60.0)
    filed = pd.read_csv(office.data("bank") / Name.SCORES / f"{session}.csv", dtype={"id": str})
    assert filed["id"].tolist() == [one]
    with closing(office.caller()) as caller:
        assert caller.score("after", id=one)[0] == 200
        assert charged(office, "grid") - before["grid"] == 1 + DECOYS  # the same rows each time are charged once by a line
        assert caller.score("other", id=two)[0] == 200
    assert charged(office, "grid") - before["grid"] > 1 + DECOYS
