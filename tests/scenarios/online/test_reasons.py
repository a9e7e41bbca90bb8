"""Reasons of the grid in answers to the bank's programs: those of both halves, also when repeated and after a restart."""

from __future__ import annotations

import runpy
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
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
from tests.patience import patience
from tests.scenarios.end_to_end.lab import eventually, make_plan, succeed
from tests.scenarios.online.conftest import ROWS, Office, charged, opened
from tests.source import ROOT

PROGRAM = ROOT / "examples" / "online" / "ask.py"
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


def files(office: Office) -> dict[str, str]:
    names = {"trust": "ca.pem", "certificate": "loan-desk.pem", "key": "loan-desk.key"}
    return {option: str(office.pki.folder / name) for option, name in names.items()}


def program(office: Office, id: str, *more: str, grpc: bool) -> subprocess.CompletedProcess[str]:
    """What the example says of this enterprise."""
    options = [part for name, file in files(office).items() for part in (f"--{name}", file)]
    address = ["--address", f"127.0.0.1:{office.calls if grpc else office.port}", *(["--grpc"] if grpc else [])]
    command = [sys.executable, str(PROGRAM), id, *address, *options, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=patience(60))


def test_the_example_says_the_reasons_of_both_companies_by_rest_and_grpc(office: Office, caller: Caller) -> None:
    _, many = caller.score("example", ids=[f"W{k:05d}" for k in range(20)])
    id = next(result["id"] for result in many["results"] if result["grid_reasons"] and result["reasons"])
    by_rest = program(office, id, "--again", "example-one", grpc=False)
    by_grpc = program(office, id, "--again", "example-one", grpc=True)
    (result,) = caller.score("example-one", id=id)[1]["results"]
    assert caller.headers["idempotent-replayed"] == "true"
    lines = [f"{id}: {result['decision']}, grade {result['grade']}, {result['score']:.0f} points"]
    lines += [f"  bank: {text}" for text in result["reasons"]] + [f"  grid: {text}" for text in result["grid_reasons"]]
    for done in (by_rest, by_grpc):
        assert (done.returncode, done.stderr, done.stdout.splitlines()) == (0, "", lines)
    assert any(line.startswith("  grid: ") and line[8:] in TEXTS.values() for line in lines)


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_the_example_says_what_is_wrong_and_its_remedy(office: Office, grpc: bool) -> None:
    done = program(office, "W99999", grpc=grpc)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith("id: ") and "Check the id" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_the_example_asks_a_bank_that_was_away_again_by_the_same_key(office: Office, grpc: bool) -> None:
    space: dict[str, Any] = runpy.run_path(str(PROGRAM))["ask"].__globals__
    name, keys = "by_grpc" if grpc else "by_rest", list[str]()
    way = space[name]

    def ask(args: Namespace, key: str) -> Any:
        keys.append(key)
        return way(args, key)

    def once_it_is_there(_: float) -> None:
        office.restart("bank")
        eventually(office.serving, 60.0)

    space |= {name: ask, "time": SimpleNamespace(sleep=once_it_is_there)}
    office.kill("bank")
    address = f"127.0.0.1:{office.calls if grpc else office.port}"
    answer = space["ask"](Namespace(id="W00004", address=address, grpc=grpc, again=None, **files(office)))
    assert answer["results"][0]["decision"] and len(keys) == 2 and len({*keys}) == 1


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
