"""Peers on the same rows in the same run, where a Python that has them is named: SPU, CrypTen, XGBoost."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from common.plan.network import Network
from common.plan.trees import Trees
from common.stats.measures import evaluate
from tests.bench.plaintext import EPOCHS, Pooled

Matrix = npt.NDArray[np.float64]

_HERE = Path(__file__).parent
_SECONDS = 1800.0  # for one run
RUNS = [("semi2k", "linear"), ("semi2k", "cubic"), ("cheetah", "linear")]
NETWORKS = [("semi2k", "linear"), ("semi2k", "exact")]
PROVIDERS = ["TTP", "TFP"]


@dataclass(frozen=True)
class Peer:
    """A Python interpreter that has a package of others, in an environment of its own."""

    python: str
    version: str

    package: ClassVar[str]
    variable: ClassVar[str]

    @classmethod
    def find(cls, python: str | None) -> Self | None:
        """The interpreter named by option or environment, None if none is named; ends the benchmark if it has none."""
        named = python or os.environ.get(cls.variable)
        return cls(named, cls._version(named)) if named else None

    @classmethod
    def _version(cls, python: str) -> str:
        code = f"import importlib.metadata as m; print(m.version({cls.package!r}))"
        found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        if found.returncode:
            raise SystemExit(f"{python} has no package {cls.package}: {found.stderr.strip().splitlines()[-1:]}")
        return found.stdout.strip()

    def script(self, name: str, *words: object) -> dict[str, Any]:
        """What a script beside this file prints last, or its error; without the project on its path, whose numpy is another."""
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = [self.python, str(_HERE / name), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, env=env, check=False)
        if done.returncode:
            return {"error": done.stderr.strip()[-300:]}
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return {"version": self.version, **result}


class Spu(Peer):
    """SPU: regression, a network, and matching."""

    package = "spu"
    variable = "WATTSCORE_BENCH_SPU_PYTHON"

    def regressions(self, pooled: Pooled, folder: Path, ours: float) -> list[dict[str, Any]]:
        """Each protocol's cost, held-out quality, and how many times our training stage of `ours` seconds that is."""
        pooled.save(folder / "spu.npz")
        return [self._regression(pooled, folder / "spu.npz", protocol, sigmoid, ours) for protocol, sigmoid in RUNS]

    def matchings(self, ids: Mapping[str, npt.NDArray[np.str_]], folder: Path, ours: float) -> list[dict[str, Any]]:
        """Each protocol's seconds to match these ids of both sides, and how many times our `ours` seconds that is."""
        for side, names in ids.items():
            (folder / f"{side}.csv").write_text("\n".join(["id", *names, ""]), encoding="utf-8")
        files, found = [str(folder / f"{side}.csv") for side in ids], []
        for protocol in ("RR22", "ECDH"):
            result = {"protocol": protocol, **self.script("spu_psi.py", *files, protocol)}
            found.append(_beside(result, ours, "seconds"))
        return found

    def networks(self, pooled: Pooled, section: Network, folder: Path, ours: float) -> list[dict[str, Any]]:
        """With ReLU, by each sigmoid: cost, held-out quality, and how many times our `ours` seconds that is."""
        pooled.save(folder / "network.npz")
        how = [("spu_network.py", folder / "network.npz", protocol, name) for protocol, name in NETWORKS]
        return [_trained(self, one, pooled, section, ours) | {"sigmoid": one[-1]} for one in how]

    def _regression(self, pooled: Pooled, data: Path, protocol: str, sigmoid: str, ours: float) -> dict[str, Any]:
        result = {"protocol": protocol, "sigmoid": sigmoid, **self.script("spu_regression.py", data, protocol, sigmoid, EPOCHS)}
        if "weights" in result:
            result |= pooled.quality(np.array(result.pop("weights")))
        return _beside(result, ours)


class Crypten(Peer):
    """CrypTen: a network."""

    package = "crypten"
    variable = "WATTSCORE_BENCH_CRYPTEN_PYTHON"

    def networks(self, pooled: Pooled, section: Network, folder: Path, ours: float) -> list[dict[str, Any]]:
        """With ReLU, a third process dealing and one of the two: cost, held-out quality, and how many times ours that is."""
        pooled.save(folder / "network.npz")
        how = [("crypten_network.py", folder / "network.npz", provider) for provider in PROVIDERS]
        return [_trained(self, one, pooled, section, ours) | {"protocol": one[-1]} for one in how]


class Xgboost(Peer):
    """XGBoost, which sees all columns."""

    package = "xgboost"
    variable = "WATTSCORE_BENCH_XGBOOST_PYTHON"

    def fit(self, x: Matrix, y: Matrix, train: int, section: Trees, folder: Path) -> dict[str, Any]:
        """As many trees of that depth, rate and bins on the first `train` rows, and their quality on the others."""
        np.savez(folder / "xgboost.npz", x=x[:train], y=y[:train], held_x=x[train:])
        words = (section.trees, section.depth, section.rate, section.bins)
        found = self.script("xgboost_hist.py", folder / "xgboost.npz", *words)
        if "error" in found:
            raise SystemExit(f"XGBoost did not train: {found['error']}")
        measured = evaluate(y[train:], np.array(found.pop("u")))
        return {**found, "auc": measured.auc, "logloss": measured.logloss}


def _trained(peer: Peer, how: Sequence[object], pooled: Pooled, section: Network, ours: float) -> dict[str, Any]:
    name, *words = how
    result = peer.script(str(name), *words, section.hidden, section.epochs)
    if "layers" in result:
        result |= pooled.quality_of_units(*(np.array(layer) for layer in result.pop("layers")))
    return _beside(result, ours)


def _beside(result: dict[str, Any], ours: float, seconds: str = "train") -> dict[str, Any]:
    return {**result, "ratio_to_ours": result[seconds] / ours} if seconds in result else result
