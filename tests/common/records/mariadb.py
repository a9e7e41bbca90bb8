"""A real MariaDB server for the tests, where the system has one; on a socket in its own folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

_NOBODY = 65534


def binaries() -> tuple[str, str] | None:
    """The paths of the server and of what makes its data folder."""
    server = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    make = shutil.which("mariadb-install-db")
    return (server, make) if server and make else None


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server that ends with the block. Raises FileNotFoundError where there is none."""
    found = binaries()
    if found is None:
        raise FileNotFoundError("no MariaDB here: install the system's mariadb-server")
    folder = Path(tempfile.mkdtemp(prefix="wattscore-maria-"))
    who = {"user": _NOBODY, "group": _NOBODY, "extra_groups": ()} if os.geteuid() == 0 else {}
    os.chown(folder, *((_NOBODY, _NOBODY) if who else (-1, -1)))
    common = ["--no-defaults", f"--datadir={folder / 'data'}"]
    with (folder / "log.txt").open("ab") as log:
        try:
            make = [found[1], *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
            subprocess.run(make, check=True, stdout=log, stderr=log, timeout=120, cwd=folder, **who)
            options = [f"--socket={folder / 's'}", "--skip-networking", f"--pid-file={folder / 'pid'}", f"--tmpdir={folder}"]
            process = subprocess.Popen([found[0], *common, *options], stdout=log, stderr=log, cwd=folder, **who)
            try:
                yield _ready(f"mariadb+pymysql://root@/mysql?unix_socket={folder / 's'}&charset=utf8mb4", process)
            finally:
                process.kill()
                process.wait()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _ready(url: str, process: subprocess.Popen[bytes]) -> str:
    """The URL, once somebody answers there."""
    engine = sa.create_engine(url, poolclass=NullPool)
    while process.poll() is None:
        try:
            engine.connect().close()
            return url
        except sa.exc.DBAPIError:
            time.sleep(0.1)
    raise FileNotFoundError("MariaDB does not start here")
