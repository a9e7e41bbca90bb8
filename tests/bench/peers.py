"""SPU's secure logistic regression on the same rows in the same run, where a Python that has `spu` is named."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.plaintext import EPOCHS, Pooled

VARIABLE = "WATTSCORE_BENCH_SPU_PYTHON"
_SCRIPT = Path(__file__).with_name("spu_regression.py")
_SECONDS = 1800.0  # for one run
RUNS = [("semi2k", "linear"), ("semi2k", "cubic"), ("cheetah", "linear")]


@dataclass(frozen=True)
class Spu:
    """A Python interpreter that has the package `spu`, in an environment of its own."""

    python: str
    version: str

    @classmethod
    def find(cls, python: str | None) -> Spu | None:
        """The interpreter named by option or environment, None if none is named; ends the benchmark if it has no `spu`."""
        named = python or os.environ.get(VARIABLE)
        if not named:
            return None
        code = "import spu; print(spu.__version__)"
        found = subprocess.run([named, "-c", code], capture_output=True, text=True, check=False)
        if found.returncode:
            raise SystemExit(f"{named} has no package spu: {found.stderr.strip().splitlines()[-1:]}")
        return cls(named, found.stdout.strip())

    def regressions(self, pooled: Pooled, folder: Path, ours: float) -> list[dict[str, Any]]:
        """Each protocol's seconds, held-out quality, and how many times our training stage of `ours` seconds that is."""
        pooled.save(folder / "spu.npz")
        return [self._run(pooled, folder / "spu.npz", protocol, sigmoid, ours) for protocol, sigmoid in RUNS]

    def _run(self, pooled: Pooled, data: Path, protocol: str, sigmoid: str, ours: float) -> dict[str, Any]:
        command = [self.python, str(_SCRIPT), str(data), protocol, sigmoid, str(EPOCHS)]
        # Without the project on its path: its numpy is another.
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, env=env, check=False)
        if done.returncode:
            return {"protocol": protocol, "sigmoid": sigmoid, "error": done.stderr.strip()[-300:]}
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        quality = pooled.quality(np.array(result.pop("weights")))
        return {"version": self.version, **result, **quality, "ratio_to_ours": result["train"] / ours}
