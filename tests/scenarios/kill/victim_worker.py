"""A worker of a victim, which records what it sends as a part of its daemon's life, and is disturbed by a name of its own.

    python -m tests.scenarios.kill.victim_worker NAME PACKAGE CONFIG PLACE DESCRIPTOR

`NAME-worker-PLACE.kill` and `.hold` are to it what `NAME.kill` and `.hold` are to its daemon.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from common.daemon.worker import main
from tests.scenarios.kill.victim import Victim, shorten_spans, watch

if __name__ == "__main__":
    name, package = sys.argv.pop(1), sys.argv.pop(1)
    shorten_spans()
    told = f"{name}-worker-{sys.argv[2]}"
    watch(Victim(name, Path(sys.argv[1]).parent, told=told, life=os.getppid()))
    main(importlib.import_module(f"{package}.seat").SEAT)
