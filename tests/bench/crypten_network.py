"""A network of one hidden layer of ReLU by CrypTen: `python crypten_network.py INPUT.npz PROVIDER UNITS EPOCHS`.

As a Python of its own runs it; prints one line of JSON. Two processes over loopback (gloo, without TLS) hold one party each.
PROVIDER is TTP, a third process that deals, or TFP: one of the two parties deals and could read everything (its default). The
gradient of the loss is given to `backward`, so that no logarithm is computed for a loss that nobody reads.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

import numpy as np
from received import received  # beside this file

BATCH, RATE = 1024, 0.5
_MOVED = "torch.onnx._internal.registration"  # CrypTen 0.4.1 imports it to convert models; torch 2.9 has it elsewhere


def load() -> Any:
    try:
        importlib.import_module(_MOVED)
    except ImportError:
        sys.modules[_MOVED] = importlib.import_module("torch.onnx._internal.torchscript_exporter.registration")
    return importlib.import_module("crypten")


def party(crypten: Any, arrays: dict[str, np.ndarray], units: int, epochs: int) -> Any:
    """One process: shares the inputs, trains; its seconds, processor's seconds, megabytes, and the layers in the clear."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    own = {side: torch.tensor(arrays[side], dtype=torch.float32) for side in ("grid", "bank", "label")}
    grid, bank = crypten.cryptensor(own["grid"], src=0), crypten.cryptensor(own["bank"], src=1)
    x, y = crypten.cat([grid, bank], dim=1), crypten.cryptensor(own["label"].unsqueeze(1), src=1)
    nn = crypten.nn
    model = nn.Sequential(nn.Linear(x.size(1), units), nn.ReLU(), nn.Linear(units, 1)).encrypt(src=0)
    model.train()
    start, spent, before = time.monotonic(), time.process_time(), received()
    for _ in range(epochs):
        for low in range(0, len(arrays["label"]) - BATCH + 1, BATCH):
            model.zero_grad()
            u = model(x[low : low + BATCH])
            with crypten.no_grad():
                residual = (u.sigmoid() - y[low : low + BATCH]) * (1.0 / BATCH)
            u.backward(residual)
            model.update_parameters(RATE)
    cost = time.monotonic() - start, time.process_time() - spent, (received() - before) / 1e6
    model.decrypt()
    return cost, [value.detach().numpy().tolist() for value in model.parameters()]


def main(data: str, provider: str, units: int, epochs: int) -> None:
    """The cost, and the weights of both layers, each layer's bias last; of processor and bytes those of both parties."""
    begin, crypten = time.monotonic(), load()
    crypten.cfg.mpc.provider = provider
    with np.load(data) as arrays:
        found = importlib.import_module("crypten.mpc").run_multiprocess(world_size=2)(party)(
            crypten, dict(arrays), units, epochs
        )
    costs, (weights, bias, outer, last) = [cost for cost, _ in found], found[0][1]
    print(
        json.dumps(
            {
                "protocol": provider,
                "sigmoid": "exact",
                "epochs": epochs,
                "train": max(cost[0] for cost in costs),
                "whole": time.monotonic() - begin,
                "processor": sum(cost[1] for cost in costs),
                "megabytes": sum(cost[2] for cost in costs),
                "layers": [[*np.transpose(weights).tolist(), bias], [*outer[0], *last]],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
