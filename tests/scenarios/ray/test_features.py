"""Features by two Ray nodes: equal to the last byte, also where workers and nodes are lost."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.ray.nodes import Node, nodes, until
from tests.scenarios.ray.standing import WORKERS, stopped


def same(found: dict[str, Any], whole: dict[str, Any]) -> bool:
    return (found["file"], found["report"]) == (whole["file"], whole["report"])


@pytest.mark.parametrize("parts", [1, 8, 64])
def test_file_and_report_are_the_same_by_two_nodes(parts: int, pair: list[Node], records: Path, whole: dict[str, Any]) -> None:
    found = json.loads(pair[0].act("features", records, parts, pair[0].site.config))
    assert same(found, whole)
    assert found["parts"] >= parts and found["lost"] == 0
    assert found["nodes"] == [node.address for node in pair][: min(parts, 2)] or parts == 1
    assert list((pair[0].site.folder / "scratch").iterdir()) == []


def test_the_command_and_the_doctor(pair: list[Node], records: Path, tmp_path: Path) -> None:
    made = pair[1].type_("wattscore", "features", str(records), "--out", str(tmp_path / "far"), "--ray", "ray.toml")
    assert made.returncode == 0, made.stdout
    here = pair[1].type_("wattscore", "features", str(records), "--out", str(tmp_path / "here"), "--memory-mib", "1")
    assert here.returncode == 0, here.stdout
    assert (tmp_path / "far").read_bytes() == (tmp_path / "here").read_bytes()
    checked = json.loads(pair[0].type_("wattscore", "doctor", "--config", "none.toml", "--ray", "ray.toml", "--json").stdout)
    (finding,) = [check for check in checked["checks"] if check["check"] == "ray"]
    assert finding["status"] == "pass" and all(node.address in finding["found"] for node in pair)


def test_parts_of_a_killed_worker_are_made_again(
    pair: list[Node], records: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    with stopped(pair[1], records, tmp_path / "signs") as found:
        assert pair[1].kill(WORKERS)
    assert found["lost"] and same(found, whole)


def test_parts_of_a_worker_that_stands_still_are_made_elsewhere(
    pair: list[Node], records: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    with stopped(pair[1], records, tmp_path / "signs") as found:
        until(lambda: bool(found))  # nobody kills it, nor wakes it
    pair[1].kill(WORKERS)
    assert found["lost"] and same(found, whole)


def test_a_part_that_is_lost_again_and_again_is_named(pair: list[Node], records: Path, tmp_path: Path) -> None:
    with stopped(pair[1], records, tmp_path / "signs") as found:
        while not found:
            for node in pair:
                node.kill(WORKERS)
    assert "was lost 3 times" in found["raised"]
    assert list((pair[0].site.folder / "scratch").iterdir()) == []


def test_a_disk_that_is_full_as_a_node_writes_is_named(pair: list[Node], records: Path, tmp_path: Path) -> None:
    """What the command has written is there; what a node makes of it finds no room."""
    scratch = pair[0].site.scratch
    with stopped(pair[1], records, tmp_path / "signs") as found:
        room = os.statvfs(scratch)
        (filler := scratch / "filler").write_bytes(bytes(room.f_bavail * room.f_frsize))
        filler.chmod(0o600)
        assert pair[1].kill(WORKERS, signal.SIGCONT)
        until(lambda: bool(found))
        filler.unlink()
        assert re.search(rf"part \d+ on {pair[1].address}: OSError \(No space left on device\)", found["raised"]), found
        assert "See to the disk of `scratch` there" in found["raised"]
        assert list(scratch.iterdir()) == []


def test_parts_of_a_lost_node_are_made_by_the_other(records: Path, whole: dict[str, Any], tmp_path: Path) -> None:
    with nodes(2) as (head, other):
        head.start(None)
        other.start(head)
        with stopped(other, records, tmp_path / "signs") as found:
            assert other.kill()
        assert found["lost"] and same(found, whole)
        with stopped(head, records, tmp_path / "again") as found:
            assert head.kill("gcs_server")
        assert "the cluster's head" in found["raised"] and "is lost" in found["raised"]
