"""Three daemons that are killed, stopped, stalled and cut off from each other, and what must hold all the same."""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from common.client.client import Client
from common.disk.data_folder import Name
from common.home.registry import Registry
from common.home.unfinished import DIRECT
from common.mpc.lattice.sampled import public_seed
from common.mpc.seeds import fingerprint
from common.mpc.session import Kind
from common.plan.job_states import State
from common.trial.forkserver import Running
from common.trial.processes import Trial
from common.wire import coordinator_pb2 as wire
from tests.patience import patience
from tests.scenarios.end_to_end.lab import BANK_POLICY, GRID_POLICY, Lab, dataset_files, eventually, make_tables
from tests.scenarios.kill.lines import Lines
from tests.scenarios.kill.masks import read_frames, seeds_of, twice

DAEMONS, PARTIES = ("coordinator", "grid", "bank"), ("grid", "bank")
NEVER = "exception was never retrieved"  # as asyncio says it
LAST = 8  # lines of a log that an account has
OFTEN = 4  # times as often as by itself a training keeps a point here: so that one of few steps does
LINES = ("grid-coordinator", "bank-coordinator", "bank-grid")
# As exact as scores and weights come: in steps of 1/32 AUCs of equal models differ by themselves.
_FINE = {"finest_score_bits": 16, "own_weights": True, "finest_weight_bits": 16, "half_dealer": True, "no_dealer": True}
_MANY = {"scores_per_row": 1000, **_FINE}  # models of a row: many jobs are about the same rows here


class Disturbed(Trial):
    """Daemons that are victims, with lines between them that can be cut."""

    lines: Lines
    daemons: tuple[str, ...] = DAEMONS
    links: tuple[str, ...] = LINES

    @property
    def parties(self) -> tuple[str, ...]:
        return tuple(name for name in self.daemons if name != "coordinator")

    def data(self, name: str) -> Path:
        return self.folder / f"{name}-data"

    def command(self, name: str) -> list[str]:
        return [sys.executable, "-m", "tests.scenarios.kill.victim", name]

    def _config(self, name: str) -> dict[str, Any]:
        config = super()._config(name)
        for key, target in (("coordinator", "coordinator"), ("peer", "grid")):
            if "address" in config.get(key, {}) and (port := self.ports[target]) is not None:
                line = self.lines.port(f"{name}-{target}", port)
                config[key] = {**config[key], "address": f"127.0.0.1:{line}"}
        return config

    def tell(self, name: str, what: str, text: str | None) -> None:
        """Disturbs a victim from within, or no more; see `victim`."""
        file = self.folder / f"{name}.{what}"
        if text is None:
            file.unlink(missing_ok=True)
        else:
            (part := file.with_suffix(".part")).write_text(text)
            part.replace(file)

    @contextmanager
    def held(self, name: str, when: str, job: Callable[[], str]) -> Iterator[str]:
        """A job that is about to send an array of this process, which waits until this is left, or until it is killed."""
        self.tell(name, "hold", when)
        begun = job()
        eventually(lambda: (self.folder / f"{name}.held").exists(), 60.0)
        try:
            yield begun
        except AssertionError as error:
            error.add_note(self.account())
            raise
        finally:
            self.tell(name, "held", None)

    def dead(self) -> list[str]:
        return [name for name in self.daemons if self.processes[name].poll() is not None]

    def revive(self) -> None:
        """Starts what is dead; whoever does so makes room on its disk first, as no daemon begins on a full one."""
        for name in self.dead():
            self.tell(name, "full", None)
            self.start(name)

    def again(self, name: str) -> None:
        """Stops a daemon in order, if it runs, and starts it."""
        if self.processes[name].poll() is None:
            self.processes[name].terminate()
            self.processes[name].wait(patience(15))
        self.start(name)

    def stall(self, name: str, seconds: float) -> None:
        """A machine that stands still for a while."""
        self.processes[name].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.processes[name].send_signal(signal.SIGCONT)

    def settled(self) -> bool:
        """Whether no party keeps anything of a job that is not over."""
        try:
            kept = [path for party in self.parties for path in (self.data(party) / Name.UNFINISHED).rglob("*")]
        except FileNotFoundError:  # a folder that is being removed
            return False
        return all(path.name == DIRECT for path in kept)  # the folder of jobs that nobody goes on with, itself empty

    def until(self, client: Client, job: str, seconds: float = 90.0) -> wire.Job:
        """The job once it is over, whatever dies meanwhile: that is started again at once."""
        return self.attended(lambda: (found := client.show(job)) and State(found.state).final and found, seconds)

    def attended(self, good: Callable[[], Any], seconds: float) -> Any:
        """What `good` gives once it is true; what is dead is started again, and an answer that fails is asked for again."""
        end, last, pause = time.monotonic() + patience(seconds), None, 0.05
        while time.monotonic() < end:
            self.revive()
            try:
                if found := good():
                    return found
            except Exception as error:  # the coordinator is away
                last = error
            time.sleep(pause)
            pause = min(0.3, 1.3 * pause)  # a look takes client and coordinator some milliseconds
        raise AssertionError(f"not within {patience(seconds):.0f} s; the last answer was {last or 'no'}")

    def account(self) -> str:
        """What each daemon is doing: whether it runs, by which array it was killed in each life that was, its log's end."""
        lines = [f"connections: {self.lines.all_connections()}"]
        for name in self.daemons:
            code, killed = self.processes[name].poll(), self.folder / f"{name}.killed"
            lives = killed.read_text().splitlines() if killed.exists() else ["never"]
            lines.append(f"{name}: {'runs' if code is None else f'ended with {code}'}, killed {'; '.join(lives)}")
            lines += [f"  {line}" for line in self.log(name).read_text(errors="replace").splitlines()[-LAST:]]
        return "\n".join(lines)


class Town(Disturbed, Lab):
    """A lab of these. `rows` is a dataset of both sides."""

    def __init__(self, folder: Path, lines: Lines, **coordinator: Any) -> None:
        settings = {
            "coordinator": {"attend_timeout": patience(20), **coordinator},
            "grid": {"policy": {**GRID_POLICY, **_MANY}},
            "bank": {"policy": {**BANK_POLICY, "label_bits": 1000.0, **_FINE}},
        }
        super().__init__(folder, dataset_files(folder, ("rows",)), settings)
        self.lines = lines
        self.write("rows", *make_tables("K", 2400, grid_columns=36))  # half as many models may score a row

    def begin(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Running:
        return super().begin(command, {"KEPT": str(OFTEN), **environment}, log)


def stored(town: Disturbed, party: str) -> dict[str, list[str]]:
    """What a party has of jobs: names of models, scores and stocks."""
    found = {}
    for name in (Name.MODELS, Name.SCORES, Name.STOCK):
        folder = town.data(party) / name
        found[name.value] = sorted(path.stem for path in folder.iterdir()) if folder.exists() else []
    return found


def faults(town: Town, client: Client, submitted: Sequence[str], failed: Sequence[str] = ()) -> list[str]:
    """What does not hold of these jobs, each of which was to succeed but those that were to fail; empty where all is well."""
    found: list[str] = []

    def must(good: bool, said: str) -> None:
        if not good:
            found.append(said)

    found += states(client, submitted, failed)
    jobs = {job.id: job for job in client.jobs()}
    trained = sorted(job.id for job in jobs.values() if (job.kind, job.state) == ("train", "succeeded"))
    scored = sorted(job.id for job in jobs.values() if (job.kind, job.state) == ("score", "succeeded"))
    grid, bank = (stored(town, party) for party in PARTIES)
    must(grid["models"] == bank["models"] == trained, f"models: {grid['models']}, {bank['models']}, of {trained}")
    must(bank["scores"] == scored, f"scores: {bank['scores']}, of {scored}")
    must(grid["stock"] == bank["stock"], f"stocks: {grid['stock']}, {bank['stock']}")
    must(town.settled(), "something is kept of jobs that are over")
    found += unlooked(town)
    ours, theirs = (Registry(town.data(party) / Name.REGISTRY) for party in PARTIES)
    halves = [[(v.number, v.job, v.digest, v.peer_digest, v.stage) for v in registry.versions()] for registry in (ours, theirs)]
    turned = [(number, job, peer, own, stage) for number, job, own, peer, stage in halves[1]]
    must(halves[0] == turned, f"registries: {halves}")
    must(ours.position == theirs.position, "the registries stand at different moves")
    return [*found, *used_twice(town)]


def states(client: Client, submitted: Sequence[str], failed: Sequence[str]) -> list[str]:
    """What does not hold of the coordinator's list of these jobs."""
    found, jobs = list[str](), {job.id: job for job in client.jobs()}
    if sorted(jobs) != sorted(submitted):
        found.append(f"jobs lost or doubled: {sorted(set(jobs) ^ set(submitted))}")
    wrong = [
        f"{job.id} {job.state} {job.fault.origin} {job.fault.message}".rstrip()
        for job in jobs.values()
        if (job.state == "failed") != (job.id in failed) or not job.ended
    ]
    return [*found, *([f"states: {wrong}"] if wrong else [])]


def unlooked(town: Disturbed) -> list[str]:
    """What daemons' logs have of errors that nobody looked at: each is of work that was begun and given up without a word."""
    lines = {name: town.log(name).read_text(errors="replace").splitlines() for name in town.daemons if town.log(name).exists()}
    said = ((name, at) for name, every in lines.items() for at, line in enumerate(every) if NEVER in line)
    return [f"{name}: an error that nobody looked at: {' '.join(lines[name][at : at + 3])}" for name, at in said]


def used_twice(town: Disturbed) -> list[str]:
    """Charges, masks and seeds that have served more than once; what a grid says to all banks alike is one array."""
    found, public = list[str](), public_seeds(town)
    for party in town.parties:
        told = charges(town.data(party)) if party != "grid" else {}
        if charged := [key for key, count in told.items() if count > 1 and key[1] != "warnings"]:
            found.append(f"{party}: charged twice: {charged}")
        every = read_frames(town.folder, party)
        if party == "grid" and len(town.parties) > 2:
            every = list({(one.kind, one.life, one.values.tobytes()): one for one in every}.values())
        if pairs := twice(every):
            found.append(f"{party}: two values under one mask: {pairs}")
        lives = seeds_of(town.folder / f"{party}.seeds")
        if again := [mark for mark in lives.keys() - public if len(lives[mark]) > 1]:
            found.append(f"{party}: a seed in two lives: {again}")
    return found


def public_seeds(town: Disturbed) -> set[str]:
    """Fingerprints of seeds that are no secret: of public polynomials, under which a model may score in many lives."""
    nonces = {
        party: [one.values.tobytes() for one in read_frames(town.folder, party) if one.kind == Kind.LATTICE_SEED.value]
        for party in town.parties
    }
    banks = [other for party in town.parties if party != "grid" for other in nonces[party]]
    return {fingerprint(public_seed(one + other)).hex() for one in nonces["grid"] for other in banks}


def charges(bank: Path, of: str = "%") -> Counter[tuple[str, str]]:
    """How often each job, or one, was charged for what at the bank of this data folder."""
    with ExitStack() as closing:
        book = sqlite3.connect(bank / Name.TOLD)
        closing.callback(book.close)
        return Counter(book.execute("select job, what from told where job like ?", (of,)).fetchall())
