"""`budget` and `allow` at both parties, without any daemon: what is shown, that no row is, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import bank_party.__main__
import grid_party.__main__
from bank_party.told import ToldBook
from common.cli import main
from common.disk.data_folder import Name
from common.home.rates import Rates
from common.party import Party
from common.rows.table import FeatureTable, Ids
from common.trial import own
from grid_party.ledger import Ledger
from grid_party.settings import GridPolicy
from tests.common.daemon.test_commands import PARTY

CLIENT = "wattscore://acme/analyst"
MAINS = {"grid": grid_party.__main__.main, "bank": bank_party.__main__.main}


class Place:
    """A party's folder."""

    def __init__(self, folder: Path, party: str) -> None:
        self.party, self.config, self.data = party, folder / f"{party}.toml", folder / "var"
        peer = 'address = "grid.example:7001"\n' if party == "bank" else ""
        text = PARTY.replace('listen = "127.0.0.1:0"\n', "") if party == "bank" else PARTY
        self.config.write_text(text + peer)

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(MAINS[self.party], [*words, "--config", str(self.config)])

    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("budget", "--json").stdout)
        return found

    @property
    def rates(self) -> Rates:
        return Rates(self.data / Name.RATES, f"{self.party}-party")


@pytest.fixture(params=["grid", "bank"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, request.param)


def rows(low: int, high: int) -> FeatureTable:
    return FeatureTable(Ids.of([f"ACME{k:04d}" for k in range(low, high)]), None, {}, {})


def test_where_no_daemon_has_run_nothing_is_made(place: Place) -> None:
    for words in (("budget",), ("allow", CLIENT, "--jobs", "1")):
        ended = place.run(*words)
        assert ended.exit_code == 2 and f"Start `{place.party}-party serve`" in ended.stderr
    assert not place.data.exists()


def test_of_nothing_spent(place: Place) -> None:
    place.data.mkdir()
    said = place.run("budget").output
    assert "nothing is spent" in said and "no client has had anything" in said
    assert place.shown()["clients"] == [] and place.shown()["budgets"][0]["left"] == place.shown()["budgets"][0]["limit"]


def test_the_grids_scores(tmp_path: Path) -> None:
    place = Place(tmp_path, "grid")
    ledger = Ledger(place.data / Name.LEDGER)
    ledger.charge(rows(0, 500), "train-1", 8)
    ledger.charge(rows(400, 600), "train-2", 8)
    said = place.run("budget").output
    assert "models that scored a row: at most 8 (scores_per_row)" in said
    assert "600 rows charged, 0 of them fully; 1.167 of a row on average" in said
    assert "2 of the row of which most is spent, so 6 left of it" in said and "over 200 rows" in said
    (budget,) = place.shown()["budgets"]
    assert (budget["rows"], budget["most"], budget["left"], budget["full"]) == (600, 2.0, 6.0, 0)
    assert [charge["user"] for charge in budget["charges"]] == ["train-1", "train-2"]
    assert "ACME" not in said + json.dumps(place.shown())


def test_the_banks_labels(tmp_path: Path) -> None:
    place = Place(tmp_path, "bank")
    ToldBook(place.data / Name.TOLD).charge(rows(0, 1000), "train-1", "warnings", 2.0, 0.1)
    said = place.run("budget").output
    assert "bits told of a row's label: at most 0.1 (label_bits)" in said and "0.002 of the row" in said
    assert "train-1  warnings: 2 over 1,000 rows" in said and "ACME" not in said


def test_a_clients_usage_and_a_word_for_it(place: Place) -> None:
    place.data.mkdir()
    policy = GridPolicy()
    for job in ("train-1", "train-2"):
        place.rates.begin(CLIENT, job, policy)
        place.rates.charge(CLIENT, rows(0, 300), job, policy)
    allowed = place.run("allow", CLIENT, "--jobs", "5", "--rows", "1000", "--hours", "2", "--note", "end of quarter")
    told = json.loads(place.run("audit", "show").stdout.splitlines()[-1])
    assert (told["what"], told["client"], told["note"]) == ("override", CLIENT, "end of quarter")
    assert allowed.exit_code == 0 and f"allowed {CLIENT} 5 jobs, 1,000 rows more on 20" in allowed.output
    said = place.run("budget").output
    assert "2 of 25 jobs" in said and "600 of 201,000 scored rows" in said and "2 of 3 models for the row scored most" in said
    assert allowed.output.strip() in said
    found = place.shown()
    assert found["rates"]["jobs_per_day"] == 20 and found["clients"][0]["client"] == CLIENT
    assert [word["jobs"] for word in found["words"]] == [5]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((CLIENT,), "nothing is allowed"),
        (("analyst", "--jobs", "1"), "'analyst' is not an identity"),
        ((CLIENT, "--jobs", "-1"), "-1 is not in the range"),
        ((CLIENT, "--jobs", "1", "--hours", "9999"), "9999"),
    ],
)
def test_words_that_are_none(place: Place, words: tuple[str, ...], says: str) -> None:
    place.data.mkdir()
    ended = place.run("allow", *words)
    assert ended.exit_code == 2 and says in ended.stderr
    assert place.rates.words() == []


def test_looking_leaves_a_stock_alone_that_is_being_written(place: Place) -> None:
    part = place.data / Name.STOCK / "predeal-1.part"
    part.parent.mkdir(parents=True)
    part.touch()
    assert place.run("budget").exit_code == 0 and part.exists()


def test_wattscore_knows_whose_configuration_it_is(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grid's command runs as a process of its own, as users have it; the bank's here, once it is known to be the bank's."""
    place.data.mkdir()
    if place.party == "bank":

        def run_own(party: Party, *words: object) -> str:
            assert party is Party.BANK
            return CliRunner().invoke(MAINS["bank"], [*map(str, words)]).stdout

        monkeypatch.setattr(own, "run_own", run_own)
    place.rates.begin(CLIENT, "train-1", GridPolicy())
    said = CliRunner().invoke(main, ["budget", "--config", str(place.config), "--json"])
    assert said.exit_code == 0 and said.output == place.run("budget", "--json").output
    other = tmp_path / "client.toml"
    other.write_text("")
    ended = CliRunner().invoke(main, ["budget", "--config", str(other)])
    assert ended.exit_code == 2 and "not a party's configuration" in ended.stderr
