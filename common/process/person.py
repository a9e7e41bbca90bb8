"""The person who runs a command, by what the system knows and nobody's environment says."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

_LOGIN = Path("/proc/self/loginuid")
_NOBODY = 2**32 - 1  # no login: a service, a container


def person(login: Path = _LOGIN) -> str:
    """The account that logged in, else the one that runs the command, by name or as a number.

    Linux keeps who logged in through `sudo` and `su`, so that two people who both become the daemon's user are two
    here. Never by an environment variable, which anybody sets.
    """
    try:
        uid = int(login.read_text(encoding="ascii"))
    except (OSError, ValueError):
        uid = _NOBODY
    if uid == _NOBODY:
        uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
