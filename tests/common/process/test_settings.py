"""Configuration files of daemons and client: paths, identities, addresses, and a dealer that must be nobody's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, PolicyError
from common.party import Identity
from common.process.settings import (
    ClientSettings,
    CoordinatorSettings,
    PartySettings,
    Remote,
    check_party,
    check_separate,
    load_settings,
)

GRID, BANK = Identity("volt", "grid"), Identity("acme", "bank")
TLS = '[tls]\ncertificate = "bank.pem"\nkey = "secret/bank.key"\ntrust = "/etc/trust"\n'
PARTY = f"""
data = "var"
{TLS}
[coordinator]
identity = "wattscore://neutral/coordinator"
address = "neutral.example:7000"
[peer]
identity = "wattscore://volt/grid"
address = "grid.example:7001"
[datasets.loans]
path = "loans.csv"
id = "firm"
label = "overdue"
[datasets.loans.columns.income]
kind = "numeric"
"""
COORDINATOR = f"""
data = "jobs"
listen = "0.0.0.0:7000"
grid = "wattscore://volt/grid"
bank = "wattscore://acme/bank"
clients = ["wattscore://acme/analyst"]
{TLS}
"""
CLIENT = f"""
{TLS}
[coordinator]
identity = "wattscore://neutral/coordinator"
address = "neutral.example:7000"
"""
SAMPLES: dict[type[Any], str] = {PartySettings: PARTY, CoordinatorSettings: COORDINATOR, ClientSettings: CLIENT}


def read(model: type[Any], text: str, folder: Path) -> Any:
    file = folder / "settings.toml"
    file.write_text(text)
    return load_settings(model, file)


def message(model: type[Any], text: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read(model, text, folder)
    return str(caught.value)


def bank(**more: Any) -> PartySettings:
    raw: dict[str, Any] = {
        "tls": {"certificate": "a", "key": "b", "trust": "c"},
        "data": "d",
        "coordinator": {"identity": "wattscore://neutral/coordinator", "address": "n:1"},
        "peer": {"identity": "wattscore://volt/grid", "address": "g:2"},
    }
    return PartySettings.model_validate({**raw, **more})


def test_relative_paths_are_of_the_files_folder_and_absolute_ones_are_kept(tmp_path: Path) -> None:
    settings = read(PartySettings, PARTY, tmp_path)
    assert settings.data == tmp_path / "var"
    assert settings.tls.certificate == tmp_path / "bank.pem"
    assert settings.tls.key == tmp_path / "secret" / "bank.key"
    assert settings.tls.trust == Path("/etc/trust")
    assert settings.datasets["loans"].path == tmp_path / "loans.csv"
    assert settings.datasets["loans"].id == "firm"


def test_a_relative_name_of_the_file_itself_still_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bank.toml").write_text(PARTY)
    monkeypatch.chdir(tmp_path)
    assert load_settings(PartySettings, Path("bank.toml")).data == tmp_path / "var"


def test_a_dataset_named_like_a_path_is_not_one(tmp_path: Path) -> None:
    settings = read(PartySettings, PARTY.replace("datasets.loans", "datasets.data"), tmp_path)
    assert settings.datasets["data"].path == tmp_path / "loans.csv"


def test_a_column_named_like_a_path_stays_a_column(tmp_path: Path) -> None:
    settings = read(PartySettings, PARTY.replace("columns.income", "columns.key"), tmp_path)
    assert settings.datasets["loans"].columns.keys() == {"key"}


def test_the_defaults_of_the_coordinator_and_the_client(tmp_path: Path) -> None:
    coordinator = read(CoordinatorSettings, COORDINATOR, tmp_path)
    assert coordinator.data == tmp_path / "jobs"
    assert (coordinator.deal_ahead, coordinator.deal_ahead_mib, coordinator.reflection) == (8, 256, False)
    client = read(ClientSettings, CLIENT, tmp_path)
    assert client.coordinator.who == Identity("neutral", "coordinator")
    assert client.coordinator.address == "neutral.example:7000"


HOST_PORT = "peer.address: must be HOST:PORT"
WRONG: list[tuple[type[Any], str, str, str]] = [
    (PartySettings, "[peer]", "[pear]", "unknown key 'pear', did you mean 'peer'?"),
    (PartySettings, "label =", "lable =", "unknown key 'datasets.loans.lable', did you mean 'label'?"),
    (PartySettings, "data =", "log_level = 'LOUD'\ndata =", "log_level: "),
    (PartySettings, "wattscore://volt/grid", "https://volt/grid", "peer.identity: "),
    (PartySettings, "wattscore://volt/grid", "wattscore://Volt/grid", "peer.identity: "),
    (PartySettings, "grid.example:7001", "grid.example", HOST_PORT),
    (PartySettings, "grid.example:7001", ":7001", HOST_PORT),
    (PartySettings, "grid.example:7001", "grid.example:", HOST_PORT),
    (PartySettings, "grid.example:7001", "grid.example:65536", HOST_PORT),
    (PartySettings, "grid.example:7001", "grid.example:http", HOST_PORT),
    (PartySettings, "grid.example:7001", "grid.example:\\u00b2", "peer.address: "),
    (CoordinatorSettings, 'clients = ["wattscore://acme/analyst"]', "clients = []", "clients: "),
    (CoordinatorSettings, "acme/analyst", "acme", "clients.0: "),
    (CoordinatorSettings, "listen", "listens", "missing key 'listen'"),
    (CoordinatorSettings, "data =", "deal_ahead = 1\ndata =", "deal_ahead: "),
    (ClientSettings, 'key = "secret/bank.key"', "", "missing key 'tls.key'"),
]


@pytest.mark.parametrize(("model", "old", "new", "expected"), WRONG, ids=[new for _, _, new, _ in WRONG])
def test_a_wrong_file_is_refused_by_key(tmp_path: Path, model: type[Any], old: str, new: str, expected: str) -> None:
    assert old in SAMPLES[model]
    found = message(model, SAMPLES[model].replace(old, new), tmp_path)
    assert expected in found
    assert str(tmp_path / "settings.toml") in found


def test_the_samples_of_this_test_are_right_as_they_stand(tmp_path: Path) -> None:
    for model, text in SAMPLES.items():
        read(model, text, tmp_path)


def test_a_bank_dials_and_a_grid_listens() -> None:
    check_party(BANK, bank(), listens=False)
    check_party(GRID, bank(listen="0.0.0.0:1", peer={"identity": "wattscore://acme/bank"}), listens=True)


def test_what_a_party_of_each_role_must_say() -> None:
    with pytest.raises(ConfigError, match="missing key 'listen'"):
        check_party(GRID, bank(peer={"identity": "wattscore://acme/bank"}), listens=True)
    with pytest.raises(ConfigError, match=r"the grid has a section \[decision\].*only the bank decides"):
        check_party(GRID, bank(listen="a:1", peer={"identity": "wattscore://acme/bank"}, decision={}), listens=True)
    with pytest.raises(ConfigError, match=r"missing key 'peer\.address'"):
        check_party(BANK, bank(peer={"identity": "wattscore://volt/grid"}), listens=False)
    with pytest.raises(ConfigError, match=r"missing key 'coordinator\.address'"):
        check_party(BANK, bank(coordinator={"identity": "wattscore://neutral/coordinator"}), listens=False)


@pytest.mark.parametrize(("org", "whose"), [("acme", "this party"), ("volt", "the other party")])
def test_a_coordinator_of_either_partys_organisation_is_refused(org: str, whose: str) -> None:
    settings = bank(coordinator={"identity": f"wattscore://{org}/coordinator", "address": "n:1"})
    for check in (lambda: check_separate(BANK, settings), lambda: check_party(BANK, settings, listens=False)):
        with pytest.raises(PolicyError, match=f"wattscore://{org}/coordinator belongs to {whose}"):
            check()


def test_an_organisation_whose_name_only_begins_alike_is_another() -> None:
    check_separate(BANK, bank(coordinator={"identity": "wattscore://acme-neutral/coordinator"}))


def test_an_address_is_optional_and_an_identity_is_not() -> None:
    assert Remote(identity="wattscore://volt/grid").address is None
    with pytest.raises(ValueError, match="identity"):
        Remote.model_validate({"address": "a:1"})


def test_a_matcher_is_named_beside_the_file_and_is_none_by_default(tmp_path: Path) -> None:
    assert read(PartySettings, PARTY, tmp_path).matcher.python is None
    named = read(PartySettings, PARTY + '[matcher]\npython = "env/bin/python"\n', tmp_path)
    assert (named.matcher.python, named.matcher.timeout) == (tmp_path / "env/bin/python", 300.0)
