"""A run of features that stands still in its midst: a worker of the second node has a part and does nothing."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.patience import patience
from tests.scenarios.ray.nodes import Node, until

WORKERS = "ray::(IDLE|do|look)"  # not its agent, with which a node ends


@contextmanager
def stopped(node: Node, records: Path, signs: Path) -> Iterator[dict[str, Any]]:
    """The run that is yielded to, once a worker that stands still has a part of it; what it came to, afterwards."""
    signs.mkdir()
    found: dict[str, Any] = {}
    head = node.site.nodes[0]
    thread = threading.Thread(target=lambda: found.update(json.loads(head.act("watched", records, node.site.config, signs))))
    thread.start()
    try:
        until((signs / "joined").exists)
        assert node.kill(WORKERS, signal.SIGSTOP)
        (signs / "go").touch()
        until((signs / "under-way").exists)
        yield found
    finally:
        (signs / "go").touch()
        thread.join(patience(120))
        assert not thread.is_alive()
