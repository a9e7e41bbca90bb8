"""Configuration files of daemons and client: paths, identities, addresses, and a dealer that must be nobody's own."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from bank_party.settings import BankSettings
from common.daemon.settings import check_separate
from common.errors import ConfigError, PolicyError
from common.party import Identity
from common.process.settings import PATHS, ClientSettings, CoordinatorSettings, Remote, load_settings
from grid_party.settings import GridSettings

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
SAMPLES: dict[type[Any], str] = {BankSettings: PARTY, CoordinatorSettings: COORDINATOR, ClientSettings: CLIENT}


def read(model: type[Any], text: str, folder: Path) -> Any:
    file = folder / "settings.toml"
    file.write_text(text)
    return load_settings(model, file)


def message(model: type[Any], text: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read(model, text, folder)
    return str(caught.value)


def bank(**more: Any) -> BankSettings:
    raw: dict[str, Any] = {
        "tls": {"certificate": "a", "key": "b", "trust": "c"},
        "data": "d",
        "coordinator": {"identity": "wattscore://neutral/coordinator", "address": "n:1"},
        "peer": {"identity": "wattscore://volt/grid", "address": "g:2"},
    }
    return BankSettings.model_validate({**raw, **more})


def test_relative_paths_are_of_the_files_folder_and_absolute_ones_are_kept(tmp_path: Path) -> None:
    settings = read(BankSettings, PARTY, tmp_path)
    assert settings.data == tmp_path / "var"
    assert settings.tls.certificate == tmp_path / "bank.pem"
    assert settings.tls.key == tmp_path / "secret" / "bank.key"
    assert settings.tls.trust == Path("/etc/trust")
    assert settings.datasets["loans"].path == tmp_path / "loans.csv"
    assert settings.datasets["loans"].id == "firm"


def paths_of(model: type[BaseModel]) -> set[str]:
    """The keys of a configuration whose values are paths, or lists of them."""

    def found(kind: Any, key: str) -> set[str]:
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            return paths_of(kind)
        if kind is Path:
            return {key}
        return set().union(*(found(one, key) for one in get_args(kind)))

    return set().union(*(found(field.annotation, name) for name, field in model.model_fields.items()))


def test_every_path_of_a_configuration_is_of_the_files_folder(tmp_path: Path) -> None:
    for model in (BankSettings, GridSettings, CoordinatorSettings, ClientSettings):
        assert paths_of(model) <= PATHS, model
    more = '[grants.loans]\npath = "a.grant"\nothers = ["b.grant", "/c.grant"]\n'
    tracing = '[tracing]\nendpoint = "https://collector.example/v1/traces"\ntoken = "collector.token"\n'
    found = read(BankSettings, f"{PARTY}{more}{tracing}", tmp_path)
    assert found.grants["loans"].paths == (tmp_path / "a.grant", tmp_path / "b.grant", Path("/c.grant"))
    assert found.tracing.token == tmp_path / "collector.token"


def test_a_relative_name_of_the_file_itself_still_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bank.toml").write_text(PARTY)
    monkeypatch.chdir(tmp_path)
    assert load_settings(BankSettings, Path("bank.toml")).data == tmp_path / "var"


def test_a_dataset_named_like_a_path_is_not_one(tmp_path: Path) -> None:
    settings = read(BankSettings, PARTY.replace("datasets.loans", "datasets.data"), tmp_path)
    assert settings.datasets["data"].path == tmp_path / "loans.csv"


def test_a_column_named_like_a_path_stays_a_column(tmp_path: Path) -> None:
    settings = read(BankSettings, PARTY.replace("columns.income", "columns.key"), tmp_path)
    assert settings.datasets["loans"].columns.keys() == {"key"}


def test_the_defaults_of_the_coordinator_and_the_client(tmp_path: Path) -> None:
    coordinator = read(CoordinatorSettings, COORDINATOR, tmp_path)
    assert coordinator.data == tmp_path / "jobs"
    assert (coordinator.deal_ahead, coordinator.deal_ahead_mib, coordinator.reflection) == (64, 64, False)
    client = read(ClientSettings, CLIENT, tmp_path)
    assert client.coordinator.who == Identity("neutral", "coordinator")
    assert client.coordinator.address == "neutral.example:7000"


HOST_PORT = "peer.address: must be HOST:PORT"
WRONG: list[tuple[type[Any], str, str, str]] = [
    (BankSettings, "[peer]", "[pear]", "unknown key 'pear', did you mean 'peer'?"),
    (BankSettings, "label =", "lable =", "unknown key 'datasets.loans.lable', did you mean 'label'?"),
    (BankSettings, "data =", "log_level = 'LOUD'\ndata =", "log_level: "),
    (BankSettings, "wattscore://volt/grid", "https://volt/grid", "peer.identity: "),
    (BankSettings, "wattscore://volt/grid", "wattscore://Volt/grid", "peer.identity: "),
    (BankSettings, "grid.example:7001", "grid.example", HOST_PORT),
    (BankSettings, "grid.example:7001", ":7001", HOST_PORT),
    (BankSettings, "grid.example:7001", "grid.example:", HOST_PORT),
    (BankSettings, "grid.example:7001", "grid.example:65536", HOST_PORT),
    (BankSettings, "grid.example:7001", "grid.example:http", HOST_PORT),
    (BankSettings, "grid.example:7001", "grid.example:\\u00b2", "peer.address: "),
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


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (BankSettings, ClientSettings, "the configuration of a client, not of a party. Give that of a party by --config."),
        (ClientSettings, BankSettings, "the configuration of a party, not of a client. Give that of a client by --config."),
        (ClientSettings, CoordinatorSettings, "the configuration of a coordinator, not of a client."),
    ],
)
def test_the_configuration_of_another_process_is_called_so(
    tmp_path: Path, model: type[Any], given: type[Any], said: str
) -> None:
    assert said in message(model, SAMPLES[given], tmp_path)


def test_the_samples_of_this_test_are_right_as_they_stand(tmp_path: Path) -> None:
    for model, text in SAMPLES.items():
        read(model, text, tmp_path)


GRIDS = f"""
listen = "0.0.0.0:7001"
data = "var"
{TLS}
[coordinator]
identity = "wattscore://neutral/coordinator"
address = "neutral.example:7000"
[peer]
identity = "wattscore://acme/bank"
[datasets.meters]
path = "meters.csv"
id = "firm"
"""


def test_each_party_reads_its_own_file(tmp_path: Path) -> None:
    assert read(GridSettings, GRIDS, tmp_path).peer.who == BANK
    assert read(BankSettings, PARTY, tmp_path).peer.address == "grid.example:7001"


@pytest.mark.parametrize(
    ("model", "old", "new", "says"),
    [
        (GridSettings, "listen", "# listen", "missing key 'listen'"),
        (GridSettings, "[peer]", "[decision]\n[peer]", "unknown key 'decision': only the bank decides"),
        (GridSettings, "[peer]", "[policy]\nlabel_bits = 1\n[peer]", "unknown key 'policy.label_bits': it limits"),
        (GridSettings, "[peer]", "[monitor]\nauc_fall = 0.1\n[peer]", "unknown key 'monitor.auc_fall': only the bank"),
        (BankSettings, "[peer]", "[policy]\nscores_per_row = 9\n[peer]", "unknown key 'policy.scores_per_row': it protects"),
        (BankSettings, "[peer]", "[policy]\nmin_columns = 1\n[peer]", "unknown key 'policy.min_columns': it protects"),
        (GridSettings, "[peer]", '[peer]\naddress = "b:1"', "unknown key 'peer.address': the bank dials"),
        (GridSettings, 'id = "firm"', 'id = "firm"\nlabel = "y"', "datasets.meters.label: the grid has no label"),
        (BankSettings, 'address = "grid.example:7001"', "", "missing key 'peer.address'"),
        (BankSettings, 'address = "neutral.example:7000"', "", "missing key 'coordinator.address'"),
    ],
)
def test_what_only_the_other_party_has_and_what_its_own_lacks(
    tmp_path: Path, model: type[Any], old: str, new: str, says: str
) -> None:
    whole = GRIDS if model is GridSettings else PARTY
    assert old in whole
    assert says in message(model, whole.replace(old, new), tmp_path)


@pytest.mark.parametrize(("org", "whose"), [("acme", "this party"), ("volt", "the other party")])
def test_a_coordinator_of_either_partys_organisation_is_refused(org: str, whose: str) -> None:
    settings = bank(coordinator={"identity": f"wattscore://{org}/coordinator", "address": "n:1"})
    with pytest.raises(PolicyError, match=f"wattscore://{org}/coordinator belongs to {whose}"):
        check_separate(BANK, settings)


def test_an_organisation_whose_name_only_begins_alike_is_another() -> None:
    check_separate(BANK, bank(coordinator={"identity": "wattscore://acme-neutral/coordinator", "address": "n:1"}))


def test_whom_one_dials_has_an_identity_and_an_address() -> None:
    for lacking in ({"identity": "wattscore://volt/grid"}, {"address": "a:1"}):
        with pytest.raises(ValueError, match="Field required"):
            Remote.model_validate(lacking)
