"""Logistic regression by SPU, as a Python of its own runs it: `python spu_regression.py INPUT.npz PROTOCOL SIGMOID EPOCHS`.

Prints one line of JSON; `spu_run.py` says how the two parties run.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import numpy as np
from spu_run import run  # beside this file

BATCH, RATE = 1024, 0.1


def sigmoid(name: str, u: Any) -> Any:
    """linear: 1/2 + u/4. cubic: least squares on |u| <= 5. exact: the library's own."""
    if name == "linear":
        return 0.5 + 0.25 * u
    if name == "cubic":
        return 0.5 + 0.197 * u - 0.004 * u * u * u
    return importlib.import_module("jax").nn.sigmoid(u)


def make_fit(name: str, rows: int, epochs: int) -> Any:
    """SGD over both parties' columns; rows left over of an epoch are not used, as in SPU's examples."""
    jax = importlib.import_module("jax")
    jnp, batches = jax.numpy, rows // BATCH

    def fit(grid: Any, bank: Any, label: Any) -> Any:
        x = jnp.concatenate((grid, bank, jnp.ones((rows, 1))), axis=1)

        def step(number: Any, weights: Any) -> Any:
            low = (number % batches) * BATCH
            part = jax.lax.dynamic_slice(x, (low, 0), (BATCH, x.shape[1]))
            y = jax.lax.dynamic_slice(label, (low,), (BATCH,))
            return weights - RATE / BATCH * jnp.matmul(part.T, sigmoid(name, jnp.matmul(part, weights)) - y)

        return jax.lax.fori_loop(0, epochs * batches, step, jnp.zeros(x.shape[1]))

    return fit


def main(data: str, protocol: str, name: str, epochs: int) -> None:
    """The cost, and the weights, intercept last."""
    with np.load(data) as arrays:
        inputs = [arrays[side].astype(np.float32) for side in ("grid", "bank", "label")]
    cost, (weights,) = run(make_fit(name, len(inputs[2]), epochs), inputs, protocol)
    print(json.dumps({**cost, "sigmoid": name, "epochs": epochs, "weights": weights.tolist()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
