"""Environment variables in configuration: of paths only, and never what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.disk.expand import expand
from common.errors import ConfigError
from common.process.settings import PATHS, ClientSettings, load_settings

KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n"
TEXT = """
tls = { certificate = "${CERTS}/client.pem", key = "${KEY}", trust = "certs/${ORG}/trust" }
coordinator = { identity = "wattscore://neutral/coordinator", address = "n:1" }
"""


def load(folder: Path, text: str = TEXT) -> ClientSettings:
    file = folder / "client.toml"
    file.write_text(text)
    return load_settings(ClientSettings, file)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {"CERTS": "/run/certs", "KEY": "/run/secrets/key", "ORG": "acme"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_paths_take_variables_and_relative_ones_stay_of_the_files_folder(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    tls = load(tmp_path).tls
    assert (tls.certificate, tls.key) == (Path("/run/certs/client.pem"), Path("/run/secrets/key"))
    assert tls.trust == tmp_path / "certs" / "acme" / "trust"


@pytest.mark.parametrize("value", [KEY, "MIGHAgEAMBMGByqGSM49AgEG", "", "/run/x\n/y", f"/{KEY}"])
def test_a_secret_in_a_variable_is_refused_and_not_shown(tmp_path: Path, environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("KEY", value)
    with pytest.raises(ConfigError, match="key: the environment variable KEY does not hold an absolute path") as caught:
        load(tmp_path)
    assert "MIGH" not in f"{caught.value} {caught.value.public} {caught.value!r}"


def test_a_variable_that_is_not_set(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("ORG")
    with pytest.raises(ConfigError, match="trust: the environment variable ORG is not set"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"), [("n:1", "${HOST}:1"), ("wattscore://neutral/coordinator", "${WHO}")], ids=["address", "identity"]
)
def test_other_values_take_none(tmp_path: Path, environment: pytest.MonkeyPatch, old: str, new: str) -> None:
    with pytest.raises(ConfigError, match="stands in a value that is no path"):
        load(tmp_path, TEXT.replace(old, new))


def test_lists_take_them_where_they_are_of_paths_and_what_is_no_variable_stays() -> None:
    def seen(raw: Any) -> Any:
        return expand(raw, PATHS, "file", {"A": "/a"})

    with pytest.raises(ConfigError):
        seen({"clients": ["${A}"]})
    with pytest.raises(ConfigError):
        seen({"path": {"names": ["${A}"]}})
    assert seen({"others": ["${A}/b", "c"]}) == {"others": ["/a/b", "c"]}
    raw = {"path": "$A/{A}/${1}", "n": 1, "b": True, "list": [1, {"x": "y"}]}
    assert seen(raw) == raw
