"""`bank-party serve`: what it refuses to start with, from file to message."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bank_party.__main__ import main
from common.party import Identity
from common.trust.authority import issue, make_ca

BANK = Identity("acme", "bank-party")


def config(folder: Path, coordinator: str = "neutral", peer: str = "127.0.0.1:2", address: str = "127.0.0.1:1") -> Path:
    make_ca(BANK.org, folder)
    issue(folder, BANK, folder)
    (folder / "trust").mkdir()
    file = folder / "bank.toml"
    file.write_text(
        f"""
data = "data"
[tls]
certificate = "bank-party.pem"
key = "bank-party.key"
trust = "trust"
[coordinator]
identity = "wattscore://{coordinator}/coordinator"
{f'address = "{address}"' if address else ""}
[peer]
identity = "wattscore://volt/grid-party"
{f'address = "{peer}"' if peer else ""}
"""
    )
    return file


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon would send this process's log to a stream that ends with the test."""
    monkeypatch.setattr("common.daemon.daemon.set_logging", lambda *args: None)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"coordinator": "acme"}, "the coordinator wattscore://acme/coordinator belongs to this party"),
        ({"coordinator": "volt"}, "the coordinator wattscore://volt/coordinator belongs to the other party"),
        ({"peer": ""}, "missing key 'peer.address'"),
        ({"address": ""}, "missing key 'coordinator.address'"),
        ({}, "organisation 'neutral' is unknown"),
    ],
)
def test_a_setting_it_cannot_work_with(tmp_path: Path, changes: dict[str, str], says: str) -> None:
    ended = CliRunner().invoke(main, ["serve", "--config", str(config(tmp_path, **changes))])
    assert ended.exit_code == 2
    assert ended.stderr.startswith("bank-party: ") and says in ended.stderr


def test_labels_of_a_dataset_that_is_not_there_are_refused_with_its_nearest_name(tmp_path: Path) -> None:
    file = config(tmp_path)
    text = file.read_text() + '[datasets.loans]\npath = "loans.csv"\nid = "id"\n[monitor]\nlabels = ["lones"]\n'
    file.write_text(text)
    ended = CliRunner().invoke(main, ["monitor", "--config", str(file)])
    assert ended.exit_code == 2 and "monitor.labels: no dataset 'lones', did you mean 'loans'?" in ended.stderr
    file.write_text(text.replace("lones", "loans"))
    ended = CliRunner().invoke(main, ["monitor", "--config", str(file)])
    assert ended.exit_code == 0 and "0 months scored, 0 with known outcomes" in ended.stdout


@pytest.mark.parametrize(
    "words", [["--by-period"], ["--months", "newest"], ["--grid-reasons", "1"], ["--requests", "-"], ["--purpose", "x"]]
)
def test_an_option_of_scoring_with_the_grid_is_refused_without_its_dataset(words: list[str]) -> None:
    asked = CliRunner().invoke(main, ["score", "--model", "champion", "--bank-dataset", "t", "--config", "bank.toml", *words])
    assert asked.exit_code != 0 and "without --grid-dataset only" in asked.output + str(asked.exception)


def test_an_export_of_the_champion_needs_one(tmp_path: Path) -> None:
    out = tmp_path / "scorecard"
    ended = CliRunner().invoke(main, ["export", "champion", "--config", str(config(tmp_path)), "--out", str(out)])
    assert ended.exit_code == 2 and "there is no champion here" in ended.stderr and not out.exists()
