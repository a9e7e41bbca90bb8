"""Peers on the same rows in the same run, where a Python that has them is named: SPU's regression and matching, XGBoost."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from common.plan.trees import Trees
from common.stats.measures import evaluate
from tests.bench.plaintext import EPOCHS, Pooled

Matrix = npt.NDArray[np.float64]

VARIABLE = "WATTSCORE_BENCH_SPU_PYTHON"
XGBOOST = "WATTSCORE_BENCH_XGBOOST_PYTHON"
_HIST = str(Path(__file__).with_name("xgboost_hist.py"))
_REGRESSION, _PSI = (str(Path(__file__).with_name(f"spu_{what}.py")) for what in ("regression", "psi"))
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
        return cls(named, _version(named, "spu")) if named else None

    def regressions(self, pooled: Pooled, folder: Path, ours: float) -> list[dict[str, Any]]:
        """Each protocol's seconds, held-out quality, and how many times our training stage of `ours` seconds that is."""
        pooled.save(folder / "spu.npz")
        return [self._run(pooled, folder / "spu.npz", protocol, sigmoid, ours) for protocol, sigmoid in RUNS]

    def matchings(self, ids: Mapping[str, npt.NDArray[np.str_]], folder: Path, ours: float) -> list[dict[str, Any]]:
        """Each protocol's seconds to match these ids of both sides, and how many times our `ours` seconds that is."""
        for side, names in ids.items():
            (folder / f"{side}.csv").write_text("\n".join(["id", *names, ""]), encoding="utf-8")
        files, found = [str(folder / f"{side}.csv") for side in ids], []
        for protocol in ("RR22", "ECDH"):
            result = self._script(_PSI, *files, protocol)
            found.append({"protocol": protocol, "version": self.version, **result})
            if "seconds" in result:
                found[-1]["ratio_to_ours"] = result["seconds"] / ours
        return found

    def _run(self, pooled: Pooled, data: Path, protocol: str, sigmoid: str, ours: float) -> dict[str, Any]:
        result = self._script(_REGRESSION, str(data), protocol, sigmoid, str(EPOCHS))
        if "error" in result:
            return {"protocol": protocol, "sigmoid": sigmoid, **result}
        quality = pooled.quality(np.array(result.pop("weights")))
        return {"version": self.version, **result, **quality, "ratio_to_ours": result["train"] / ours}

    def _script(self, *words: str) -> dict[str, Any]:
        return _printed(self.python, *words)


@dataclass(frozen=True)
class Xgboost:
    """A Python interpreter that has the package `xgboost`, in an environment of its own."""

    python: str
    version: str

    @classmethod
    def find(cls, python: str | None) -> Xgboost | None:
        """The interpreter named by option or environment, None if none is named; ends the benchmark if it has no `xgboost`."""
        named = python or os.environ.get(XGBOOST)
        return cls(named, _version(named, "xgboost")) if named else None

    def fit(self, x: Matrix, y: Matrix, train: int, section: Trees, folder: Path) -> dict[str, Any]:
        """As many trees of that depth, rate and bins on the first `train` rows, and their quality on the others."""
        np.savez(folder / "xgboost.npz", x=x[:train], y=y[:train], held_x=x[train:])
        words = (section.trees, section.depth, section.rate, section.bins)
        found = _printed(self.python, _HIST, str(folder / "xgboost.npz"), *map(str, words))
        if "error" in found:
            raise SystemExit(f"XGBoost did not train: {found['error']}")
        measured = evaluate(y[train:], np.array(found.pop("u")))
        return {**found, "auc": measured.auc, "logloss": measured.logloss}


def _version(python: str, package: str) -> str:
    code = f"import {package}; print({package}.__version__)"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"{python} has no package {package}: {found.stderr.strip().splitlines()[-1:]}")
    return found.stdout.strip()


def _printed(python: str, *words: str) -> dict[str, Any]:
    """What a script prints last, or its error; without the project on its path, whose numpy is another."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run([python, *words], capture_output=True, text=True, timeout=_SECONDS, env=env, check=False)
    if done.returncode:
        return {"error": done.stderr.strip()[-300:]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
