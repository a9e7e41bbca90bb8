"""The command's side of the line to the driver, which here is a few lines of Python in Ray's place."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import ConfigError, DataError
from common.scale import cluster as module
from common.scale.cluster import Cluster, joined
from common.scale.settings import RayCluster
from tests.common.scale.sites import served, site
from tests.source import ROOT

PRELUDE = """
import hashlib, json, sys
def say(**told): print(json.dumps(told), flush=True)
first = json.loads(sys.stdin.readline())
if "probe" in first:
    say(open=OPEN)
    sys.exit()
say(ready={"10.78.0.1": 1})
def answer(part, data, fault=False, **more):
    made = part["made"] + ".0"
    open(made, "xb").write(data)
    told = dict(done=part["part"], file=made, node="10.78.0.1", fault=fault, peak=1.0, processor=0.1)
    say(**{**told, "digest": hashlib.sha256(data).hexdigest(), **more})
parts = (json.loads(line) for line in sys.stdin)
"""
ECHO = "for part in parts: answer(part, open(part['given'], 'rb').read()[::-1])"
FAULT = {"kind": "DataError", "message": "too large", "public": "too large", "remedy": "Less.", "local": ""}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayCluster]:
    monkeypatch.setattr(module, "need", lambda *given: None)
    with served(site(tmp_path)) as found:
        yield found


def driven(monkeypatch: pytest.MonkeyPatch, program: str, *, open_: bool = False) -> None:
    """The driver is this program."""
    code = PRELUDE.replace("OPEN", str(open_)) + program

    def process(self: Cluster, **more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr(Cluster, "_process", process)


def run(cluster: RayCluster, parts: int = 7) -> list[bytes]:
    made = [b""] * parts
    with joined(cluster) as engine:
        engine.run("common.x:y", parts, lambda k: f"part {k}".encode(), lambda k, data: made.__setitem__(k, data))
        assert sum(engine.done.parts.values()) == parts
        assert [file.name for file in next(cluster.scratch.iterdir()).iterdir()] == ["seen"]
    return made


def test_every_part_comes_back_and_nothing_is_left(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    driven(monkeypatch, ECHO)
    assert run(cluster) == [f"part {k}".encode()[::-1] for k in range(7)]
    assert list(cluster.scratch.iterdir()) == []


def test_what_a_killed_run_left_is_removed_and_not_what_another_run_has(
    cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven(monkeypatch, ECHO)
    (cluster.scratch / "wattscore-old").mkdir()
    (cluster.scratch / "wattscore-old" / "3.given").write_bytes(b"rows")
    with joined(cluster) as one:
        with joined(cluster):
            assert not (cluster.scratch / "wattscore-old").exists() and len(list(cluster.scratch.iterdir())) == 2
        one.run("common.x:y", 1, lambda k: b"", lambda k, data: None)
    assert list(cluster.scratch.iterdir()) == []


def test_a_cluster_without_a_token_is_refused_before_any_part(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    driven(monkeypatch, ECHO, open_=True)
    with pytest.raises(ConfigError, match="takes drivers without a token"):
        run(cluster)
    assert list(cluster.scratch.iterdir()) == []


def test_a_head_that_leaves_the_question_for_a_token_open_is_named(
    cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_START", 0.2)
    silent = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(
        Cluster, "_process", lambda self, **more: subprocess.Popen(silent, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    )
    with pytest.raises(ConfigError, match=r"wants a token was not answered within 0\.2 s\. Look"):
        run(cluster)
    assert list(cluster.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import time; next(parts); time.sleep(600)", r"no word from the cluster for 0\.5 s"),
        ("next(parts); sys.exit()", "the driver beside this command ended"),
        ("say(refused='another driver works on the cluster', remedy='Wait.')", "another driver works on the cluster. Wait"),
        ("part = next(parts); answer(part, b'made', digest='0' * 64)", "is not what that node wrote"),
    ],
)
def test_what_goes_wrong_beside_the_command_is_named(
    program: str, said: str, cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE", 0.5 if "time.sleep" in program else 600.0)  # no other waits for a busy machine
    driven(monkeypatch, program)
    with pytest.raises(ConfigError, match=said):
        run(cluster)
    assert list(cluster.scratch.iterdir()) == []


def test_a_head_that_is_lost_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "need", lambda *given: None)
    driven(monkeypatch, "next(parts); sys.exit()")
    with served(site(tmp_path)) as cluster:
        line = joined(cluster)
        engine = line.__enter__()
    with pytest.raises(ConfigError, match=r"the cluster's head at .* is lost"):
        engine.run("common.x:y", 1, lambda k: b"", lambda k, data: None)
    line.__exit__(None, None, None)


def test_of_parts_that_fail_the_first_is_told(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers come in another order: 2 fails, then 1 does, and 0 is made."""
    program = f"""
three = [next(parts), next(parts), next(parts)]
fault = {FAULT!r}
for k in (2, 1, 0):
    answer(three[k], json.dumps(dict(fault, message=f"part {{k}}")).encode() if k else b"made", fault=k > 0)
"""
    driven(monkeypatch, program)
    with pytest.raises(DataError, match=r"part 1\. Less\."):
        run(cluster)


@pytest.mark.parametrize("kind", ["", "Any", "annotations", "Nothing"])
def test_an_error_that_is_not_ours_is_told_by_its_place(
    kind: str, cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = f'{{"kind": "{kind}", "message": "KeyError at parts.py:9", "public": "", "remedy": "", "local": ""}}'
    driven(monkeypatch, f"answer(next(parts), {told.encode()!r}, fault=True)")
    with pytest.raises(RuntimeError, match=r"part 0: KeyError at parts\.py:9"):
        run(cluster)


def test_ray_that_is_not_installed_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with (
        served(site(tmp_path)) as cluster,
        pytest.raises(ConfigError, match=r"--ray needs .*: ray\..*'\.\[ray\]'"),
        joined(cluster),
    ):
        pass


def test_what_the_driver_is_given_of_the_environment(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, str]] = []

    def begun(words: list[str], **options: dict[str, str]) -> None:
        given.append(options["env"])

    for name in ("RAY_RUNTIME_ENV_HOOK", "RAY_AUTH_TOKEN", "RAY_ADDRESS", "GRID_DATABASE_PASSWORD"):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setattr(subprocess, "Popen", begun)
    engine = Cluster(cluster, cluster.scratch)
    engine._process()
    engine._process(RAY_AUTH_MODE="disabled")
    assert all("planted" not in environment.values() for environment in given)
    assert given[0]["RAY_AUTH_TOKEN_PATH"] and "RAY_AUTH_TOKEN_PATH" not in given[1]


def test_nothing_but_the_driver_loads_ray(tmp_path: Path) -> None:
    """A package of that name that tells when it is loaded: neither a daemon nor features without --ray do."""
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").write_text("raise SystemExit('Ray was loaded')\n")
    program = (
        "import grid_party.role, bank_party.role, common.daemon.daemon, common.records.cli, common.doctor.cli, common.cli, sys"
    )
    path = f"{tmp_path}:{ROOT}"
    loaded = subprocess.run(
        [sys.executable, "-c", f"{program}; print('ray' in sys.modules)"],
        env={"PYTHONPATH": path},
        text=True,
        capture_output=True,
    )
    assert loaded.stdout.strip() == "False", loaded.stderr
    driver = subprocess.run(
        [sys.executable, "-m", "common.scale.ray_driver"], env={"PYTHONPATH": path}, text=True, capture_output=True
    )
    assert "Ray was loaded" in driver.stderr
