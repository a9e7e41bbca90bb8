"""A company's own Ray cluster as its configuration names it, and what of it is refused before anything is sent there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pydantic import Field

from common.config import Address, StrictModel, read_toml, validate
from common.disk.expand import expand
from common.errors import ConfigError

SILENCE = 10.0  # seconds without a word of the driver beside a command, after which it is lost
_PATHS = frozenset({"scratch", "token", "certificate", "key", "ca"})
_OTHERS = 0o077  # permissions of anybody but the owner


class RayCluster(StrictModel):
    """A cluster that is this company's alone: token and mutual TLS, a CA of its own."""

    address: Address = Field(description="HOST:PORT of the cluster's head.")
    scratch: Path = Field(
        description="A folder that every node has under this path, on an encrypted volume; its owner's alone (mode 0700)."
    )
    token: Path = Field(description="The file of the cluster's token (RAY_AUTH_TOKEN_PATH); mode 0600.")
    certificate: Path = Field(description="This node's certificate (PEM), of the cluster's own CA, never of WattScore's.")
    key: Path = Field(description="Its private key (PEM); mode 0600.")
    ca: Path = Field(description="The certificate (PEM) of that CA.")

    @property
    def environment(self) -> dict[str, str]:
        """What tells Ray of it; nothing of the command's own environment that begins with RAY_ is handed on."""
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token),
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": str(self.certificate),
            "RAY_TLS_SERVER_KEY": str(self.key),
            "RAY_TLS_CA_CERT": str(self.ca),
            "RAY_USAGE_STATS_ENABLED": "0",
        }


def load_cluster(path: Path) -> RayCluster:
    """The configuration at `path`; paths in it are relative to its folder. Raises ConfigError, also for a file in it that
    others could read.
    """
    raw, folder = expand(read_toml(path), _PATHS, str(path)), path.resolve().parent
    for key in _PATHS:
        if isinstance(raw.get(key), str):
            raw[key] = str(folder / raw[key])
    cluster = validate(RayCluster, raw, str(path))
    check_folder(cluster.scratch, f"{path}: scratch")
    for name in ("token", "key"):
        _check_secret(getattr(cluster, name), f"{path}: {name}")
    for name in ("certificate", "ca"):
        _read(getattr(cluster, name), f"{path}: {name}")
    return cluster


def check_folder(folder: Path, what: str) -> None:
    """Raises ConfigError for one that is not this user's alone."""
    try:
        found = folder.stat()
    except OSError as error:
        raise ConfigError(f"{what}: {folder} cannot be used ({error.strerror})", remedy="Make it: mkdir -m 0700.") from None
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{what}: {folder} is no folder", remedy="Name one that every node has.")
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{what}: {folder} is another user's", remedy="Run as the user of the cluster's nodes, or chown it.")
    if found.st_mode & _OTHERS:
        raise ConfigError(f"{what}: other users can enter {folder} (mode {found.st_mode & 0o777:04o})", remedy="chmod 0700 it.")


def _check_secret(file: Path, what: str) -> None:
    found = _read(file, what)
    mode = file.stat()
    if mode.st_uid != os.geteuid() or mode.st_mode & _OTHERS:
        raise ConfigError(
            f"{what}: {file} can be read by others (mode {mode.st_mode & 0o777:04o})",
            remedy="chmod 0600 it, and make a new one: this may have been read.",
        )
    if not found.strip():
        raise ConfigError(f"{what}: {file} is empty", remedy="Write it anew; deploy/RAY.md says how.")


def _read(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{what}: {file} cannot be read ({error.strerror})", remedy="Check the path.") from None
