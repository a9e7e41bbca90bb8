"""The only module that imports Ray: a process of its own beside a command, which it speaks to in lines of JSON.

Ray unpickles what its workers and its head send. That happens here, where no row is, nor a book; the command reads text.
Ray is told to repeat nothing: what is lost is placed again here, as a file under another name.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import sys
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.errors import ConfigError
from common.scale.reach import check_tls
from common.scale.settings import SILENCE, RayCluster
from common.scale.work import do, kind, look

_TRIES = 3  # of a part whose worker was lost
_AHEAD = 2  # parts at a node for each of its processors: one is done, one waits
_MANY, _LEAST, _UNKNOWN = 20, 30.0, 600.0  # times the slowest part done, but seconds at least, and while none is done: a part
# that takes longer stands still, on a worker that is stopped, or a disk that does not answer
_WAIT, _LOOK = 0.5, 2.0  # seconds between words to the command, and between looks at the cluster
_FIRST = SILENCE / 2  # seconds in which the head has to answer at first
_AGAIN = SILENCE / 4  # and at each of both questions of a look, during which the command hears no word
_PATIENCE = 60.0  # seconds in which a node must have started a worker and looked at itself
_RELEASE = "2.60."
_SEE_TO = "Look at the memory of the nodes, and at the disk of `scratch`; --memory-mib makes parts smaller."
_DO, _SEE = ray.remote(do), ray.remote(look)  # Ray pickles their names, as they are in a module of ours, and no code


class Driver:
    """One command's work on the cluster. Raises ConfigError for what is refused and for what is lost too often."""

    def __init__(self, cluster: RayCluster, scratch: str, token: str, out: TextIO) -> None:
        """scratch, token: the run's folder, and a file in it that every node must see."""
        self._cluster, self._scratch, self._token, self._out = cluster, scratch, token, out
        self._gcs: Any = None
        self._nodes: dict[str, dict[str, Any]] = {}
        self._still: Counter[str] = Counter()  # parts that were given up at each node, whose processors they may still have
        self._slowest = 0.0  # seconds of a part that was done, from when it was placed
        self._asked: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def start(self) -> None:
        """Looks at the cluster, joins it and looks at every node."""
        if not ray.__version__.startswith(_RELEASE):
            raise ConfigError(f"Ray {ray.__version__} is installed", remedy=f"Install {_RELEASE}*: '.[ray]' names it.")
        self._gcs = _ask(self._cluster.address)
        nodes = _alive(self._gcs)
        for address, *ports in {(n["address"], n["manager"], n["objects"]) for n in nodes.values()}:
            for port in ports:
                check_tls(self._cluster, address, port)
        _refuse_others(self._gcs, own=None)
        local = next((n["address"] for n in nodes.values() if _is_local(n["address"])), None)
        if local is None:
            known = ", ".join(sorted(n["address"] for n in nodes.values()))
            raise ConfigError(
                f"this machine is no node of the cluster ({known})", remedy="Run the command on one of its nodes."
            )
        joined = ray.init(
            self._cluster.address,
            _node_ip_address=local,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.CRITICAL,
        )
        if joined.dashboard_url:
            raise ConfigError(
                "the cluster has a dashboard, which runs code for whoever reaches it",
                remedy="Start its head with --include-dashboard=false.",
            )
        self._nodes = {key: node for key, node in nodes.items() if node["processors"] >= 1}
        if not self._nodes:
            raise ConfigError("no node of the cluster has a processor to give", remedy="Start one with --num-cpus=1 or more.")
        self._look_at_all()
        listed = {n["address"]: n["processors"] for n in self._nodes.values()}
        self._say(ready=listed)

    def _look_at_all(self) -> None:
        own = kind()
        looks = {
            self._call(_SEE, key, 0, node["folder"], self._scratch, self._token): node for key, node in self._nodes.items()
        }
        done, late = ray.wait(list(looks), num_returns=len(looks), timeout=_PATIENCE)
        for ref in late:
            raise ConfigError(f"node {looks[ref]['address']} did not start a worker", remedy="Look at the logs in its folder.")
        for ref in done:
            where = f"node {looks[ref]['address']}"
            try:
                found = json.loads(ray.get(ref))
            except ray.exceptions.RayError as error:
                said = type(getattr(error, "cause", None) or error).__name__
                raise ConfigError(
                    f"{where} cannot run WattScore ({said})", remedy="Install the same image on every node."
                ) from None
            unlike = [name for name in own if found["kind"].get(name) != own[name]]
            if unlike:
                told = ", ".join(f"{name} {found['kind'].get(name)} and {own[name]} here" for name in unlike)
                raise ConfigError(f"{where} is of another kind: {told}", remedy="Use one image, and processors of one kind.")
            if found["user"] != os.geteuid():
                raise ConfigError(f"{where} runs as another user", remedy="Run nodes and command as one user of their own.")
            if found["open"]:
                raise ConfigError(
                    f"{where}: other users can enter Ray's folder {found['folder']}",
                    remedy="Give `ray start` a --temp-dir within a folder of mode 0700: Ray opens the one it is given.",
                )
            if not found["scratch"]:
                raise ConfigError(
                    f"{where} does not have the folder {Path(self._scratch).parent}",
                    remedy="Mount the same `scratch` on every node, under the same path, writable.",
                )

    def _call(self, work: Any, key: str, processors: int, *given: str) -> Any:
        there = NodeAffinitySchedulingStrategy(key, soft=False)
        return work.options(max_retries=0, num_cpus=processors, scheduling_strategy=there).remote(*given)

    def listen(self, lines: TextIO) -> None:
        """Queues what the command asks, in a thread; None once it has nothing more to ask, or is gone."""

        def read() -> None:
            for line in lines:
                self._asked.put(json.loads(line))
            self._asked.put(None)

        threading.Thread(target=read, daemon=True).start()

    def work(self) -> None:
        """Until the command is done: places parts, and says of each what it came to."""
        waiting: deque[dict[str, Any]] = deque()
        running: dict[Any, tuple[dict[str, Any], str]] = {}
        looked, open_ = time.monotonic(), True
        while open_:
            open_ = self._hear(waiting, idle=not running)
            self._place(waiting, running)
            if running:
                done, _ = ray.wait(list(running), timeout=_WAIT)
                for ref in done:
                    part, key = running.pop(ref)
                    self._settle(ref, part, key, waiting)
                self._give_up(waiting, running, time.monotonic())
            self._say(beat=len(running))
            if time.monotonic() - looked > _LOOK:
                self._refresh()
                looked = time.monotonic()

    def _hear(self, waiting: deque[dict[str, Any]], idle: bool) -> bool:
        try:
            asked = self._asked.get(timeout=_WAIT if idle and not waiting else 0.001)
            while asked is not None:
                waiting.append({**asked, "tries": 0})
                asked = self._asked.get_nowait()
        except queue.Empty:
            return True
        return False

    def _place(self, waiting: deque[dict[str, Any]], running: dict[Any, tuple[dict[str, Any], str]]) -> None:
        while waiting:
            taken = Counter(at for _, at in running.values()) + self._still
            used = {key: taken[key] / node["processors"] for key, node in self._nodes.items()}
            if not used:
                raise ConfigError("every node of the cluster that had a processor is lost", remedy="Start them again.")
            key = min(used, key=lambda k: used[k])
            if used[key] >= _AHEAD:
                if not running:
                    raise ConfigError("parts stand still on every node of the cluster", remedy=_SEE_TO)
                return
            part = waiting.popleft()
            made = f"{part['made']}.{part['tries']}"
            ref = self._call(_DO, key, 1, part["work"], part["given"], part["digest"], made)
            running[ref] = ({**part, "file": made, "since": time.monotonic()}, key)

    def _give_up(self, waiting: deque[dict[str, Any]], running: dict[Any, tuple[dict[str, Any], str]], now: float) -> None:
        """Places anew what stands still. Whichever is done later writes a file that nobody reads."""
        most = max(_LEAST, _MANY * self._slowest) if self._slowest else _UNKNOWN
        for ref, (part, key) in list(running.items()):
            if now - part["since"] > most:
                del running[ref]
                with suppress(ray.exceptions.RayError):
                    ray.cancel(ref, force=True)  # what waits is taken away; a worker that is stopped does not hear of it
                self._still[key] += 1
                self._again(part, key, "it stands still", waiting)

    def _settle(self, ref: Any, part: dict[str, Any], key: str, waiting: deque[dict[str, Any]]) -> None:
        where = self._where(key)
        try:
            found = json.loads(ray.get(ref))
        except ray.exceptions.RayTaskError as error:
            said, cause = type(error.cause).__name__, error.cause
            if isinstance(cause, OSError) and cause.errno:
                said += f" ({os.strerror(cause.errno)})"
            raise ConfigError(
                f"part {part['part']} on {where}: {said}",
                remedy="See to the disk of `scratch` there, and that every node has the same image.",
            ) from None
        except ray.exceptions.RayError as error:
            self._again(part, key, type(error).__name__, waiting)
            return
        self._slowest = max(self._slowest, time.monotonic() - part["since"])
        self._say(done=part["part"], file=part["file"], node=where, **found)

    def _again(self, part: dict[str, Any], key: str, why: str, waiting: deque[dict[str, Any]]) -> None:
        """Places a part that was lost anew. Raises ConfigError for the third time."""
        where = self._where(key)
        part["tries"] += 1
        if part["tries"] >= _TRIES:
            raise ConfigError(f"part {part['part']} was lost {_TRIES} times, last on {where} ({why})", remedy=_SEE_TO)
        self._say(lost=part["part"], node=where, why=why)
        self._refresh()
        waiting.appendleft(part)

    def _where(self, key: str) -> str:
        return str(self._nodes.get(key, {}).get("address", "a node that is lost"))

    def _refresh(self) -> None:
        alive = _alive(self._gcs)
        self._nodes = {key: node for key, node in self._nodes.items() if key in alive}
        _refuse_others(self._gcs, own=ray.get_runtime_context().get_job_id())

    def _say(self, **said: Any) -> None:
        say(self._out, **said)


def say(out: TextIO, **said: Any) -> None:
    out.write(json.dumps(said) + "\n")
    out.flush()


def _ask(address: str) -> Any:
    """A line to the head's books. Raises ConfigError where the token is refused."""
    try:
        found = ray._raylet.GcsClient(address=address)
        found.get_all_node_info(timeout=_FIRST)
    except ray.exceptions.AuthenticationError:
        raise ConfigError(
            "the cluster refuses the token", remedy="Name the file of the token that its nodes were started with."
        ) from None
    except ray.exceptions.RaySystemError as error:
        raise ConfigError(f"the cluster's head does not answer ({type(error).__name__})", remedy="Look at its logs.") from None
    return found


def _alive(gcs: Any) -> dict[str, dict[str, Any]]:
    return {
        key.hex(): {
            "address": node.node_manager_address,
            "manager": node.node_manager_port,
            "objects": node.object_manager_port,
            "folder": node.session_dir,
            "processors": int(node.resources_total.get("CPU", 0)),
        }
        for key, node in gcs.get_all_node_info(timeout=_AGAIN).items()
        if node.state == 0  # ALIVE
    }


def _refuse_others(gcs: Any, own: str | None) -> None:
    """Raises ConfigError where another driver works on the cluster: who runs code there reads what this one's files hold."""
    for job in gcs.get_all_job_info(timeout=_AGAIN).values():
        if not job.is_dead and job.job_id.hex() != own:
            who = f"process {job.driver_pid} of {job.driver_ip_address or job.driver_address.ip_address}"
            raise ConfigError(
                f"another driver works on the cluster: {who}",
                remedy="Wait for it if it is yours; a cluster that others use is no place for rows.",
            )


def _is_local(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as link:
        try:
            link.bind((address, 0))
        except OSError:
            return False
    return True


def _probe(address: str) -> dict[str, Any]:
    """Whether the head answers who has no token: this process was started without one."""
    try:
        ray._raylet.GcsClient(address=address).get_all_node_info(timeout=_FIRST)
    except ray.exceptions.AuthenticationError:
        return {"open": False}
    except Exception as error:
        return {
            "refused": f"the cluster cannot be asked whether it wants a token ({type(error).__name__})",
            "remedy": "Look at its logs.",
        }
    return {"open": True}


def main() -> None:
    """Reads what the cluster is as one line; then one a part. Its standard output is its command's: Ray's goes nowhere."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    first = json.loads(sys.stdin.readline())
    if first.get("probe"):
        say(out, **_probe(first["address"]))
        return
    driver = Driver(RayCluster.model_validate(first["cluster"]), first["scratch"], first["token"], out)
    try:
        driver.start()
        driver.listen(sys.stdin)
        driver.work()
    except ConfigError as error:
        _last(out, error.message, error.remedy)
    except ray.exceptions.RpcError as error:
        _last(out, f"the cluster's head is lost ({type(error).__name__})", "Start it again, then this command.")
    except Exception as error:  # of Ray: its text is not shown
        _last(out, f"Ray failed ({type(error).__name__})", "Look at the logs in the folder of its head.")
    os._exit(0)  # Ray's own end waits for a head that may be gone; the head ends what this process left


def _last(out: TextIO, refused: str, remedy: str) -> None:
    with suppress(OSError):  # the command may be gone
        say(out, refused=refused, remedy=remedy)


if __name__ == "__main__":
    main()
