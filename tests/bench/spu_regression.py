"""Logistic regression by SPU, as a Python of its own runs it: `python spu_regression.py INPUT.npz PROTOCOL SIGMOID EPOCHS`.

Nothing of this project is imported: the package `spu` pins other versions of numpy. Two processes over loopback (brpc, without
TLS) hold one party each, as in SPU's own examples; prints one line of JSON. semi2k takes its products' randomness from one of
the two parties, which could read everything (its default); cheetah makes it by oblivious transfer between the two.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import socket
import sys
import time
from typing import Any

import numpy as np

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


def config(protocol: str) -> Any:
    spu = importlib.import_module("spu.libspu")
    return spu.RuntimeConfig(
        protocol={"semi2k": spu.ProtocolKind.SEMI2K, "cheetah": spu.ProtocolKind.CHEETAH}[protocol],
        field=spu.FieldType.FM64,
        fxp_fraction_bits=18,
    )


def party(rank: int, protocol: str, addresses: list[str], code: Any, shares: list[Any], pipe: Any) -> None:
    """One process: connects, takes its shares, runs, gives back its share of the weights and the seconds of the run."""
    spu, api = importlib.import_module("spu.libspu"), importlib.import_module("spu.api")
    desc = spu.link.Desc()
    desc.recv_timeout_ms = 600_000
    for number, address in enumerate(addresses):
        desc.add_party(f"party{number}", address)
    link = spu.link.create_brpc(desc, rank)
    runtime = api.Runtime(link, config(protocol))
    executable = spu.Executable(*code)
    for name, share in zip(executable.input_names, shares, strict=True):
        runtime.set_var(name, share)
    link.barrier()
    start = time.monotonic()
    runtime.run(executable)
    seconds = time.monotonic() - start
    pipe.send((seconds, [runtime.get_var(name) for name in executable.output_names]))
    pipe.recv()  # the other may still need this end
    link.stop_link()


def free_addresses() -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    found = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    return found


def run(data: dict[str, np.ndarray], protocol: str, name: str, epochs: int) -> dict[str, Any]:
    """Compiles, shares, trains; seconds of the training alone and of everything, and the weights, intercept last."""
    begin = time.monotonic()
    spu, api = importlib.import_module("spu.libspu"), importlib.import_module("spu.api")
    frontend = importlib.import_module("spu.utils.frontend")
    inputs = [data[side].astype(np.float32) for side in ("grid", "bank", "label")]
    secret = spu.Visibility.VIS_SECRET
    executable, _ = frontend.compile(
        frontend.Kind.JAX, make_fit(name, len(inputs[2]), epochs), inputs, {}, ["grid", "bank", "label"], [secret] * 3,
        lambda flat: [f"out{i}" for i in range(len(flat))],
    )  # fmt: skip
    io = api.Io(2, config(protocol))
    shares = list(zip(*(io.make_shares(x, secret) for x in inputs), strict=True))
    code = (executable.name, executable.input_names, executable.output_names, executable.code)
    addresses, context = free_addresses(), multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(2)]
    processes = [
        context.Process(target=party, args=(rank, protocol, addresses, code, list(shares[rank]), pipes[rank][1]))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    results = [pipe.recv() for pipe, _ in pipes]
    for pipe, _ in pipes:
        pipe.send(None)
    for process in processes:
        process.join(10.0)
    weights = io.reconstruct([outputs[0] for _, outputs in results])
    return {
        "protocol": protocol,
        "sigmoid": name,
        "epochs": epochs,
        "train": max(seconds for seconds, _ in results),
        "whole": time.monotonic() - begin,
        "weights": np.asarray(weights, np.float64).tolist(),
    }


if __name__ == "__main__":
    with np.load(sys.argv[1]) as arrays:
        result = run(dict(arrays), sys.argv[2], sys.argv[3], int(sys.argv[4]))
    print(json.dumps(result))
