"""Reasons of the grid in answers to the bank's programs: those of both halves, also when repeated and after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from common.features.contributions import contributions, grouped
from common.home.models import ModelStore
from common.party import Party
from common.rows.dataset import DatasetConfig, read_table
from grid_party.settings import GridPolicy
from tests.common.learn.linear.groups import right
from tests.common.stages.plain import weights_of
from tests.common.web.pki import Caller
from tests.scenarios.end_to_end.lab import eventually
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
    assert charged(office, "grid") - before <= ROWS  # once, however often such a row is asked for
    office.restart("bank")
    eventually(office.serving, 60.0)
    with closing(office.caller()) as later:
        assert later.score("reasons-many", ids=ids) == (200, many) and later.headers["idempotent-replayed"] == "true"
