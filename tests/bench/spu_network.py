"""A network of one hidden layer of ReLU by SPU: `python spu_network.py INPUT.npz PROTOCOL SIGMOID UNITS EPOCHS`.

As a Python of its own runs it; prints one line of JSON. `spu_run.py` says how the two parties run. Its gradients are written
out, so that one comparison a unit serves both ways; SPU's own example of a network compares twice.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import numpy as np
from spu_regression import sigmoid  # beside this file
from spu_run import run

BATCH, RATE = 1024, 0.5


def make_fit(name: str, rows: int, first: np.ndarray, second: np.ndarray, epochs: int) -> Any:
    """SGD from these weights, the bias last in each layer; rows left over of an epoch are not used."""
    jax = importlib.import_module("jax")
    jnp, batches, ones = jax.numpy, rows // BATCH, np.ones((BATCH, 1), np.float32)

    def fit(grid: Any, bank: Any, label: Any) -> Any:
        x = jnp.concatenate((grid, bank, jnp.ones((rows, 1))), axis=1)

        def step(number: Any, weights: Any) -> Any:
            inner, outer = weights
            low = (number % batches) * BATCH
            part = jax.lax.dynamic_slice(x, (low, 0), (BATCH, x.shape[1]))
            y = jax.lax.dynamic_slice(label, (low,), (BATCH,))
            a = jnp.matmul(part, inner)
            positive = (a > 0).astype(jnp.float32)
            hidden = jnp.concatenate((a * positive, ones), axis=1)
            residual = RATE / BATCH * (sigmoid(name, jnp.matmul(hidden, outer)) - y)
            back = residual[:, None] * outer[:-1][None, :] * positive
            return inner - jnp.matmul(part.T, back), outer - jnp.matmul(hidden.T, residual)

        return jax.lax.fori_loop(0, epochs * batches, step, (jnp.asarray(first), jnp.asarray(second)))

    return fit


def main(data: str, protocol: str, name: str, units: int, epochs: int) -> None:
    """The cost, and the weights of both layers."""
    with np.load(data) as arrays:
        inputs = [arrays[side].astype(np.float32) for side in ("grid", "bank", "label")]
    columns, random = inputs[0].shape[1] + inputs[1].shape[1], np.random.default_rng(0)
    first = (random.standard_normal((columns + 1, units)) / np.sqrt(columns)).astype(np.float32)
    second = (random.standard_normal(units + 1) / np.sqrt(units)).astype(np.float32)
    cost, layers = run(make_fit(name, len(inputs[2]), first, second, epochs), inputs, protocol)
    print(json.dumps({**cost, "sigmoid": name, "epochs": epochs, "layers": [layer.tolist() for layer in layers]}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
