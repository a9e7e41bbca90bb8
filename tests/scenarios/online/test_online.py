"""Scores on request from the bank's daemon, as a program on the bank's own network asks for them: real daemons, real TLS."""

from __future__ import annotations

import json
import ssl
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_party.online.shadow import ShadowBook
from common.disk.data_folder import Name
from common.trial.processes import BANK
from tests.bench.arrivals import planned
from tests.bench.online import ByGrpc, ByHttps, load
from tests.common.stages.plain import OFF
from tests.common.web.pki import Caller
from tests.scenarios.end_to_end.lab import GRID_POLICY, eventually, make_plan, make_tables, own, succeed
from tests.scenarios.end_to_end.test_scoring import in_the_clear
from tests.scenarios.online.conftest import ROWS, Office, charged


def test_one_applicant_gets_score_grade_and_decision(office: Office, caller: Caller) -> None:
    exact = in_the_clear(office, office.model, "new")
    id = str(exact.index[0])
    status, answer = caller.score("first", id=id.lower())  # as a person types it
    assert status == 200, answer
    (result,) = answer["results"]
    assert result["id"] == id.lower() and abs(result["log_odds"] - exact[id]) <= OFF
    assert result["decision"] in ("approve", "refer", "decline") and result["grade"] and 0 < result["probability"] < 1
    assert answer["model"] == {"job": office.model, "version": 1} and answer["cost"]["scores_charged"] == 1
    assert answer["cost"]["stock_left"] == int(caller.headers["wattscore-stock-left"])
    assert answer["features"]["bank_read"] and answer["features"]["as_of"] is None
    for party in ("grid", "bank"):
        (record,) = json.loads(own(office, party, "jobs", answer["session"], "--json"))
        assert record["client"] == str(BANK) and record["kind"] == "score"


def test_a_thousand_applicants_fit_one_request_and_each_one_that_is_refused_is_told_why(office: Office, caller: Caller) -> None:
    exact = in_the_clear(office, office.model, "new")
    ids = [*map(str, exact.index), "NOBODY"]
    status, answer = caller.score("many", ids=ids)
    assert status == 200 and answer["cost"]["scores_charged"] == ROWS
    *found, nobody = answer["results"]
    assert np.abs(np.array([one["log_odds"] for one in found]) - exact.to_numpy()).max() <= OFF
    assert "no such row" in nobody["refused"] and nobody["decision"] is None
    assert caller.score("too many", ids=["A"] * 1001)[0] == 400


def test_a_request_repeated_is_answered_from_the_book_also_after_a_restart(office: Office, caller: Caller) -> None:
    id = str(in_the_clear(office, office.model, "new").index[1])
    status, first = caller.score("again", id=id)
    left = int(caller.headers["wattscore-stock-left"])
    assert status == 200 and "idempotent-replayed" not in caller.headers
    assert caller.score("again", id=id) == (200, first) and caller.headers["idempotent-replayed"] == "true"
    assert int(caller.headers["wattscore-stock-left"]) == left
    status, problem = caller.score("again", id=id + "0")
    assert status == 422 and problem["field"] == "Idempotency-Key"
    office.restart("bank")
    eventually(office.serving, 20.0)
    with closing(office.caller()) as later:
        assert later.score("again", id=id) == (200, first) and later.headers["idempotent-replayed"] == "true"


def test_a_caller_by_grpc_has_the_same_answers_charged_once_by_either_way(office: Office, caller: Caller) -> None:
    exact = in_the_clear(office, office.model, "new")
    ids = [str(exact.index[2]), "NOBODY"]
    status, first = caller.score("either", ids=ids)
    assert status == 200
    before = charged(office, "grid")
    again, other = office.by_grpc("either", *ids), office.by_grpc("by grpc".replace(" ", "-"), str(exact.index[3]))
    assert again.replayed and again.session == first["session"] and again.model.job == office.model
    found, nobody = again.results
    assert (found.log_odds, found.score, found.decision) == tuple(
        first["results"][0][k] for k in ("log_odds", "score", "decision")
    )
    assert not nobody.HasField("decision") and "no such row" in nobody.refused
    assert not other.replayed and abs(other.results[0].log_odds - exact.iloc[3]) <= OFF and other.cost.scores_charged == 1
    assert charged(office, "grid") - before <= 1  # that row, unless another test had it scored


def test_requests_that_arrive_at_a_rate_are_each_answered_once(office: Office) -> None:
    """The benchmark's load, two seconds of it."""
    times, ids = planned(20.0, 2.0), in_the_clear(office, office.model, "new").index.astype(str).tolist()
    found = load(partial(ByHttps, office.pki, office.port), ids, times, "load")
    assert not found.failed and len(found.milliseconds) == len(times) > 10
    assert not load(partial(ByGrpc, office.pki, office.calls), ids, times, "load").failed
    with closing(office.caller()) as caller:
        assert caller.score("load-0", id=ids[0])[0] == 200 and caller.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({"id": "A", "ids": ["A"]}, 400, None),
        ({}, 400, None),
        ({"id": "A", "period": "2025-01"}, 422, "period"),
        ({"id": "A", "period": "2025-13"}, 400, "period"),
        ({"id": 7}, 400, "id"),
        ({"id": "A", "loan": 1}, 400, "loan"),
        ({"id": "NOBODY"}, 422, "id"),
        ({"id": "  "}, 422, "id"),
    ],
)
def test_what_is_wrong_is_told_with_field_and_remedy(
    caller: Caller, asked: dict[str, object], status: int, field: str | None
) -> None:
    found, problem = caller.ask("POST", "/v1/score", asked, {"Idempotency-Key": "wrong"})
    assert found == status and caller.headers["content-type"] == "application/problem+json"
    assert problem.get("field") == field and problem["remedy"] and problem["detail"] and problem["status"] == status


def test_columns_that_come_with_the_request_are_scored_also_of_who_is_in_no_file_of_the_bank(
    office: Office, caller: Caller
) -> None:
    bank = pd.read_csv(office.table("bank", "new")).set_index("id").sort_index()
    exact = in_the_clear(office, office.model, "new")
    ordered = bank.loc[exact.index].sort_values("b0")
    one, two = str(ordered.index[0]), str(ordered.index[-1])  # which differ
    ours = {id: json.loads(row.to_json()) for id, row in bank.iterrows()}  # JSON numbers of each row
    status, swapped = caller.score("fresh", rows=[{"id": one, "columns": ours[two]}, {"id": two, "columns": ours[one]}])
    assert status == 200, swapped
    u = {result["id"]: result["log_odds"] for result in swapped["results"]}
    assert abs(u[one] + u[two] - exact[one] - exact[two]) <= 2 * OFF and abs(u[one] - exact[one]) > 3 * OFF
    assert {result["bank_columns"] for result in swapped["results"]} == {"request"} and swapped["features"]["bank_read"] is None
    part = office.table("bank", "new").with_suffix(".part")
    bank.drop(index=one).to_csv(part)
    part.replace(office.table("bank", "new"))

    def gone() -> bool:
        return caller.score(f"gone-{np.random.default_rng().integers(1 << 40)}", id=one)[0] == 422

    eventually(gone, 30.0)
    status, answer = caller.score("new-applicant", id=one, columns=ours[one])
    assert status == 200, answer
    assert abs(answer["results"][0]["log_odds"] - exact[one]) <= OFF
    bank.to_csv(part)
    part.replace(office.table("bank", "new"))
    for wrong, field in (({**ours[one], "loan": 1}, "loan"), ({**ours[one], "b0": "high"}, "b0"), ({}, "b0")):
        status, problem = caller.score("wrong-columns", id=one, columns=wrong)
        assert status == 422 and problem["field"] == f"columns.{field}" and problem["remedy"]
    status, problem = caller.score("wrong-row", rows=[{"id": one, "columns": ours[one]}, {"id": two, "columns": {}}])
    assert status == 422 and problem["field"] == "rows.1.columns.b0"
    status, problem = caller.score("twice", rows=[{"id": one, "columns": ours[one]}] * 2)
    assert status == 422 and problem["field"] == "rows.1.id"


def test_rows_that_the_grids_books_refuse_leave_the_others_of_their_request(office: Office) -> None:
    grid, bank = make_tables("Q", 20, seed=12)
    office.write("new", grid, bank.drop(columns="y"))
    office.restart("grid", policy={**GRID_POLICY, "rows_per_day": charged(office, "grid") + 7})
    exact = in_the_clear(office, office.model, "new")
    with closing(office.caller()) as caller:

        def asked() -> list[dict[str, Any]]:
            status, answer = caller.score(f"Q-{np.random.default_rng().integers(1 << 40)}", ids=[*map(str, exact.index)])
            return list(answer["results"]) if status == 200 else []

        eventually(lambda: any(result["decision"] for result in asked()), 30.0)  # by a session of these rows
        results = asked()
    scored = [result for result in results if result["decision"]]
    assert len(scored) == 7
    assert all(abs(result["log_odds"] - exact[result["id"]]) <= OFF for result in scored)
    assert all("the grid's books" in result["refused"] for result in results if not result["decision"])


def test_other_requests_are_refused_as_problems(caller: Caller) -> None:
    assert caller.ask("POST", "/v1/score", {"id": "A"})[1]["field"] == "Idempotency-Key"
    assert caller.ask("POST", "/v1/score", b"{", {"Idempotency-Key": "x"})[0] == 400
    assert caller.ask("POST", "/v1/score", b" " * (1 << 21), {"Idempotency-Key": "x"})[0] == 413
    assert caller.ask("GET", "/v1/scores")[0] == 404 and caller.ask("GET", "/v1/score")[0] == 405


def test_nobody_unknown_is_served_and_nothing_older_than_tls_1_3(office: Office) -> None:
    with closing(office.caller("stranger")) as stranger:
        for method, path in (("GET", "/v1/health"), ("GET", "/openapi.json"), ("POST", "/v1/score")):
            status, problem = stranger.ask(method, path, {} if method == "POST" else None)
            assert status == 403 and "clients" in problem["detail"]
    with closing(office.caller(None)) as nobody, pytest.raises((ssl.SSLError, ConnectionError)):
        nobody.ask("GET", "/v1/health")
    old = office.pki.context("loan-desk")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with closing(Caller(office.port, old)) as caller, pytest.raises((ssl.SSLError, ConnectionError)):
        caller.ask("GET", "/v1/health")


def test_newer_rows_of_either_side_are_scored_without_a_restart(office: Office, caller: Caller) -> None:
    bank = pd.read_csv(office.table("bank", "new"))
    id = str(bank["id"][0])
    for side, column in (("bank", "b0"), ("grid", "g0")):
        frame = pd.read_csv(office.table(side, "new"))
        frame.loc[frame["id"] == id, column] += 1.0
        part = office.table(side, "new").with_suffix(".part")
        frame.to_csv(part, index=False)
        part.replace(office.table(side, "new"))
        exact = in_the_clear(office, office.model, "new")[id]

        def told(side: str = side, exact: float = exact) -> bool:
            status, answer = caller.score(f"{side}-{np.random.default_rng().integers(1 << 40)}", id=id)
            return status == 200 and abs(answer["results"][0]["log_odds"] - exact) <= OFF

        eventually(told, 30.0)


def test_a_promotion_switches_the_session_and_requests_go_on(office: Office, caller: Caller) -> None:
    id = str(in_the_clear(office, office.model, "new").index[2])
    with office.client() as client:
        from common.plan.promote import PromotePlan

        other = succeed(client, make_plan("main", split={"seed": 7})).id
        succeed(client, PromotePlan(model=other, force=True))

        def told() -> str:
            status, answer = caller.score(f"p-{np.random.default_rng().integers(1 << 40)}", id=id)
            assert status == 200, answer
            return str(answer["model"]["job"])

        eventually(lambda: told() == other, 30.0)
        office.model = other


def test_a_challenger_scores_the_same_rows_and_callers_hear_the_champion_alone(office: Office) -> None:
    with office.client() as client:
        others = [job.id for job in client.jobs(last=2, kind="train") if job.id != office.model]
        challenger = others[0] if others else succeed(client, make_plan("main", split={"seed": 11})).id
    office.deal(150, 3)
    exact, beside = in_the_clear(office, challenger, "new"), {"model": challenger, "stock_rows": 100}
    office.restart("bank", online={**office.extra["bank"]["online"], "shadow": beside})
    eventually(office.serving, 20.0)
    ids = list(map(str, exact.index[:5]))

    def compared() -> list[dict[str, Any]]:
        return list(json.loads(own(office, "bank", "shadow", "--json")))

    def asked() -> bool:
        with closing(office.caller()) as caller:
            status, answer = caller.score(f"s-{np.random.default_rng().integers(1 << 40)}", ids=ids)
        assert challenger not in json.dumps(answer) and status in (200, 503)
        assert status == 503 or answer["model"]["job"] == office.model
        return sum(one["rows"] for one in compared()) == 5

    eventually(asked, 30.0)
    (found,) = compared()
    assert (found["champion"], found["challenger"]) == (office.model, challenger)
    mine, theirs = ShadowBook(office.data("bank") / Name.SHADOWS).read(office.model, challenger)
    assert abs(mine.set_index("id")["u"] - exact[ids]).max() <= OFF
    assert abs(theirs.set_index("id")["u"] - in_the_clear(office, office.model, "new")[ids]).max() <= OFF
    sessions = {job["client"] for job in json.loads(own(office, "grid", "jobs", "--json")) if job["name"] == "online shadow"}
    assert sessions == {str(BANK)}  # the grid sees by its plan what it is, and whose rows it charges
    assert f"{challenger} beside {office.model}" in own(office, "bank", "shadow")


def test_stock_that_runs_out_is_told_ahead_and_the_next_one_goes_on(office: Office, caller: Caller) -> None:
    grid, bank = make_tables("V", 100, seed=9)
    office.write("new", grid, bank.drop(columns="y"))
    for side in ("grid", "bank"):
        for stock in (office.data(side) / "stock").iterdir():
            stock.unlink()
    office.restart("bank")  # before there is a stock, else the session that newer rows begin takes it first
    office.deal(60)
    eventually(office.serving, 60.0)
    ids = list(map(str, grid["id"]))
    with closing(office.caller()) as caller:
        status, answer = caller.score("few", ids=ids[:20])
        assert status == 200 and answer["cost"]["stock_left"] == 40
        assert "predeal" in caller.headers["wattscore-stock-warning"]
        eventually(lambda: "stocks serve 40 rows more" in office.written("bank"))
        status, problem = caller.score("all", ids=ids)
        assert status == 503 and "predeal" in problem["remedy"] and "retry-after" in caller.headers
        office.deal(200)
        eventually(lambda: office.serving(100), 90.0)  # not by the 40 rows of the session before
        status, answer = caller.score("all", ids=ids)
        assert status == 200 and answer["cost"]["scores_charged"] == 100


def test_the_document_says_what_is_served(caller: Caller) -> None:
    status, document = caller.ask("GET", "/openapi.json")
    assert status == 200 and set(document["paths"]) == {"/v1/score", "/v1/health"}
