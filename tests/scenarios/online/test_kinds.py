"""Champions that are trees or a network, which nobody holds either: scored on request from stock, each scoring charged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_party.online.shadow import ShadowBook
from common.client.like import scores_like
from common.disk.data_folder import Name
from common.home.models import ModelStore
from common.home.rowbook import RowBook
from common.learn.design import design
from common.learn.network.half import NetworkModel
from common.learn.trees.half import TreesHalf
from common.party import Party
from common.plan.promote import PromotePlan
from common.rows.dataset import DatasetConfig, read_table
from common.rows.table import FeatureTable
from common.trial.processes import BANK
from tests.common.learn.network.problems import opened
from tests.extent import cases
from tests.scenarios.end_to_end.lab import eventually, make_plan, make_tables, own, succeed
from tests.scenarios.online.conftest import ROWS as OFFICE_ROWS
from tests.scenarios.online.conftest import Office
from tests.scenarios.online.conftest import opened as open_office
from tests.scenarios.online.test_restarts import Programs

KINDS: dict[str, dict[str, Any]] = {
    "trees": {"kind": "trees", "trees": 6, "depth": 2, "rate": 0.4, "bins": 6},
    "network": {"kind": "network", "hidden": 4, "epochs": 2},
    "relu": {"kind": "network", "hidden": 3, "epochs": 2, "activation": "relu"},
}
ROWS, STEP = 40, 2.0**-5
MOST = 6  # times that a row may be scored: half as many as the grid has columns


class Champion:
    """An office whose champion is of one kind."""

    def __init__(self, office: Office, kind: str) -> None:
        self.office, self.kind, self.before = office, kind, office.model
        with office.client() as client:
            self.trained = succeed(client, make_plan("main", model=KINDS[kind]))
            self.model = self.trained.id
        grid, bank = make_tables(f"K{kind.upper()}", ROWS, seed=21)
        office.write("new", grid, bank.drop(columns="y"))
        self.ids, self.bank = sorted(map(str, grid["id"])), bank.drop(columns="y").set_index("id")

    def deal(self, rows: int, times: int = 1) -> None:
        with self.office.client() as client:
            for _ in range(times):
                succeed(client, scores_like(client.show(self.model), rows, "stock"))

    def promote(self, model: str) -> None:
        with self.office.client() as client:
            succeed(client, PromotePlan(model=model, force=True))

    def serving(self) -> bool:
        return self.office.serving() and self.asked("GET", "/v1/health")[1].get("model") == self.model

    def asked(self, *call: Any) -> tuple[int, dict[str, Any]]:
        with closing(self.office.caller()) as caller:
            return caller.ask(*call)

    def charged(self) -> int:
        """How many scorings on request by this model the grid's ledger has."""
        with closing(RowBook(self.office.data("grid") / Name.LEDGER, "", "")) as book:
            charges = book.standing("", "", MOST).charges
        return sum(charge.rows for charge in charges if charge.user.startswith(f"{self.model}#"))

    def exact(self) -> pd.Series[float]:
        """u of each company, from both halves, as nobody could in production."""
        halves, tables = {}, {}
        for party in Party:
            halves[party] = ModelStore(self.office.data(party.value) / "models").load(self.model)
            config = DatasetConfig.model_validate(self.office._datasets[party.value]["new"])
            declared = config.model_copy(update={"columns": halves[party].source})
            read = read_table(declared, name="new", party=party).table
            tables[party] = read.take(np.argsort(np.array([*read.ids])))
        return pd.Series(_clear(halves, tables), index=[*tables[Party.BANK].ids])


def _clear(halves: dict[Party, Any], tables: dict[Party, FeatureTable]) -> np.ndarray:
    one, other = halves[Party.GRID], halves[Party.BANK]
    if isinstance(one, TreesHalf):
        leaves = (one.leaves + other.leaves).view(np.int16) / 2.0**11
        place = (one.paths(tables[Party.GRID]) | other.paths(tables[Party.BANK])).astype(np.int64)
        return np.asarray(np.take_along_axis(leaves, place, 1).sum(0) + (one.start + other.start) / 2.0**11)
    assert isinstance(one, NetworkModel)
    rows = [design(halves[party].fitted, tables[party], party) for party in Party]
    return opened({party: halves[party].weights for party in Party}, one.activation).scores(*rows)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One of this module's own, whose champions, tables and stocks no other test finds."""
    yield from open_office(tmp_path_factory.mktemp("kinds"))


LINES = "a network of sines, in whose place that of lines differs by its activation"


@pytest.fixture(scope="module", params=cases(["trees", "network"], ["relu"], LINES))
def crowned(shared: Office, request: pytest.FixtureRequest) -> Iterator[Champion]:
    shared.heal()
    found = Champion(shared, request.param)
    found.deal(200, 3)
    found.promote(found.model)
    shared.model = found.model
    yield found
    shared.heal()
    found.promote(found.before)
    shared.model = found.before
    grid, bank = make_tables("W", OFFICE_ROWS, seed=5)
    shared.write("new", grid, bank.drop(columns="y"))

    def restored() -> bool:
        with closing(shared.caller()) as caller:
            status, answer = caller.score(key(), id=str(grid["id"].iloc[0]))
        return status == 200 and bool(answer["model"]["job"] == found.before)

    eventually(restored, 60.0)


BOTH = pytest.mark.parametrize("crowned", ["trees", "network"], indirect=True)  # the activation takes no part in these


@pytest.fixture
def champion(crowned: Champion, office: Office) -> Champion:
    eventually(crowned.serving, 30.0)
    return crowned


def key() -> str:
    return f"k-{np.random.default_rng().integers(1 << 40)}"


def test_one_and_many_are_scored_and_each_scoring_is_charged_once(champion: Champion) -> None:
    office, exact, ids = champion.office, champion.exact(), champion.ids
    before = champion.charged()
    with closing(office.caller()) as caller:
        status, one = caller.score(first := key(), id=ids[0])
        assert status == 200, one
        (result,) = one["results"]
        assert abs(result["log_odds"] - exact[ids[0]]) < 1.5 * STEP + 0.02
        assert result["decision"] in ("approve", "refer", "decline") and result["grade"] and 0 < result["probability"] < 1
        assert one["model"]["job"] == champion.model and one["model"]["version"] > 1
        assert one["cost"]["scores_charged"] == 1 and one["cost"]["stock_left"] > 0
        status, many = caller.score(key(), ids=[*ids, "NOBODY"])
        assert status == 200 and many["cost"]["scores_charged"] == ROWS
        found = np.array([result["log_odds"] for result in many["results"][:-1]])
        assert np.abs(found - exact[ids].to_numpy()).max() < 1.5 * STEP + 0.02 and np.ptp(found) > 10 * STEP
        assert any(result["reasons"] for result in many["results"])  # the bank's own columns, as its scorecard has them
        assert caller.score(first, id=ids[0]) == (200, one) and caller.headers["idempotent-replayed"] == "true"
    assert champion.charged() - before == ROWS + 1


def test_columns_with_a_request_are_charged_each_time_until_the_budget_of_the_row_is_spent(champion: Champion) -> None:
    office, id, other = champion.office, champion.ids[-1], champion.ids[1]
    ours = {name: json.loads(row.to_json()) for name, row in champion.bank.iterrows()}
    told, refused = [], ""
    with closing(office.caller()) as caller:
        while not refused:
            columns = {**ours[id], "b0": ours[other]["b0"] + len(told)}
            status, answer = caller.score(key(), id=id, columns=columns)
            if status == 200:
                told.append(answer["results"][0]["log_odds"])
                assert answer["cost"]["scores_charged"] == 1 and len(told) <= MOST
            else:
                assert status == 422
                refused = answer["detail"]
        assert "the grid's books" in refused
        assert caller.score(key(), id=other)[0] == 200  # of another row there is some left
    assert len(told) >= MOST - 2  # asked for once or twice before


@pytest.mark.parametrize("crowned", cases(["trees"], ["network"], "trees, whose sessions are the same"), indirect=True)
def test_what_runs_goes_on_whichever_process_ends_and_nothing_answered_is_charged_twice(champion: Champion) -> None:
    office = champion.office
    champion.deal(120, 4)
    grid, bank = make_tables(f"L{champion.kind.upper()}", 60, seed=22)
    office.write("new", grid, bank.drop(columns="y"))
    ids = sorted(map(str, grid["id"]))
    with closing(office.caller()) as caller:
        eventually(lambda: caller.score(key(), id=ids[0])[0] == 200, 30.0)
    before = champion.charged()
    with Programs(office, ids[1:], champion.kind, pause=0.02) as programs:
        programs.await_more(5)
        office.kill("coordinator")
        programs.await_more(10)
        for name in ("grid", "bank"):
            office.kill(name)
            programs.await_again()
            office.start(name)
            programs.await_more(10)
        assert not office.alive()["coordinator"]
    assert not programs.wrong and programs.again
    # what two kills lost between the grid's book and the bank's may have been told, and is charged again: of three programs
    assert 0 <= champion.charged() - before - len(programs.answers) <= 6
    with closing(office.caller()) as caller:
        number, answer = next(iter(programs.answers.items()))
        assert caller.score(f"{champion.kind}-{number}", id=programs.id(number)) == (200, answer)


@BOTH
def test_refill_deals_for_the_kind_of_the_champion(champion: Champion) -> None:
    office = champion.office
    refill = {**office.extra["bank"]["online"]["refill"], "rows": 250, "stocks": 2}  # no other stock is as large
    office.restart("bank", online={**office.extra["bank"]["online"], "refill": refill, "stock_rows": 250})
    assert "500 rows wait in 2, of 2 wanted" in own(office, "bank", "refill", "--now")  # a session may have taken a third
    eventually(lambda: champion.serving() and office.serving(260), 30.0)  # by one of them, another behind it


@BOTH
def test_a_challenger_of_another_kind_scores_the_same_rows(champion: Champion, office: Office) -> None:
    grid, bank = make_tables(f"M{champion.kind.upper()}", 20, seed=23)
    office.write("new", grid, bank.drop(columns="y"))
    linear = champion.before
    with office.client() as client:
        for _ in range(2):
            succeed(client, scores_like(client.show(linear), 150, "for the challenger"))
    champion.deal(150, 2)
    beside, said = {"model": linear, "stock_rows": 100}, f"by model {linear}"
    before = office.written("bank").count(said)
    office.restart("bank", online={**office.extra["bank"]["online"], "shadow": beside})
    eventually(lambda: champion.serving() and office.written("bank").count(said) > before, 30.0)
    ids = sorted(map(str, grid["id"]))[:4]
    with closing(office.caller()) as caller:
        status, answer = caller.score(key(), ids=ids)
        assert status == 200 and answer["model"]["job"] == champion.model and linear not in json.dumps(answer)

    def compared() -> bool:
        found = json.loads(own(office, "bank", "shadow", "--json"))
        return [champion.model, linear, 4] in [[one["champion"], one["challenger"], one["rows"]] for one in found]

    eventually(compared, 30.0)
    mine, theirs = ShadowBook(office.data("bank") / Name.SHADOWS).read(champion.model, linear)
    assert set(mine["id"]) == set(theirs["id"]) == set(ids)
    exact = champion.exact()
    assert abs(theirs.set_index("id")["u"] - exact[ids]).max() < 1.5 * STEP + 0.02
    sessions = {job["client"] for job in json.loads(own(office, "grid", "jobs", "--json")) if job["name"] == "online shadow"}
    assert sessions == {str(BANK)}
