"""A job whose parties speak over several connections: it ends as over one, also where one of them is cut in the middle."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from common.client.client import Client
from tests.scenarios.end_to_end.lab import eventually, measured
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.test_resume import PLAN
from tests.scenarios.kill.town import PARTIES, Town, faults

LINE = "bank-grid"
SUBMITTED: list[str] = []
wished: dict[str, int] = {}  # lanes, by party


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One whose parties wish for one lane at first."""
    with Lines() as lines, Town(tmp_path_factory.mktemp("lanes"), lines) as town:
        yield town


def wish(town: Town, grid: int, bank: int) -> None:
    """From now on the parties wish for so many lanes, and the coordinator deals, and takes tags, over three at most."""
    wished.update(grid=grid, bank=bank)
    town.extra["coordinator"]["lanes"] = 3
    town.again("coordinator")
    for name, lanes in (("grid", grid), ("bank", bank)):
        town.extra[name]["policy"]["lanes"] = lanes
        town.again(name)


def training(client: Client, job: str) -> bool:
    """Whether the grid is well within its steps: tags are told of likewise, before."""
    progress = client.show(job).grid.progress
    return progress.stage == "train" and progress.done > 30


def trained(town: Town, client: Client, lanes: int) -> float:
    """The AUC of a training that nothing disturbs, after which no connection of its own is left."""
    before = town.lines.connections(LINE)
    SUBMITTED.append(job := client.submit(PLAN).id)
    found = town.until(client, job)
    assert (found.state, found.attempt) == ("succeeded", 0), found.fault.message
    for name in PARTIES:
        told = re.findall(rf"job {job}: (\d) lanes", town.log(name).read_text())
        assert told == ([str(lanes)] if lanes > 1 else [])
        tags = re.findall(rf"job {job}: tags to the coordinator over (\d) lanes", town.log(name).read_text())
        assert tags == ([str(min(wished[name], 3))] if wished.get(name, 1) > 1 else []), "the coordinator takes three at most"
    eventually(lambda: town.lines.connections(LINE) <= max(before, 1))
    return measured(town, found).joint.auc


def test_a_training_over_several_lanes_is_the_same_and_goes_on_where_one_is_cut(town: Town, client: Client) -> None:
    one = trained(town, client, 1)
    wish(town, 2, 4)
    with town.client() as client:
        assert abs(trained(town, client, 2) - one) <= 0.0005
    wish(town, 4, 4)
    with town.client() as client:
        assert abs(trained(town, client, 4) - one) <= 0.0005
        SUBMITTED.append(job := client.submit(PLAN).id)
        eventually(lambda: training(client, job))
        assert town.lines.connections(LINE) == 4
        eventually(lambda: {town.lines.connections(f"{name}-coordinator") for name in PARTIES} == {3})  # those of tags are over
        town.lines.cut_last(LINE)
        eventually(lambda: client.show(job).attempt == 1)
        told = client.show(job).disturbed
        assert told.kind == "PeerLost", told.message
        # who notices it names the lane; the other may hear first that the connection is closed
        assert any(re.search(r"\(lane [0-3] of 4\)", town.log(name).read_text()) for name in PARTIES), told.message
        found = town.until(client, job)
        assert (found.state, found.attempt) == ("succeeded", 1), found.fault.message
        assert abs(measured(town, found).joint.auc - one) <= 0.0005
        SUBMITTED.append(job := client.submit(PLAN).id)
        eventually(lambda: training(client, job))
        town.lines.cut_last("grid-coordinator")
        found = town.until(client, job)
        assert (found.state, found.attempt) == ("succeeded", 1), found.fault.message
        assert abs(measured(town, found).joint.auc - one) <= 0.0005
        eventually(lambda: {town.lines.connections(f"{name}-coordinator") for name in PARTIES} == {1})
        assert not faults(town, client, SUBMITTED)
