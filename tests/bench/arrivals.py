"""Requests that arrive whether or not the last one was answered: latency is counted from when each was to be sent.

A loop that waits for each answer sends nothing while the service stands still, and so never measures that it did.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from common.mpc.fixedpoint import Reals


@dataclass
class Arrived:
    """milliseconds: from the planned arrival to the whole answer, of each request; failed: what was answered instead.

    late: the most seconds by which a request was sent after its time, since no connection was free.
    """

    milliseconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    late: float = 0.0


def planned(rate: float, seconds: float, seed: int = 1) -> Reals:
    """Seconds from the start at which requests arrive, at random and independently (Poisson), `rate` a second."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1.0 / rate, max(1, int(rate * seconds * 2) + 20))
    times: Reals = np.cumsum(gaps)
    return times[times < seconds]


def offer(times: Reals, callers: Sequence[Callable[[int], str | None]]) -> Arrived:
    """Has the callers, one connection each, send request k at second times[k].

    callers: send the request of this number, and say what was wrong with the answer, if anything.
    """
    found, lock, turn = Arrived(), threading.Lock(), itertools.count()
    begun = time.perf_counter()

    def work(ask: Callable[[int], str | None]) -> None:
        while (k := next(turn)) < len(times):
            due = begun + float(times[k])
            time.sleep(max(0.0, due - time.perf_counter()))
            sent = time.perf_counter()
            try:
                wrong = ask(k)
            except OSError as error:
                wrong = type(error).__name__
            took = 1e3 * (time.perf_counter() - due)
            with lock:
                found.late = max(found.late, sent - due)
                if wrong is None:
                    found.milliseconds.append(took)
                else:
                    found.failed.append(wrong)

    threads = [threading.Thread(target=work, args=(ask,)) for ask in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
