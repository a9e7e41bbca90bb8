"""A command that is told of alarms: a party's own, run on its machine, with what it may do there."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import asdict

from common.errors import ConfigError
from common.monitor.book import Book
from common.monitor.drift import Alarm

PATIENCE = 60.0  # seconds it has


def tell(command: str, party: str, alarms: Sequence[Alarm], book: Book) -> int:
    """How many alarms were new, and so told of: each is told once, and again only if the command did not succeed.

    The command has one JSON object on its standard input: `party`, and of each of `alarms` what, model, month, feature, value
    and limit. It is run without a shell. Raises ConfigError where it cannot be run, fails, or takes more than a minute.
    """
    known = book.told()
    new = [alarm for alarm in alarms if alarm.key not in known]
    if not new:
        return 0
    text = json.dumps({"party": party, "alarms": [asdict(alarm) for alarm in new]}, ensure_ascii=False)
    try:
        words = shlex.split(command)
        done = subprocess.run(words, input=text.encode(), capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603
    except (OSError, ValueError, IndexError) as error:
        raise ConfigError(f"--on-alarm: {command!r} cannot be run: {error}", remedy="Give the path of a program.") from None
    except subprocess.TimeoutExpired:
        raise _failed(command, f"took more than {PATIENCE:.0f} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise _failed(command, f"ended with code {done.returncode}" + (f": {said[-1]}" if said else ""))
    book.tell(alarm.key for alarm in new)
    return len(new)


def _failed(command: str, how: str) -> ConfigError:
    return ConfigError(f"--on-alarm: {command!r} {how}", remedy="The alarms are told again at the next `monitor`.")
