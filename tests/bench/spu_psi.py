"""Matching by SPU, as a Python of its own runs it: `python spu_psi.py GRID.csv BANK.csv PROTOCOL`, files of one column `id`.

Nothing of this project is imported: the package `spu` pins other versions of numpy. Two processes over loopback (brpc, without
TLS) hold one party each; prints one line of JSON. PROTOCOL is RR22 or ECDH (over Curve25519), in one bucket.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from spu_run import free_addresses  # beside this file

_TIMEOUT = 600_000  # milliseconds that one party waits for the other


def config(protocol: str, source: str, result: Path, ids: int) -> Any:
    psi = importlib.import_module("spu.psi")
    csv = psi.SourceType.SOURCE_TYPE_FILE_CSV
    how = psi.PsiProtocolConfig(
        getattr(psi.PsiProtocol, f"PROTOCOL_{protocol}"), receiver_rank=0, bucket_size=ids, broadcast_result=True,
        ecdh_params=psi.EcdhParams(psi.EllipticCurveType.CURVE_25519),
    )  # fmt: skip
    given = psi.InputParams(csv, source, ["id"], keys_unique=True)
    return psi.PsiExecuteConfig(how, given, psi.OutputParams(csv, str(result), disable_alignment=True))


def party(rank: int, protocol: str, addresses: list[str], sources: list[str], ids: int, pipe: Any) -> None:
    """Connects, waits until the other one is too, matches; sends seconds and the number of common ids."""
    link, psi = importlib.import_module("spu.libspu").link, importlib.import_module("spu.psi")
    desc = link.Desc()
    for number, address in enumerate(addresses):
        desc.add_party(f"P{number}", address)
    desc.recv_timeout_ms = desc.http_timeout_ms = _TIMEOUT
    context = link.create_brpc(desc, rank)
    pipe.send(None)
    pipe.recv()
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        found = psi.psi_execute(config(protocol, sources[rank], Path(folder) / "common.csv", ids), context)
        pipe.send((time.monotonic() - begin, int(found.intersection_count)))
    pipe.recv()  # the other one may still want an answer


def run(sources: list[str], protocol: str) -> dict[str, Any]:
    ids = max(Path(source).read_bytes().count(b"\n") - 1 for source in sources)
    addresses, context = free_addresses(), multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(2)]
    processes = [
        context.Process(target=party, args=(rank, protocol, addresses, sources, ids, pipes[rank][1])) for rank in range(2)
    ]
    for process in processes:
        process.start()
    for step in range(2):
        results = [pipe.recv() for pipe, _ in pipes]
        for pipe, _ in pipes:
            pipe.send(step)
    for process in processes:
        process.join(10.0)
    return {"protocol": protocol, "seconds": max(seconds for seconds, _ in results), "matched": results[0][1]}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1:3], sys.argv[3])))
