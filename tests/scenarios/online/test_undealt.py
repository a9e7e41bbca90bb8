"""A champion that nobody holds and nobody dealt for: scored on request from no stock, the coordinator being away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.config import to_toml
from common.disk.data_folder import Name
from common.home.models import ModelStore
from common.home.rowbook import RowBook
from common.learn.linear.half import CommittedModel
from common.mpc.fixedpoint import WEIGHT_SCALE, X_SCALE, Words, decode
from common.party import Party
from common.plan.promote import PromotePlan
from common.rows.dataset import DatasetConfig, read_table
from tests.scenarios.end_to_end.lab import Lab, eventually, make_plan, make_tables, own, succeed
from tests.scenarios.online.conftest import Office
from tests.scenarios.online.conftest import opened as open_office
from tests.scenarios.online.test_restarts import Programs

ROWS, STEP = 60, 2.0**-5
_COUNTED = 18  # bits of a share above its lowest 46


@pytest.fixture(scope="module")
def undealt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    for office in open_office(tmp_path_factory.mktemp("undealt"), no_dealer=True):
        grid, bank = make_tables("U", ROWS, seed=31)
        office.write("new", grid, bank.drop(columns="y"))  # first: whichever session scores by the model has read these
        with office.client() as client:
            trained = succeed(client, make_plan("main", model={"dealer": "none"}, matching="ecdh"))
            succeed(client, PromotePlan(model=trained.id, force=True))
        office.model = trained.id
        yield office


@pytest.fixture
def office(undealt: Office) -> Office:
    undealt.heal()
    eventually(lambda: serves(undealt), 60.0)
    return undealt


def serves(office: Office) -> bool:
    try:
        with closing(office.caller()) as caller:
            status, health = caller.ask("GET", "/v1/health")
    except OSError:
        return False
    return status == 200 and health.get("model") == office.model and health["stock_left"] is None


def exact(lab: Lab, model: str, dataset: str) -> pd.Series[float]:
    """u of each company, from both halves, as nobody could in production."""
    halves = {party: ModelStore(lab.data(party.value) / "models").load(model) for party in Party}
    found: Any = 0.0
    for party in Party:
        half, other = halves[party], halves[party.other]
        assert isinstance(half, CommittedModel) and isinstance(other, CommittedModel)
        config = DatasetConfig.model_validate(lab._datasets[party.value][dataset])
        table = read_table(config.model_copy(update={"columns": half.source}), name=dataset, party=party).table
        words, _ = half.whitened(table)
        u = decode(words, X_SCALE) @ weight(half.own + other.committed.words)
        found = found + pd.Series(u, index=[*table.ids])
    return pd.Series(found)


def weight(words: Words) -> Any:
    lifted = words << np.uint64(_COUNTED)
    return decode(lifted, WEIGHT_SCALE + _COUNTED)


def charged(lab: Lab, model: str) -> int:
    """Rows of this model in the grid's ledger."""
    with closing(RowBook(lab.data("grid") / Name.LEDGER, "", "")) as book:
        charges = book.standing("", "", 1).charges
    return sum(charge.rows for charge in charges if charge.user == model)


def test_rows_are_scored_and_charged_once_and_no_stock_is_asked_for(office: Office) -> None:
    before, u = charged(office, office.model), exact(office, office.model, "new")
    ids = sorted(map(str, u.index))
    with closing(office.caller()) as caller:
        status, one = caller.score("undealt-one", id=ids[0])
        assert status == 200, one
        assert abs(one["results"][0]["log_odds"] - u[ids[0]]) < 1.6 * STEP + 0.02
        assert one["cost"]["stock_left"] is None and one["model"]["job"] == office.model
        status, many = caller.score("undealt-many", ids=[*ids, "NOBODY"])
        assert status == 200
        found = np.array([result["log_odds"] for result in many["results"][:-1]])
        assert np.abs(found - u[ids].to_numpy()).max() < 1.6 * STEP + 0.02 and np.ptp(found) > 10 * STEP
        assert caller.score("undealt-one", id=ids[0]) == (200, one) and caller.headers["idempotent-replayed"] == "true"
    assert charged(office, office.model) - before == ROWS


def test_a_stock_is_made_while_the_coordinator_is_away_and_used_once_it_is_back(office: Office) -> None:
    plan = make_plan("main", model={"dealer": "none", "iterations": 10}, matching="ecdh", dealt="ahead", split={"seed": 9})
    file = office.folder / "made.toml"
    file.write_text(to_toml(plan.model_dump(mode="json", exclude_none=True)))
    office.kill("coordinator")
    left = office.data("bank") / Name.STOCK / "predeal-0.part"
    left.write_bytes(b"by a command that was killed, beside a daemon that runs on")
    said = own(office, "bank", "predeal", str(file), "--rows", "1100", "--grid", "14", "--bank", "5")
    assert not left.exists()
    made = said.splitlines()[-1].split(":")[0]  # below what the bank's log says
    for side in ("grid", "bank"):
        assert (office.data(side) / Name.STOCK / f"{made}.stock").stat().st_mode & 0o777 == 0o600, said
    office.heal()
    with office.client() as client:
        trained = succeed(client, plan)
    assert trained.bank.report.counts.iterations == 10 and not trained.dealer.grid.sent
    assert not any((office.data(side) / Name.STOCK / f"{made}.stock").exists() for side in ("grid", "bank"))


def test_requests_go_on_whichever_process_ends(office: Office) -> None:
    grid, bank = make_tables("V", ROWS, seed=32)
    office.write("new", grid, bank.drop(columns="y"))
    ids = sorted(map(str, grid["id"]))
    with closing(office.caller()) as caller:
        eventually(lambda: caller.score("undealt-first", id=ids[0])[0] == 200, 60.0)
    before = charged(office, office.model)
    with Programs(office, ids[1:], "undealt") as programs:
        programs.await_more(5)
        office.kill("coordinator")
        programs.await_more(5)
        for name in ("grid", "bank"):
            office.kill(name)
            programs.await_again()
            office.start(name)
            programs.await_more(5)
        assert not office.alive()["coordinator"]
    assert not programs.wrong and programs.again
    scored = len({programs.id(number) for number in programs.answers})
    more = charged(office, office.model) - before
    assert scored <= more + 1 <= scored + 7  # what was asked for when a process ended is charged too
