"""A computation by SPU's two parties, each a process, over loopback (brpc, without TLS), as in SPU's own examples.

Nothing of this project is imported: the package `spu` pins other versions of numpy. semi2k takes its products' randomness from
one of the two parties, which could read everything (its default); cheetah makes it by oblivious transfer between the two.
"""

from __future__ import annotations

import importlib
import multiprocessing
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from received import received  # beside this file


def run(work: Callable[..., Any], inputs: Sequence[np.ndarray], protocol: str) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Compiles, shares the inputs, computes; what it cost, and what `work` returned, in the clear.

    train: seconds of the computation alone. whole: of everything. processor: seconds that both parties spent on it. megabytes:
    that both received.
    """
    begin = time.monotonic()
    spu, api = importlib.import_module("spu.libspu"), importlib.import_module("spu.api")
    frontend = importlib.import_module("spu.utils.frontend")
    secret, names = spu.Visibility.VIS_SECRET, [f"in{i}" for i in range(len(inputs))]
    executable, _ = frontend.compile(
        frontend.Kind.JAX, work, inputs, {}, names, [secret] * len(inputs), lambda flat: [f"out{i}" for i in range(len(flat))]
    )
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
    outputs = [np.asarray(io.reconstruct(list(each)), np.float64) for each in zip(*(r[-1] for r in results), strict=True)]
    cost = {
        "protocol": protocol,
        "train": max(r[0] for r in results),
        "whole": time.monotonic() - begin,
        "processor": sum(r[1] for r in results),
        "megabytes": sum(r[2] for r in results) / 1e6,
    }
    return cost, outputs


def config(protocol: str) -> Any:
    spu = importlib.import_module("spu.libspu")
    return spu.RuntimeConfig(
        protocol={"semi2k": spu.ProtocolKind.SEMI2K, "cheetah": spu.ProtocolKind.CHEETAH}[protocol],
        field=spu.FieldType.FM64,
        fxp_fraction_bits=18,
    )


def party(rank: int, protocol: str, addresses: list[str], code: Any, shares: list[Any], pipe: Any) -> None:
    """One process: connects, takes its shares, runs; sends seconds, those of the processor, bytes and shares of outputs."""
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
    start, spent, before = time.monotonic(), time.process_time(), received()
    runtime.run(executable)
    cost = time.monotonic() - start, time.process_time() - spent, received() - before
    pipe.send((*cost, [runtime.get_var(name) for name in executable.output_names]))
    pipe.recv()  # the other may still need this end
    link.stop_link()


def free_addresses() -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    found = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    return found
