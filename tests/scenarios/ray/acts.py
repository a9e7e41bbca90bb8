"""What tests do on a node, in a process of its own: `python -m tests.scenarios.ray.acts ACT ...`; prints one line of JSON."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from common.errors import WattScoreError
from common.party import Party
from common.records.build import build, write
from common.records.clean import clean
from common.records.config import load_records
from common.records.defaults import default_recipes
from common.records.entries import flatten
from common.records.held import Room
from common.records.quality import quality
from common.records.source import read
from common.scale.cluster import Cluster, joined
from common.scale.settings import load_cluster


def features(config: str, parts: str, ray: str = "") -> dict[str, Any]:
    """Digest of the file and of the report, whole or in about so many parts, by the cluster of `ray` if it is given."""
    cluster: AbstractContextManager[Cluster | None] = joined(load_cluster(Path(ray))) if ray else nullcontext()
    with cluster as engine:
        return _made(config, int(parts), engine)


def _made(config: str, parts: int, engine: Cluster | None) -> dict[str, Any]:
    settings = load_records(Path(config))
    cleaned = clean(settings, read(settings))
    cells = -(-cleaned.panel.present.size // parts)
    recipes = flatten(settings.recipes) or default_recipes(Party(settings.party), cleaned.panel, settings.samples)
    made = build(cleaned.panel, recipes, settings.samples, room=Room(cells=cells, engine=engine))
    out = Path(config).with_name(f"out-{os.getpid()}.parquet")
    done = engine.done if engine else None
    return {
        "file": write(made, out),
        "report": quality(settings, cleaned).as_json(),
        "nodes": sorted(done.parts) if done else [],
        "parts": sum(done.parts.values()) if done else parts,
        "lost": done.lost if done else 0,
    }


def watched(config: str, ray: str, signs: str) -> dict[str, Any]:
    """The same in 40 parts, so that a test can kill what it will in between; what is raised is told.

    signs: a folder. `joined` appears in it before any part, which wait for `go`; `under-way` once nothing is left but what a
    node that stands still was given: two parts, as its one processor has one and one waits.
    """
    folder = Path(signs)
    with joined(load_cluster(Path(ray))) as engine:
        (folder / "joined").touch()
        while not (folder / "go").exists():
            time.sleep(0.02)
        run = engine.run

        def told(work: str, parts: int, give: Callable[[int], bytes], take: Callable[[int, bytes], None]) -> None:
            taken = 0

            def given(part: int) -> bytes:
                if len(engine.nodes) == 1 and part == 2:
                    (folder / "under-way").touch()
                return give(part)

            def counted(part: int, made: bytes) -> None:
                nonlocal taken
                taken += 1
                if taken == parts - 2:
                    (folder / "under-way").touch()
                take(part, made)

            run(work, parts, given, counted)

        engine.run = told  # type: ignore[method-assign]
        try:
            return _made(config, 40, engine)
        except WattScoreError as error:
            return {"raised": str(error)}


def record(out: str, marker: str) -> dict[str, Any]:
    """Every byte that comes in or goes out by `eth`, until the file `out`.end is there; first a datagram in clear."""
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    link.bind(("eth", 0))
    link.settimeout(0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as clear, Path(out).open("wb") as stream:
        clear.sendto(marker.encode(), ("10.78.0.2", 9))
        Path(f"{out}.begun").touch()
        while not Path(f"{out}.end").exists():
            try:
                stream.write(link.recv(1 << 17))
            except TimeoutError:
                continue
    return {}


def stay(address: str, config: str, ready: str) -> dict[str, Any]:
    """Another tenant's driver on this node, `address`: joins the cluster and stays until it is ended."""
    cluster = load_cluster(Path(config))
    os.environ.update(cluster.environment)
    import ray

    ray.init(cluster.address, _node_ip_address=address, log_to_driver=False)
    Path(ready).touch()
    time.sleep(600)
    return {}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
