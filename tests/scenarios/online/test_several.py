"""A network of three banks and the grid: one bank serves scores by it on request, another hears the grid's reasons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.client.client import failure
from common.client.like import scores_like
from common.disk.data_folder import Name
from common.home.models import ModelStore
from common.home.rowbook import RowBook
from common.learn.design import design
from common.learn.learners import line_of
from common.learn.network.half import NetworkModel
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.score import ScorePlan
from common.rows.dataset import DatasetConfig, read_table
from common.rows.table import FeatureTable
from common.trial import processes
from common.trial.processes import Trial, free_ports
from common.wire import coordinator_pb2 as wire
from tests.common.learn.network.problems import opened
from tests.common.web.pki import Caller, Pki
from tests.scenarios.end_to_end.lab import eventually
from tests.scenarios.end_to_end.several import World, synthetic
from tests.scenarios.end_to_end.test_several import BANK_POLICY, LIMITS, LOOSE, run

STEP, ROWS = 2.0**-5, 300
TIE = 0.02  # of what columns raise a score by, as rows of a network are rounded
TEXTS = {"g0": "High g0", "g1": "Low g1"}
SECTION = {"kind": "network", "hidden": 4, "batch": 0, "epochs": 60}
BANK = processes.more_bank("bank-2")


class Street(Trial):
    """A grid and three banks; the second serves scores on request."""

    port: int
    pki: Pki
    world: World
    trained: wire.Job

    def caller(self) -> Caller:
        return Caller(self.port, self.pki.context("loan-desk"))

    def serving(self) -> bool:
        try:
            with closing(self.caller()) as caller:
                status, health = caller.ask("GET", "/v1/health")
        except OSError:
            return False
        return status == 200 and health["stock_left"] > 0 and health.get("model") == self.trained.id

    def exact(self, name: str, who: str, without: str = "") -> pd.Series[float]:
        """u of each company of a bank that the grid has too, from both halves, as nobody could in production.

        without: a column of the grid's that is as usual.
        """
        sides: dict[Party, tuple[NetworkModel, FeatureTable]] = {}
        for party, side in ((Party.GRID, "grid"), (Party.BANK, name)):
            half: Any = line_of(ModelStore(self.folder / f"{side}-data" / Name.MODELS).load(self.trained.id), who)
            config = DatasetConfig.model_validate(self.world.datasets[side]["t"]).model_copy(update={"columns": half.source})
            sides[party] = half, read_table(config, name="t", party=party).table
        ids = sorted(set(sides[Party.GRID][1].ids) & set(sides[Party.BANK][1].ids))
        blocks = []
        for party, (half, table) in sides.items():
            places = pd.Index(list(table.ids)).get_indexer(pd.Index(ids))
            block = design(half.fitted, table.take(places), party)
            if without and party is Party.GRID:
                block[:, [column.source == without for column in half.fitted.fitted]] = 0.0  # its pieces
            blocks.append(block)
        halves = {party: half.weights for party, (half, _) in sides.items()}
        return pd.Series(opened(halves, "sine").scores(*blocks), index=ids)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("street")
    world, pki = synthetic(folder, (1500, 900, 1600)), Pki(folder / "office-pki")
    spoken = {name: {**world.columns["grid"][name], "reason": text} for name, text in TEXTS.items()}
    world = replace(world, columns={**world.columns, "grid": {**world.columns["grid"], **spoken}})
    for name in ("online", "loan-desk"):
        pki.issue(name)
    held = ExitStack()
    (port,) = free_ports(1, held)
    online = _online(pki, port)
    policy = {**BANK_POLICY, "coalition_rows": 0.0, "reasons_per_row": 1}
    settings: dict[str, Any] = {name: {"policy": policy} for name in world.names}
    settings |= {"grid": {"policy": {**LOOSE, "scores_per_row": 1000, "reasons_per_row": 1}}}
    settings["bank-2"] = {"policy": policy, "online": online}
    with held, Street(folder, world.datasets, settings) as found:
        found.port, found.pki, found.world = port, pki, world
        with found.client() as client:
            found.trained = run(client, world.plan(model=SECTION, limits=LIMITS))
            assert failure(found.trained) is None, failure(found.trained)
            for plan in (scores_like(found.trained, ROWS, "", BANK), PromotePlan(model=found.trained.id, with_bank=str(BANK))):
                done = run(client, plan)  # type: ignore[arg-type]
                assert failure(done) is None, failure(done)
        yield found


def _online(pki: Pki, port: int) -> dict[str, Any]:
    certificate, key, trust = (str(pki.folder / name) for name in ("online.pem", "online.key", "ca.pem"))
    served = {"clients": ["loan-desk"], "grid_dataset": "t", "bank_dataset": "t"}
    return {"listen": f"127.0.0.1:{port}", "certificate": certificate, "key": key, "trust": trust, **served}


def charged(folder: Path, model: str) -> int:
    """How many scorings on request by this model the grid's ledger has."""
    with closing(RowBook(folder / "grid-data" / Name.LEDGER, "", "")) as book:
        charges = book.standing("", "", 1000).charges
    return sum(charge.rows for charge in charges if charge.user.startswith(f"{model}#"))


def test_scores_on_request_are_those_of_both_halves_and_each_is_charged(street: Street) -> None:
    eventually(street.serving, 60.0)
    exact, before = street.exact("bank-2", str(BANK)), charged(street.folder, street.trained.id)
    ids = list(exact.index[:40])
    with closing(street.caller()) as caller:
        status, many = caller.score("first", ids=[*ids, "NOBODY"])
        assert status == 200 and many["cost"]["scores_charged"] == len(ids), many
        found = np.array([result["log_odds"] for result in many["results"][:-1]])
        assert np.abs(found - exact[ids].to_numpy()).max() < 1.5 * STEP + 0.02 and np.ptp(found) > 10 * STEP
        assert caller.score("first", ids=[*ids, "NOBODY"])[1] == many  # the same answer again, for no charge
        status, one = caller.score("second", id=ids[0])
        assert status == 200 and one["model"]["job"] == street.trained.id
        assert abs(one["results"][0]["log_odds"] - exact[ids[0]]) < 1.5 * STEP + 0.02
    assert charged(street.folder, street.trained.id) - before == len(ids) + 1


def test_the_grids_reasons_at_one_of_the_banks_are_those_of_the_network_of_all(street: Street) -> None:
    who = str(processes.more_bank("bank-3"))
    sides = {"grid": {"dataset": "t"}, "bank": {"dataset": "t"}}
    plan = ScorePlan.model_validate({**sides, "model": street.trained.id, "with_bank": who, "grid_reasons": 1})
    with street.client() as client:
        done = run(client, plan)  # type: ignore[arg-type]
    assert failure(done) is None, failure(done)
    assert "grid_reasons" in done.grid.report.opened and "grid_reasons" in done.bank.report.opened
    told = pd.read_csv(street.folder / "bank-3-data" / "scores" / f"{done.id}.csv").set_index("id")["reasons"].fillna("")
    whole = street.exact("bank-3", who)
    parts = {text: whole - street.exact("bank-3", who, name) for name, text in TEXTS.items()}
    assert len(told) == len(whole)
    for (name, text), other in zip(TEXTS.items(), reversed(list(TEXTS.values())), strict=True):
        heard = told.index[told.str.contains(text)]
        assert 50 < len(heard) < len(told), name
        assert (parts[text][heard] - parts[other][heard]).min() > -TIE and parts[text][heard].min() > -TIE, name
