"""The driver's own looks at a cluster, where a fake stands for Ray: what is refused, and how long it says nothing."""

from __future__ import annotations

import importlib
import io
import json
import sys
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
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *given: placed.append(given)))

    fake.__version__, fake.remote, fake.placed, fake.dashboard = "2.60.0", remote, placed, ""
    fake.init = lambda *_, **__: SimpleNamespace(dashboard_url=fake.dashboard)
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
