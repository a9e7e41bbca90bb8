"""A daemon under a profiler: `python -m tests.bench.profiled MODULE serve ...`, as `python -m MODULE serve ...`.

The environment names a file (OUT) to which a line of JSON is added for each stage it measures: seconds by the wall clock,
processor seconds by kind of work and by kind of thread, seconds spent waiting for others.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

from tests.bench.instruments import Meter, threads

OUT = "WATTSCORE_BENCH_PROFILE"
STAGES_ALONE = "WATTSCORE_BENCH_STAGES_ALONE"  # set: no kind of work is told apart
STAGES = ("train", "score")


_FUNCTIONS = {
    "products": [
        *(f"learn.linear.{file}:{name}" for file in ("products", "deal") for name in ("forward", "backward")),
        "learn.linear.score:forward",
    ],
    "link": [*(f"mpc.link:{kind}.{name}" for kind in ("Fourier", "Taylor") for name in ("table_values", "factors", "public"))],
}
NAMED = [
    *((f"common.{where}", "function", name) for name, places in _FUNCTIONS.items() for where in places),
    ("common.mpc.link:residual", "function", "link"),
    ("common.learn.linear.deal:Masks._link", "function", "link"),
    ("common.learn.linear.deal:Masks.__init__", "function", "other arithmetic"),
    ("common.learn.linear.deal:Masks.deal", "function", "other arithmetic"),
    ("common.learn.linear.learner:train", "coroutine", "other arithmetic"),
    ("common.mpc.session:Session.compute", "compute", "other arithmetic"),
    ("common.mpc.prg:_write", "function", "masks (AES)"),
    ("common.mpc.prg:Prg._stream", "function", "masks (AES)"),
    ("common.wire.peer:FrameChannel.send", "coroutine", "serialisation"),
    ("common.wire.peer:FrameChannel.keep", "function", "serialisation"),
    ("common.wire.dealing:DealtChannel.send", "coroutine", "serialisation"),
    ("common.wire.peer:FrameChannel._read", "coroutine", "serialisation"),
    ("common.wire.client:_codec", "codec", "serialisation"),
    ("common.wire.server:grpc.stream_stream_rpc_method_handler", "handler", "serialisation"),
    ("common.wire.client:Stream.read", "coroutine", "gRPC in Python"),
    ("common.wire.client:Stream.write", "coroutine", "gRPC in Python"),
    ("common.wire.server:Call.read", "coroutine", "gRPC in Python"),
    ("common.wire.server:Call.write", "coroutine", "gRPC in Python"),
    ("common.mpc.session:Session.collect", "waiting", "the other party"),
    ("common.mpc.correlations.dealt:DealtCorrelations._dealt", "waiting", "the dealer"),
    ("common.wire.peer:asyncio.Condition.wait_for", "waiting", "the parties"),
    ("common.mpc.dealer:Dealer.deal", "dealing", "train"),
    ("common.stages.job:PartyJob.stage", "stage", ""),
    ("common.learn.linear.half:PartyModel.partial_scores", "function", "own part of the score"),
    ("common.learn.linear.half:ClosedModel.whitened", "function", "own part of the score"),
    *((f"common.learn.trees.{file}:product", "function", "products") for file in ("tree", "deal")),
    ("common.home.rowbook:row_keys", "function", "ledger: keys of rows"),
    ("common.home.rowbook:RowBook.charge", "function", "ledger: the book"),
    ("bank_party.role:write_scores", "function", "file of scores"),
]  # fmt: skip
"""What is measured: where it is found, how it is wrapped (a verb of Meter, or a function below), and its name in the table."""


def instrument(meter: Meter) -> None:
    """Puts the meter around what NAMED lists, or around stages alone: the rest takes its part of the time of many messages.

    What has moved since raises AttributeError by its name.
    """
    special = {"compute": _computing, "codec": _codec, "handler": _handler, "dealing": _dealing, "stage": _stage}
    for where, how, name in NAMED:
        if os.environ.get(STAGES_ALONE) and how not in ("stage", "dealing"):
            continue
        owner, attribute = locate(where)
        made = getattr(owner, attribute)
        setattr(owner, attribute, special[how](meter, name, made) if how in special else getattr(meter, how)(name, made))


def locate(where: str) -> tuple[Any, str]:
    """`package.module:a.b` as the object `a` and the name `b` in it."""
    module, _, path = where.partition(":")
    *owners, attribute = path.split(".")
    return reduce(getattr, owners, importlib.import_module(module)), attribute


def _computing(meter: Meter, name: str, compute: Any) -> Any:
    async def run(self: Any, work: Callable[[], Any], words: int) -> Any:
        return await compute(self, meter.function(name, work), words)

    return run


def _codec(meter: Meter, name: str, made: Any) -> Any:
    return lambda method: tuple(meter.function(name, work) for work in made(method))


def _handler(meter: Meter, name: str, make: Any) -> Any:
    return lambda run, **codec: make(run, **{key: meter.function(name, work) for key, work in codec.items()})


def _stage(meter: Meter, _: str, stage: Any) -> Any:
    @contextmanager
    def run(self: Any, name: str) -> Iterator[None]:
        with measured(meter, name), stage(self, name):
            yield

    return run


def _dealing(meter: Meter, _: str, deal: Any) -> Any:
    # by the generator that is dealt
    stages = {"deal_training": "train", "deal_trees": "train", "deal_scores": "score", "deal_tree_scores": "score"}

    async def run(self: Any, dealing: Any, *words: int) -> None:
        with measured(meter, stages.get(dealing.gi_code.co_name, "")):
            await deal(self, dealing, *words)

    return run


@contextmanager
def measured(meter: Meter, stage: str) -> Iterator[None]:
    """Adds a line to OUT on what the block cost, if `stage` is one to measure."""
    before, start = _now(meter), time.monotonic()
    yield
    if stage not in STAGES:
        return
    seconds, after = time.monotonic() - start, _now(meter)
    spent = {name: _difference(after[name], before[name]) for name in after}
    with Path(os.environ[OUT]).open("a") as out:
        out.write(json.dumps({"stage": stage, "seconds": seconds, "cores": os.cpu_count(), **spent}) + "\n")


def _now(meter: Meter) -> dict[str, Counter[str]]:
    kinds = threads()
    return {
        "named": meter.totals(),
        "waited": Counter(meter.waited),
        "threads": Counter({kind: times["ran"] for kind, times in kinds.items()}),
        "ready": Counter({kind: times["ready"] for kind, times in kinds.items()}),
        "process": Counter(total=time.process_time_ns()),
    }


def _difference(after: Counter[str], before: Counter[str]) -> dict[str, float]:
    return {name: (value - before[name]) / 1e9 for name, value in after.items() if value > before[name]}


def main() -> None:
    module, sys.argv = sys.argv[1], sys.argv[1:]
    instrument(Meter())
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
