"""Who may ask for scores, and of whom: tokens of a provider, authorisations and grants that are withdrawn meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import grid_party.__main__
from common.trial.processes import BANK, GRID
from tests.common.web.pki import Caller
from tests.common.web.served import served
from tests.common.web.test_callers import KEY, OTHER, token
from tests.scenarios.end_to_end.lab import eventually, make_plan, own, succeed
from tests.scenarios.end_to_end.test_scoring import in_the_clear
from tests.scenarios.online.conftest import Office


@pytest.fixture(scope="module")
def shared(aside: Office) -> Office:
    return aside


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The settings of an identity provider that runs."""
    public = {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key())), "kid": "1", "use": "sig", "alg": "ES256"}
    keys = json.dumps({"keys": [public]}).encode()
    with served(tmp_path, lambda path: (200, keys)) as (address, ca):
        yield {"issuer": "https://login.bank", "audience": "wattscore", "jwks": f"{address}/keys", "trust": str(ca)}


def fresh() -> str:
    return f"{np.random.default_rng().integers(1 << 40)}"


def refused(office: Office, id: str) -> bool:
    """Whether a session serves and this enterprise is not scored."""
    with closing(office.caller()) as caller:
        status, problem = caller.score(fresh(), id=id)
    return status == 422 and "holds no such row" in problem["detail"]


def scored(office: Office, id: str) -> bool:
    with closing(office.caller()) as caller:
        return caller.score(fresh(), id=id)[0] == 200


def test_a_token_lets_in_whom_it_names_for_as_long_as_it_says(office: Office, provider: dict[str, Any]) -> None:
    office.deal(60)
    online = {name: value for name, value in office.extra["bank"]["online"].items() if name not in ("trust", "clients")}
    office.restart("bank", online={**online, "oidc": provider})
    id = str(in_the_clear(office, office.model, "new").index[0])

    def asked(key: str, bearer: str | None) -> tuple[int, str | None]:
        with closing(Caller(office.port, office.pki.context(None), bearer)) as caller:
            return caller.score(key, id=id)[0], caller.headers.get("idempotent-replayed")

    eventually(lambda: asked("mine", token()) in ((200, None), (200, "true")), 60.0)
    assert asked("mine", token()) == (200, "true")
    assert asked("mine", token(sub="desk-8")) == (200, None)  # another caller's key is its own
    assert asked("mine", None)[0] == 401 and asked("mine", token(OTHER))[0] == 401
    assert asked("mine", token(exp=time.time() - 3600))[0] == 401 and asked("mine", token(scope="openid"))[0] == 403


def test_who_withdraws_is_scored_no_more_and_others_are_by_champion_and_challenger(office: Office, tmp_path: Path) -> None:
    file, ids = tmp_path / "agreed.csv", sorted(map(str, pd.read_csv(office.table("grid", "new"), dtype=str)["id"]))

    def agree(agreed: list[str]) -> None:
        pd.DataFrame({"firm": agreed, "until": "2999-12-31"}).to_csv(file.with_suffix(".new"), index=False)
        file.with_suffix(".new").replace(file)

    agree(ids[1:])
    with office.client() as client:
        challenger = succeed(client, make_plan("main", split={"seed": 11})).id
    office.deal(150, 6)
    office.restart("grid", consent={"new": {"path": str(file), "id": "firm", "until": "until"}})
    office.restart("bank", online={**office.extra["bank"]["online"], "shadow": {"model": challenger, "stock_rows": 100}})

    def compared(rows: int) -> bool:
        """Whether both models have scored so many, the last one now; at a pace at which no stock is used up."""
        answered = scored(office, ids[rows])
        time.sleep(0.5)
        found = json.loads(own(office, "bank", "shadow", "--json"))
        return answered and rows == sum(one["rows"] for one in found if one["challenger"] == challenger)

    eventually(lambda: refused(office, ids[0]), 60.0)
    eventually(lambda: compared(1), 60.0)
    since = len(office.told("grid"))
    agree(ids[2:])
    eventually(lambda: office.told("grid", since).count("withdrawn its authorisation") >= 2, 60.0)
    eventually(office.serving, 60.0)
    assert refused(office, ids[1])
    eventually(lambda: compared(2), 60.0)
    sessions = {job["job"]: job for job in json.loads(own(office, "grid", "jobs", "--json"))}
    ended = {job["name"] for job in sessions.values() if "withdrawn its authorisation" in job["cause"]}
    assert ended == {"online", "online shadow"}


def test_a_grant_that_is_withdrawn_ends_the_service_and_it_says_why(office: Office, tmp_path: Path) -> None:
    office.deal(60, 3)
    file = tmp_path / "new.grant"
    asked = [
        "--to",
        BANK.org,
        "--purpose",
        "credit",
        "--expires",
        "2999-12-31",
        "--ca",
        str(office.folder / "certs" / GRID.org),
    ]
    assert CliRunner().invoke(grid_party.__main__.main, ["grant", "sign", "new", str(file), *asked]).exit_code == 0
    received = tmp_path / "received.grant"
    received.write_bytes(file.read_bytes())
    id = str(in_the_clear(office, office.model, "new").index[3])
    office.restart("grid", grants={"new": {"path": str(file)}})
    online = office.extra["bank"]["online"]
    office.restart("bank", granted={"new": {"path": str(received)}}, online={**online, "purpose": "marketing"})

    def why(said: str) -> bool:
        with closing(office.caller()) as caller:
            status, health = caller.ask("GET", "/v1/health")
            return status == 503 and said in health["why"] and caller.score(fresh(), id=id)[0] == 503

    eventually(lambda: why("purpose"), 60.0)
    office.restart("bank", granted={"new": {"path": str(received)}}, online={**online, "purpose": "credit"})
    eventually(lambda: scored(office, id), 60.0)
    assert "withdrawn" in own(office, "grid", "grant", "withdraw", "new", "--note", "the contract has ended")
    eventually(lambda: why("the grant was withdrawn"), 60.0)
