"""The three real daemons on loopback with throw-away certificates: what `wattscore try`, the demo, tests and benchmarks run."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from common.client.client import Client
from common.config import to_toml
from common.errors import PeerLost
from common.party import Identity
from common.process.settings import ClientSettings, load_settings
from common.trial.forkserver import ENVIRONMENT, MODULE, ForkServer, Running, python, undisturbed
from common.trust.authority import export_bundle, import_bundle, issue, make_ca

GRID, BANK = Identity("try-grid", "grid-party"), Identity("try-bank", "bank-party")
COORDINATOR, CLIENT = Identity("try-neutral", "coordinator"), Identity("try-bank", "client")
_MODULES = {"coordinator": "common.coordinator", "grid": "grid_party", "bank": "bank_party"}
_ROLES = {"coordinator": COORDINATOR, "grid": GRID, "bank": BANK, "client": CLIENT}
_PORTS = range(20_000, 32_000)
_START = 180.0  # seconds a daemon has to be ready: two or three on an idle machine
_STOP = 15.0  # seconds it has to end when asked, before it is killed


def more_bank(name: str) -> Identity:
    """A further bank, by the name of its process: bank-2, bank-3 and so on."""
    return Identity(f"try-{name}", BANK.role)


def make_certificates(folder: Path, more_banks: Sequence[str] = ()) -> None:
    """Each organisation's CA, a certificate for each process and the client, and the bundles handed to each other."""
    roles = [*_ROLES.values(), *map(more_bank, more_banks)]
    orgs = sorted({identity.org for identity in roles})
    for org in orgs:
        make_ca(org, folder / org)
    for identity in roles:
        issue(folder / identity.org, identity, folder / identity.org)
    for holder in orgs:
        for org in orgs:
            if not (folder / holder / "trust" / f"{org}.pem").exists():
                import_bundle(export_bundle(folder / org), folder / holder / "trust", org)


def free_ports(count: int, held: ExitStack) -> list[int]:
    """Ports of loopback on which nobody listens, from below those that the system gives to outgoing connections.

    Whoever else asks here gets none of them until `held` is left, in this process or another: so long the UDP port of the same
    number, which nothing else here uses, is bound. A daemon may so start late on its port, or once more.
    """
    ports: list[int] = []
    while len(ports) < count:
        with ExitStack() as tried, suppress(OSError):  # taken: another one is tried
            port = secrets.choice(_PORTS)
            tried.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind(("127.0.0.1", port))
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", port))
            held.push(tried.pop_all())
            ports.append(port)
    return ports


def end_in_order() -> None:
    """From now on SIGTERM ends this process as Ctrl-C does, by leaving every context.

    Once its daemons are being stopped a further one changes nothing: that takes no longer than `Trial.stop` says.
    """
    signal.signal(signal.SIGTERM, _end)


def _end(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell's script starts what it ends with `&`
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


class Trial:
    """Use as a context manager: entering starts the daemons, leaving stops them, whatever happened in between."""

    def __init__(
        self,
        folder: Path,
        datasets: Mapping[str, Mapping[str, Any]],
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        via: Callable[[int], int] = lambda port: port,
        meanwhile: Callable[[], None] = lambda: None,
        forks: ForkServer | None = None,
    ) -> None:
        """datasets: party name -> dataset name -> DatasetConfig as a mapping. settings: further ones of a process, by its name.

        Parties beside the grid and the bank are further banks, named bank-2, bank-3 and so on.

        via: the local port by which a party reaches another process's port; a benchmark puts a slow line there.

        meanwhile: what is done while the daemons start; what it raises stops them.

        forks: whose copies the daemons are; without, they are started anew.
        """
        self.folder, self._datasets, self._settings, self._via = folder, datasets, settings or {}, via
        self._meanwhile, self._forks = meanwhile, forks
        self.more_banks = tuple(name for name in datasets if name not in _MODULES)
        self.names = (*_MODULES, *self.more_banks)
        self.processes: dict[str, Running] = {}
        self.ports: dict[str, int | None] = {}
        self.reserved = ExitStack()  # left once the daemons have ended

    def __enter__(self) -> Self:
        try:
            if not (self.folder / "certs").exists():
                make_certificates(self.folder / "certs", self.more_banks)
            self.ports |= zip(self.names, free_ports(len(self.names), self.reserved), strict=True)
            if self._forks is not None:  # which still imports, and whose copies start at once
                self._meanwhile()
            for name in self.names:
                self.launch(name)
            if self._forks is None:
                self._meanwhile()
            for name in self.names:
                self.await_ready(name)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGTERM) is _end:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # stays so while Python ends, which no other handler does
        self._leave()

    def _leave(self) -> None:
        with self.reserved:
            self.stop()

    def start(self, name: str) -> None:
        """Starts one daemon (again), on its former port if it had one, and waits until it is ready."""
        self.launch(name)
        self.await_ready(name)

    def launch(self, name: str) -> None:
        """Starts one daemon and does not wait for it."""
        config, ready = self.folder / f"{name}.toml", self._ready(name)
        config.write_text(to_toml(self._config(name)), encoding="utf-8")
        ready.unlink(missing_ok=True)
        command = [*self.command(name), "serve", "--config", str(config), "--ready-file", str(ready)]
        with undisturbed():
            self.processes[name] = self.begin(command, {**os.environ, **ENVIRONMENT}, self.log(name))

    def begin(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Running:
        """The process of a daemon, which writes to the end of `log`."""
        if self._forks is not None and MODULE in command:
            return self._forks.start(command, environment, log)
        with log.open("ab") as out:
            return subprocess.Popen(  # noqa: S603
                command,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches this process, which then stops them in order
                env=dict(environment),
            )

    def await_ready(self, name: str) -> None:
        """Until a launched daemon is ready. Raises PeerLost with the end of its log if it ends or takes too long."""
        end, ready = time.monotonic() + _START, self._ready(name)
        while not ready.exists():
            if self.processes[name].poll() is not None:
                raise self._not_started(name, "did not start")
            if time.monotonic() > end:
                raise self._not_started(name, f"runs, and was not ready within {_START:.0f} s")
            time.sleep(0.02)
        self.ports[name] = json.loads(ready.read_text())["port"]

    def _not_started(self, name: str, how: str) -> PeerLost:
        tail = self.log(name).read_text(errors="replace").strip().splitlines()[-3:]
        return PeerLost(f"the {name} {how}: " + " | ".join(tail), remedy=f"Its log is {self.log(name)}.")

    def _ready(self, name: str) -> Path:
        return self.folder / f"{name}.ready"

    def command(self, name: str) -> list[str]:
        """The command that runs the daemon `name`, without its options; a benchmark puts a profiler in front."""
        return python(_MODULES.get(name, _MODULES["bank"]))

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def kill(self, name: str) -> None:
        """Ends a daemon at once, as a crash would."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> None:
        """Ends all daemons: SIGTERM, then after 15 s SIGKILL. A second Ctrl-C is heard after that."""
        with undisturbed():
            for process in self.processes.values():
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            end = time.monotonic() + _STOP
            for process in self.processes.values():
                try:
                    process.wait(max(0.1, end - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def client(self) -> Client:
        path = self.folder / "client.toml"
        address = f"127.0.0.1:{self.ports['coordinator']}"
        path.write_text(to_toml({"tls": self._tls(CLIENT), "coordinator": {"identity": str(COORDINATOR), "address": address}}))
        return Client(load_settings(ClientSettings, path))

    def _tls(self, who: Identity) -> dict[str, Path]:
        home = self.folder / "certs" / who.org
        return {"certificate": home / f"{who.role}.pem", "key": home / f"{who.role}.key", "trust": home / "trust"}

    def _dialled(self, name: str) -> str:
        port = self.ports[name]
        assert port is not None  # noqa: S101
        return f"127.0.0.1:{self._via(port)}"

    def _config(self, name: str) -> dict[str, Any]:
        listen = f"127.0.0.1:{self.ports.get(name) or 0}"
        who, more = _ROLES.get(name) or more_bank(name), [str(more_bank(bank)) for bank in self.more_banks]
        own: dict[str, Any] = {"listen": listen, "data": self.folder / f"{name}-data", "tls": self._tls(who)}
        own |= self._settings.get(name, {})
        if name == "coordinator":
            banks = {"more_banks": more} if more else {}
            return {"grid": str(GRID), "bank": str(BANK), **banks, "clients": [str(CLIENT)], **own}
        if name == "grid" and more:
            own["more_banks"] = more
        elif more:
            policy: Mapping[str, Any] = own.get("policy", {})
            own["policy"] = {"with_banks": [str(BANK), *more], **policy}
        coordinator = {"identity": str(COORDINATOR), "address": self._dialled("coordinator")}
        peer = {"identity": str(BANK)} if name == "grid" else {"identity": str(GRID), "address": self._dialled("grid")}
        return {"coordinator": coordinator, "peer": peer, "datasets": self._datasets[name], **own}
