"""Arrays both ways between a grid and a bank over one lane and several, by the product's own Door and Dial over mTLS.

    python -m tests.bench.lanes --lanes 1,2,4 --size 2000000 --rounds 4 --grid-in NAME --bank-in NAME --listen 10.77.0.1:7443

runs the two in network namespaces that a link connects, as `tc` or something else shapes it; without names over loopback.
Prints one line of JSON for each number of lanes: Mbit/s each way, processor seconds of both processes from when they have met.
"""

from __future__ import annotations

# isort: split
from common.wire.tls import Credentials, TlsConfig

# isort: split
import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from bank_party.dial import Dial
from common.mpc.session import Kind, Round
from common.party import Identity
from common.trial.processes import free_ports
from common.trust.authority import export_bundle, import_bundle, issue, make_ca
from common.wire.client import Connection
from common.wire.methods import PEER
from common.wire.peer import Counter, FrameChannel, Stands
from common.wire.server import Service, serve
from grid_party.listen import Door
from tests.source import ROOT

GRID, BANK = Identity("volt", "grid-party"), Identity("acme", "bank-party")
_JOB, _DIGEST = "lanes", bytes(32)


class _NoLogs:
    """Audit logs that say nothing."""

    def stands(self) -> Stands:
        return Stands()

    def is_late(self, theirs: Stands) -> bool:
        return False

    was_late = is_late

    def take(self, theirs: Stands) -> None:
        pass


def certificates(folder: Path) -> None:
    for identity in (GRID, BANK):
        make_ca(identity.org, folder / identity.org)
        issue(folder / identity.org, identity, folder / identity.org)
    for own, other in ((GRID, BANK), (BANK, GRID)):
        import_bundle(export_bundle(folder / other.org), folder / own.org / "trust", other.org)


def _load(folder: Path, identity: Identity) -> Credentials:
    home = folder / identity.org
    pair = {"certificate": home / f"{identity.role}.pem", "key": home / f"{identity.role}.key"}
    return Credentials.load(TlsConfig(**pair, trust=home / "trust"))


async def exchange(channel: FrameChannel, size: int, rounds: int) -> dict[str, float]:
    """Seconds of so many rounds of `size` bytes each way, and this process's processor seconds."""
    values, began, busy = np.arange(size // 8, dtype=np.uint64), time.perf_counter(), time.process_time()
    for number in range(1, rounds + 1):
        label = Round(Kind.MASKED_U, number)
        sending = asyncio.create_task(channel.send(label, values))
        if not np.array_equal(await channel.receive(label), values):
            raise SystemExit("what arrived is not what was sent")
        await sending
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - busy}


async def grid(folder: Path, address: str, lanes: int, size: int, rounds: int) -> dict[str, float]:
    """The grid's end: it says that it listens, serves one job, and waits for a line on its input before it goes."""
    logs: Any = _NoLogs()
    door = Door(BANK)
    door.expect(_JOB)
    service = Service(PEER, {"Exchange": door.exchange})
    server = await serve(address, _load(folder, GRID), [BANK.org], [service], origin="grid")
    print("listening", flush=True)
    channel = await door.meet(_JOB, _DIGEST, Counter(), logs, lanes=lanes)
    found = await exchange(channel, size, rounds)
    print("through", flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # what it has sent is still on its way
    await channel.stop()
    door.forget(_JOB)
    await server.stop()
    return found


async def bank(folder: Path, address: str, lanes: int, size: int, rounds: int) -> dict[str, float]:
    """The bank's end: it dials, and goes once it is told, as the grid does."""
    logs: Any = _NoLogs()
    connection = Connection(address, GRID, _load(folder, BANK))
    dial = Dial(connection)
    dial.expect(_JOB)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # the grid waits for so long only as a grid does
    channel = await dial.meet(_JOB, _DIGEST, Counter(), logs, lanes=lanes)
    found = await exchange(channel, size, rounds)
    print("through", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await channel.stop()
    dial.forget(_JOB)
    await connection.close()
    return found


def _line(end: subprocess.Popen[str]) -> None:
    """Waits for what an end says."""
    assert end.stdout is not None
    if not end.stdout.readline():
        raise SystemExit("an end has failed: its cause is above")


def measure(
    lanes: int, size: int, rounds: int, listen: str = "", grid_in: str = "", bank_in: str = "", patience: float = 300.0
) -> dict[str, Any]:
    """Of rounds of `size` bytes each way over so many lanes. grid_in, bank_in: network namespaces. patience: seconds."""
    with tempfile.TemporaryDirectory(prefix="wattscore-bench-") as name, ExitStack() as reserved:
        listen = listen or f"127.0.0.1:{free_ports(1, reserved)[0]}"
        certificates(Path(name))
        asked = [name, listen, str(lanes), str(size), str(rounds)]
        ends = list[subprocess.Popen[str]]()
        try:
            for role, within in (("grid", grid_in), ("bank", bank_in)):
                command = [*(["ip", "netns", "exec", within] if within else []), sys.executable, "-m", __spec__.name]
                pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
                ends.append(subprocess.Popen([*command, "--role", role, *asked], **pipes))
            for end in reversed(ends):
                _line(end)
            assert ends[1].stdin is not None
            ends[1].stdin.write("\n")
            ends[1].stdin.flush()
            for end in ends:
                _line(end)
            found = [json.loads(end.communicate("\n", patience)[0].splitlines()[-1]) for end in reversed(ends)]
        finally:
            for end in ends:
                end.kill()
                end.wait()
    seconds = max(one["seconds"] for one in found)
    mbit, cpu, load = 8 * size * rounds / seconds / 1e6, sum(one["cpu"] for one in found), os.getloadavg()[0]
    return {"lanes": lanes, "mbit": round(mbit, 1), "cpu": round(cpu, 2), "load": round(load, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", default="1,2,4")
    parser.add_argument("--size", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--listen", default="")
    parser.add_argument("--grid-in", default="")
    parser.add_argument("--bank-in", default="")
    parser.add_argument("--role", nargs=6, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        role, folder, address, *numbers = given.role
        end = {"grid": grid, "bank": bank}[role]
        print(json.dumps(asyncio.run(end(Path(folder), address, *map(int, numbers)))), flush=True)
        return
    for lanes in map(int, given.lanes.split(",")):
        print(json.dumps(measure(lanes, given.size, given.rounds, given.listen, given.grid_in, given.bank_in)), flush=True)


if __name__ == "__main__":
    main()
