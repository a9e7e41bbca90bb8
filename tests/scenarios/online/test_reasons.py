"""Reasons of the grid in answers to the bank's programs: those of both halves, also when repeated and after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.client.like import scores_like
from common.features.contributions import contributions, grouped, strongest
from common.home.models import ModelStore
from common.learn.groups import members
from common.party import Party
from common.plan.promote import PromotePlan
from common.rows.dataset import DatasetConfig, read_table
from grid_party.settings import GridPolicy
from tests.common.learn.linear.groups import right
from tests.common.stages.plain import weights_of
from tests.common.web.pki import Caller
from tests.scenarios.end_to_end.lab import eventually, make_plan, succeed
from tests.scenarios.online.conftest import ROWS, Office, charged, opened

TEXTS = {"g0": "Falling use", "g1": "Late payments"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One of this module's own, whose grid words reasons."""
    yield from opened(tmp_path_factory.mktemp("reasons"), texts=TEXTS)


def plain(office: Office) -> pd.DataFrame:
    """What each text adds to u of each enterprise, by both halves, as nobody could in production."""
    halves = {party: ModelStore(office.data(party.value) / "models").load(office.model) for party in Party}
    grid = halves[Party.GRID]
    config = DatasetConfig.model_validate(office._datasets["grid"]["new"])
    table = read_table(config.model_copy(update={"columns": grid.source}), name="new", party=Party.GRID).table
    groups, named = grouped([column.source for column in grid.fitted.fitted], TEXTS)
    weights = weights_of(halves, Party.GRID)
    parts = contributions(grid.fitted.transform(table), weights, np.zeros(len(weights)), groups, len(named))
    return pd.DataFrame(parts, index=list(table.ids), columns=list(named))


def test_answers_name_the_grids_reasons_also_when_repeated_and_after_a_restart(office: Office, caller: Caller) -> None:
    exact = plain(office)
    ids, texts = list(map(str, exact.index)), list(exact)
    before = charged(office, "grid")
    status, many = caller.score("reasons-many", ids=ids)
    assert status == 200 and many["grid_reasons_untold"] is None and len(many["results"]) == len(ids) == ROWS
    told = [result["grid_reasons"] for result in many["results"]]
    codes = np.array([[1 + texts.index(one[0]) if one else 0] for one in told], np.uint8)
    assert right(codes, exact.to_numpy(), GridPolicy().reason_threshold).all() and set(codes.ravel()) == {0, 1, 2}
    status, one = caller.score("reasons-one", id=ids[0])
    assert status == 200 and one["results"][0]["grid_reasons"] == told[0]
    by_grpc = office.by_grpc("reasons-grpc", *ids[:20]).results
    assert [list(result.grid_reasons.texts) for result in by_grpc if result.HasField("grid_reasons")] == told[:20]
    assert charged(office, "grid") - before <= ROWS  # once, however often such a row is asked for
    office.restart("bank")
    eventually(office.serving, 60.0)
    with closing(office.caller()) as later:
        assert later.score("reasons-many", ids=ids) == (200, many) and later.headers["idempotent-replayed"] == "true"


def by_trees(office: Office, model: str) -> pd.Series[str]:
    """The text that each enterprise's answer names, by both halves of trees."""
    halves: dict[Party, Any] = {party: ModelStore(office.data(party.value) / "models").load(model) for party in Party}
    tables = {}
    for party, half in halves.items():
        config = DatasetConfig.model_validate(office._datasets[party.value]["new"])
        read = read_table(config.model_copy(update={"columns": half.source}), name="new", party=party).table
        tables[party] = read.take(np.argsort(np.array([*read.ids])))
    grid, bank = halves[Party.GRID], halves[Party.BANK]
    groups, named = grouped([column.source for column in grid.fitted.fitted], TEXTS)
    leaves = (grid.leaves + bank.leaves).view(np.int16) / 2.0**11
    own = np.tile(bank.paths(tables[Party.BANK]), 1 + len(named))
    place = (grid.paths(tables[Party.GRID], list(members(groups, len(named)))) | own).astype(np.int64)
    u = np.take_along_axis(leaves, place, 1).sum(0).reshape(1 + len(named), -1)
    codes = strongest((u[0] - u[1:]).T, 1, GridPolicy().reason_threshold)
    return pd.Series(["" if not code else named[code - 1] for code in codes[:, 0].tolist()], index=[*tables[Party.GRID].ids])


def test_by_trees_answers_name_them_too_from_a_stock_dealt_for_them(office: Office, caller: Caller) -> None:
    with office.client() as client:
        section = {"kind": "trees", "trees": 12, "depth": 2, "rate": 0.4, "bins": 6}
        trained = succeed(client, make_plan("main", model=section))
        succeed(client, scores_like(client.show(trained.id), 3 * ROWS, "stock", reasons=len(TEXTS) + 1))
        succeed(client, PromotePlan(model=trained.id, force=True))
    office.model = trained.id
    eventually(lambda: caller.ask("GET", "/v1/health")[1].get("model") == trained.id, 60.0)
    exact = by_trees(office, trained.id)
    ids = list(map(str, exact.index))
    status, one = caller.score("trees-one", id=ids[0])
    assert status == 200 and one["grid_reasons_untold"] is None
    status, many = caller.score("trees-many", ids=ids)
    assert status == 200 and many["grid_reasons_untold"] is None
    told = [next(iter(result["grid_reasons"]), "") for result in many["results"]]
    assert told == exact.tolist() and len(set(told)) > 1
    assert one["results"][0]["grid_reasons"] == many["results"][0]["grid_reasons"]
