"""Clusters on which no part is written: real ones, each wrong in one way."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.ray.nodes import PORT, Node, nodes, until


def refusal(node: Node, records: Path, tmp_path: Path, ray: str = "ray.toml") -> str:
    """What the command says of it; nothing is written."""
    out = tmp_path / "out.parquet"
    done: subprocess.CompletedProcess[str] = node.type_("wattscore", "features", str(records), "--out", str(out), "--ray", ray)
    assert done.returncode == 2 and not out.exists(), done.stdout
    assert list((node.site.folder / "scratch").iterdir()) == []
    return " ".join(done.stdout.split())


@pytest.fixture
def alone() -> Iterator[Node]:
    with nodes(1) as found:
        yield found[0]


def test_a_cluster_without_a_token(alone: Node, records: Path, tmp_path: Path) -> None:
    alone.start(None, RAY_AUTH_MODE="disabled", RAY_AUTH_TOKEN_PATH="")
    assert "takes drivers without a token" in refusal(alone, records, tmp_path)


def test_a_cluster_without_tls(alone: Node, records: Path, tmp_path: Path) -> None:
    alone.start(None, RAY_USE_TLS="0")
    assert f"ray {alone.address}:{PORT}: no TLS" in refusal(alone, records, tmp_path)


def test_a_folder_of_ray_that_others_can_enter(alone: Node, records: Path, tmp_path: Path) -> None:
    """Its site's folder is closed, and Ray opens the one it is given."""
    alone.site.folder.chmod(0o755)
    alone.folder.mkdir(mode=0o755)
    alone.start(None)
    assert "other users can enter Ray's folder" in refusal(alone, records, tmp_path)
    assert (alone.folder / "ray").stat().st_mode & 0o777 == 0o777
    alone.folder.chmod(0o700)
    assert (
        alone.type_("wattscore", "features", str(records), "--out", str(tmp_path / "out"), "--ray", "ray.toml").returncode == 0
    )


def test_another_token_and_another_driver(pair: list[Node], records: Path, tmp_path: Path) -> None:
    head, other = pair
    wrong = head.site.folder / "ray" / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("5e0b" * 16)
    config = head.site.folder / "wrong.toml"
    config.write_text(head.site.config.read_text().replace("ray/token", "ray/wrong"))
    assert "the cluster refuses the token" in refusal(head, records, tmp_path, "wrong.toml")
    ready = tmp_path / "ready"
    thread = threading.Thread(target=lambda: other.try_("stay", other.address, other.site.config, ready))
    thread.start()
    try:
        until(ready.exists)
        assert f"another driver works on the cluster: process {next(iter(other.processes('acts stay')))}" in refusal(
            head, records, tmp_path
        )
    finally:
        other.kill("acts stay")
        thread.join()
