"""The driver's own looks at a cluster, where a fake stands for Ray: what is refused, and how long it says nothing."""

from __future__ import annotations

import errno
import importlib
import io
import json
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from common.errors import ConfigError
from common.scale.settings import SILENCE, RayCluster, load_cluster
from tests.common.scale.sites import site

NODE = SimpleNamespace(
    node_manager_address="127.0.0.1",
    node_manager_port=1,
    object_manager_port=2,
    session_dir="/session",
    resources_total={"CPU": 2.0},
    state=0,
)


class Gcs:
    """The head's books: one node, no other driver."""

    waited: ClassVar[list[float]] = []

    def __init__(self, address: str) -> None:
        self.address = address

    def get_all_node_info(self, timeout: float) -> dict[bytes, Any]:
        self.waited.append(timeout)
        return {b"node": NODE}

    def get_all_job_info(self, timeout: float) -> dict[bytes, Any]:
        self.waited.append(timeout)
        return {}


@pytest.fixture
def cluster(tmp_path: Path) -> RayCluster:
    return load_cluster(site(tmp_path))


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Stands for the package, where it is not installed too."""
    fake: Any = ModuleType("ray")
    placed = list[Any]()

    def remote(work: Any) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *given: placed.append(given) or object()))

    fake.__version__, fake.remote, fake.placed, fake.dashboard = "2.60.0", remote, placed, ""
    fake.init = lambda *_, **__: SimpleNamespace(dashboard_url=fake.dashboard)
    fake.cancelled = list[Any]()
    fake.cancel = lambda ref, force: fake.cancelled.append(ref)
    fake.wait = lambda *_, **__: ([], [])
    fake.get_runtime_context = lambda: SimpleNamespace(get_job_id=lambda: "own")
    fake._raylet = SimpleNamespace(GcsClient=Gcs)
    fake.exceptions = SimpleNamespace(AuthenticationError=PermissionError, RaySystemError=OSError, RayError=RuntimeError)
    strategies: Any = ModuleType("ray.util.scheduling_strategies")
    strategies.NodeAffinitySchedulingStrategy = lambda *_, **__: None
    for name, module in (("ray", fake), ("ray.util", ModuleType("ray.util")), (strategies.__name__, strategies)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "common.scale.ray_driver", raising=False)
    Gcs.waited = []
    yield fake
    sys.modules.pop("common.scale.ray_driver", None)


def driver(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, io.StringIO]:
    module: Any = importlib.import_module("common.scale.ray_driver")
    monkeypatch.setattr(module, "check_tls", lambda *_: None)
    return module.Driver(cluster, str(cluster.scratch), "seen", out := io.StringIO()), out


def test_a_cluster_with_a_dashboard_is_refused_before_anything_is_placed(
    cluster: RayCluster, ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray.dashboard = "127.0.0.1:8265"
    found, out = driver(cluster, monkeypatch)
    with pytest.raises(ConfigError, match=r"the cluster has a dashboard.*--include-dashboard=false"):
        found.start()
    assert ray.placed == [] and out.getvalue() == ""
    ray.dashboard = ""
    found, out = driver(cluster, monkeypatch)
    found.start()
    assert len(ray.placed) == 1 and json.loads(out.getvalue()) == {"ready": {"127.0.0.1": 2}}


def test_a_look_at_a_head_that_does_not_answer_ends_before_the_command_takes_the_driver_for_lost(
    cluster: RayCluster, ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = driver(cluster, monkeypatch)
    found.start()
    Gcs.waited.clear()
    found._refresh()
    module = sys.modules["common.scale.ray_driver"]
    assert len(Gcs.waited) == 2 and sum(Gcs.waited) + 2 * module._WAIT < SILENCE - 1.0


def test_parts_that_stand_still_are_made_elsewhere_and_the_command_is_told(
    cluster: RayCluster, ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {name: SimpleNamespace(**{**vars(NODE), "resources_total": {"CPU": 1.0}}) for name in (b"one", b"two")}
    monkeypatch.setattr(Gcs, "get_all_node_info", lambda *_, **__: nodes)
    ray.get = lambda _: "{}"
    found, out = driver(cluster, monkeypatch)
    found.start()
    module = sys.modules["common.scale.ray_driver"]
    waiting: Any = deque(
        {"part": k, "work": "w", "given": "g", "digest": "d", "made": f"{k}.made", "tries": 0} for k in range(6)
    )
    running: dict[Any, Any] = {}
    found._place(waiting, running)
    assert len(running) == 4 and len(waiting) == 2  # one is done and one waits at each
    given = {key for _, key in running.values()}
    ahead = next(iter(running))
    fast = running[ahead][1]
    slow = next(key for key in given if key != fast)
    for ref in [ref for ref, (_, key) in running.items() if key == fast]:  # what one node has is done
        found._settle(ref, *running.pop(ref), waiting)
    now = module.time.monotonic()
    found._give_up(waiting, running, now + module._LEAST / 2)
    assert len(running) == 2 and ray.cancelled == []
    late = list(running)
    found._give_up(waiting, running, now + module._LEAST + module._MANY * found._slowest + 1)
    assert running == {} and ray.cancelled == late and len(waiting) == 4
    found._place(waiting, running)
    assert {key for _, key in running.values()} == {fast}, "the other has no processor to give while they stand there"
    assert slow not in {key for _, key in running.values()}
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["why"] for line in said if "lost" in line] == ["it stands still"] * 2
    assert len({given[-1] for given in ray.placed}) == len(ray.placed) - 1, "a part that is made again is another file"
    found._give_up(waiting, running, now + 1e6)
    with pytest.raises(ConfigError, match="parts stand still on every node"):
        found._place(waiting, running)


def test_what_a_full_disk_of_a_node_refuses_is_told(cluster: RayCluster, ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class TaskError(RuntimeError):
        cause = OSError(errno.ENOSPC, "in a file whose name is nobody's business")

    def get(_: object) -> str:
        raise TaskError

    ray.exceptions.RayTaskError, ray.get = TaskError, get
    found, _ = driver(cluster, monkeypatch)
    found._nodes = {"key": {"address": "127.0.0.1"}}
    with pytest.raises(ConfigError) as error:
        found._settle(object(), {"part": 7}, "key", deque())
    assert error.value.message == "part 7 on 127.0.0.1: OSError (No space left on device)"
    assert "See to the disk" in error.value.remedy
