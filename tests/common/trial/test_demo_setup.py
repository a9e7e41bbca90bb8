"""The volumes of the demo in containers: valid configurations, one key each, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bank_party.settings import BankSettings
from common.cli import main
from common.daemon.settings import PartySettings, check_separate
from common.plan.read import load_plan
from common.process.settings import ClientSettings, CoordinatorSettings, load_settings
from common.trial.demo import HISTORY, LATER, NEW, promotion, scoring_plan, training_plan, watching_plan
from common.trial.demo_setup import WHO
from common.trust.authority import TrustStore
from common.wire.tls import Credentials
from grid_party.settings import GridSettings

PARTIES: dict[str, type[PartySettings]] = {"grid": GridSettings, "bank": BankSettings}


def setup(folder: Path) -> Result:
    return CliRunner().invoke(main, ["setup-demo", str(folder), "--enterprises", "50"])


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    for name in WHO:
        (folder / name).mkdir()
    ended = setup(folder)
    assert ended.exit_code == 0, ended.output
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", WHO)
def test_a_volume_holds_its_owners_key_and_no_other(volumes: Path, name: str) -> None:
    files = contents(volumes / name)
    assert [file for file, data in files.items() if b"PRIVATE KEY" in data] == [f"certs/{WHO[name].role}.key"]
    data = {file for file in files if file.endswith((".csv", ".parquet", ".html"))}
    assert data == (
        {f"{name}_{part}.csv" for part in ("monthly", "later")}
        | {"history.parquet", "new.parquet", "later.parquet", "quality.html"}
        if name in ("grid", "bank")
        else set()
    )


def test_the_configurations_fit_each_other(volumes: Path) -> None:
    grid, bank = (load_settings(model, volumes / name / f"{name}.toml") for name, model in PARTIES.items())
    neutral = load_settings(CoordinatorSettings, volumes / "coordinator" / "coordinator.toml")
    client = load_settings(ClientSettings, volumes / "client" / "client.toml")
    for name, tls in (("grid", grid.tls), ("bank", bank.tls), ("coordinator", neutral.tls), ("client", client.tls)):
        assert Credentials.load(tls).identity == WHO[name]
        assert TrustStore(tls.trust).orgs == tuple(sorted({who.org for who in WHO.values()}))
    check_separate(WHO["grid"], grid)
    check_separate(WHO["bank"], bank)
    assert str(bank.listen).startswith("127.0.0.1:")  # nobody reaches the bank
    assert (neutral.grid, neutral.bank, neutral.clients) == (str(WHO["grid"]), str(WHO["bank"]), (str(WHO["client"]),))
    assert load_plan(volumes / "client" / "plan.toml") == training_plan()
    assert {HISTORY, NEW, LATER} == grid.datasets.keys() == bank.datasets.keys()
    assert all(d.path.exists() for settings in (grid, bank) for d in settings.datasets.values())


def test_both_policies_allow_what_the_demo_asks(volumes: Path) -> None:
    for name, model in PARTIES.items():
        policy = load_settings(model, volumes / name / f"{name}.toml").policy
        for plan in (training_plan(), promotion("train-1"), scoring_plan(), watching_plan()):
            policy.check(plan)


def test_it_is_done_once(volumes: Path) -> None:
    before = contents(volumes)
    assert "is set up already" in setup(volumes).output
    assert contents(volumes) == before


def test_some_volumes_without_the_others_are_refused(volumes: Path, tmp_path: Path) -> None:
    for name in WHO:
        (tmp_path / name).mkdir()
    (tmp_path / "bank" / "bank.toml").write_text("")
    ended = setup(tmp_path)
    assert ended.exit_code == 2 and "only bank is set up. Remove all the volumes" in ended.stderr
    assert list(contents(tmp_path)) == ["bank/bank.toml"]
