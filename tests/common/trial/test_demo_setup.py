"""The volumes of the demo in containers: valid configurations, one key each, made once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from bank_party.settings import BankSettings
from common.cli import main
from common.daemon.settings import PartySettings, check_separate
from common.daemon.several import check_banks
from common.home.unfinished import Points
from common.party import Party
from common.plan.read import load_plan
from common.plan.several import SeveralPlan
from common.process.settings import ClientSettings, CoordinatorSettings, load_settings
from common.stages.offer import check_offer
from common.trial.demo import HISTORY, LATER, NEW, promotion, scoring_plan, training_plan, watching_plan
from common.trial.demo_banks import SHARE, SHARE_NEW, enterprises_of_each
from common.trial.demo_setup import BANKS, MORE_BANKS, WHO
from common.trust.authority import TrustStore
from common.wire.tls import Credentials
from grid_party.settings import GridSettings

PARTIES: dict[str, type[PartySettings]] = {"grid": GridSettings, **dict.fromkeys(BANKS, BankSettings)}
ROWS = {"history.parquet", "new.parquet", "later.parquet", "quality.html"}
SHARES = {"share.parquet", "share-new.parquet"}
FILES: dict[str, set[str]] = {
    "grid": {"grid_monthly.csv", "grid_later.csv", *ROWS},
    "bank": {"bank_monthly.csv", "bank_later.csv", *ROWS, *SHARES},
    **dict.fromkeys(MORE_BANKS, SHARES),
}


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
    assert data == FILES.get(name, set())


def test_the_configurations_fit_each_other(volumes: Path) -> None:
    grid, bank, *more = (settings_of(volumes, name) for name in PARTIES)
    neutral = load_settings(CoordinatorSettings, volumes / "coordinator" / "coordinator.toml")
    client = load_settings(ClientSettings, volumes / "client" / "client.toml")
    named = {"grid": grid, "bank": bank, "coordinator": neutral, "client": client, **dict(zip(MORE_BANKS, more, strict=True))}
    for name, tls in ((name, settings.tls) for name, settings in named.items()):
        assert Credentials.load(tls).identity == WHO[name]
        assert TrustStore(tls.trust).orgs == tuple(sorted({who.org for who in WHO.values()}))
    check_separate(WHO["grid"], grid)
    check_separate(WHO["bank"], bank)
    assert str(bank.listen).startswith("127.0.0.1:")  # nobody reaches the bank
    assert (neutral.grid, neutral.bank, neutral.clients) == (str(WHO["grid"]), str(WHO["bank"]), (str(WHO["client"]),))
    assert load_plan(volumes / "client" / "plan.toml") == training_plan()
    assert {HISTORY, NEW, LATER} == grid.datasets.keys() == bank.datasets.keys() - {SHARE, SHARE_NEW}
    assert all({SHARE, SHARE_NEW} == one.datasets.keys() for one in more)
    assert all(d.path.exists() for settings in (grid, bank, *more) for d in settings.datasets.values())


def settings_of(volumes: Path, name: str) -> PartySettings:
    return load_settings(PARTIES[name], volumes / name / ("grid.toml" if name == "grid" else "bank.toml"))


def test_three_banks_may_train_together_and_their_columns_are_the_same_numbers(volumes: Path) -> None:
    plan = load_plan(volumes / "client" / "plan-banks.toml")
    assert isinstance(plan, SeveralPlan) and plan.identities == tuple(BANKS.values())
    found = {name: settings_of(volumes, name) for name in PARTIES}
    for name, who in BANKS.items():
        assert found["grid"].others == tuple(BANKS.values())
        check_banks(plan, found[name], who, Points(volumes))
        check_offer(plan.line(plan.identities.index(who)), Party.BANK, found[name].datasets, found[name].policy)
    check_banks(plan, found["grid"], WHO["grid"], Points(volumes))
    shares = {name: {n: found[name].datasets[n] for n in (SHARE, SHARE_NEW)} for name in BANKS}
    names = {tuple(sorted(dataset.columns)) for each in shares.values() for dataset in each.values()}
    assert len(names) == 1 and {c.kind for d in shares["bank-2"].values() for c in d.columns.values()} == {"numeric"}
    every = [pd.read_parquet(each[SHARE].path) for each in shares.values()]
    rates = [table["overdue_next_month"].mean() for table in every]
    assert rates[0] < rates[1] < rates[2]
    ids = [set(table["enterprise_id"]) for table in every]
    whole = set(pd.read_parquet(volumes / "bank" / "history.parquet")["enterprise_id"])
    assert set.union(*ids) == whole and len(whole) <= sum(map(len, ids)) < 1.2 * len(whole)


def test_both_policies_allow_what_the_demo_asks(volumes: Path) -> None:
    for name in ("grid", "bank"):
        policy = settings_of(volumes, name).policy
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


def test_an_enterprise_in_twenty_is_at_two_banks() -> None:
    ids = [f"E{i}" for i in range(3000)]
    history = pd.DataFrame({"enterprise_id": ids * 2, "overdue_next_month": [float(i % 7 == 0) for i in range(6000)]})
    one, two, three = (set(each) for each in enterprises_of_each(history, 7))
    assert one | two | three == set(ids) and not one & two & three
    twice = len(one & two) + len(two & three) + len(three & one)
    assert 100 < twice < 200
