from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ConfigError
from common.scale.settings import load_cluster
from tests.common.scale.sites import site


def test_paths_start_from_its_folder_and_nothing_of_the_environment_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another")
    cluster = load_cluster(site(tmp_path))
    assert cluster.token == tmp_path / "ray" / "token"
    assert cluster.environment["RAY_AUTH_MODE"] == "token" and cluster.environment["RAY_USE_TLS"] == "1"
    assert "RAY_AUTH_TOKEN" not in cluster.environment


@pytest.mark.parametrize("name", ["token", "node.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_secret_that_others_can_read_is_refused(name: str, mode: int, tmp_path: Path) -> None:
    config = site(tmp_path)
    (tmp_path / "ray" / name).chmod(mode)
    with pytest.raises(ConfigError, match=f"can be read by others .mode {mode:04o}") as caught:
        load_cluster(config)
    assert "7d1a" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o710, 0o701, 0o750, 0o777])
def test_a_scratch_folder_that_others_can_enter_is_refused(mode: int, tmp_path: Path) -> None:
    config = site(tmp_path)
    (tmp_path / "scratch").chmod(mode)
    with pytest.raises(ConfigError, match=f"scratch: other users can enter .* .mode {mode:04o}"):
        load_cluster(config)


@pytest.mark.parametrize("name", ["token", "node.pem", "node.key", "ca.pem"])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    config = site(tmp_path)
    (tmp_path / "ray" / name).unlink()
    with pytest.raises(ConfigError, match=f"{name} cannot be read"):
        load_cluster(config)


def test_a_folder_that_is_none_and_a_token_that_is_empty_are_refused(tmp_path: Path) -> None:
    config = site(tmp_path)
    (tmp_path / "ray" / "token").write_text("\n")
    with pytest.raises(ConfigError, match="token is empty"):
        load_cluster(config)
    (tmp_path / "scratch").rmdir()
    with pytest.raises(ConfigError, match="mkdir -m 0700"):
        load_cluster(config)
    (tmp_path / "scratch").write_text("")
    with pytest.raises(ConfigError, match="is no folder"):
        load_cluster(config)


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    config = site(tmp_path)
    config.write_text(config.read_text().replace("token =", "tokens ="))
    with pytest.raises(ConfigError, match="did you mean 'token'"):
        load_cluster(config)
