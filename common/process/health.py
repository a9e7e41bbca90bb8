"""`wattscore-health`, which a container engine runs every few seconds: it must cost nothing on a busy machine.

Where the daemon keeps a heartbeat (WATTSCORE_HEARTBEAT, as in the image), its age is all that is looked at, and nothing but the
standard library is loaded. Without, or with any option, the daemon is asked over mTLS.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

EVERY = 5.0  # seconds between two beats
_OLD = 60.0  # seconds, from which on the daemon's loop does not answer


def main() -> None:
    """Exit code 0 if the daemon serves, 1 if not, 2 if that cannot be asked."""
    beat = os.environ.get("WATTSCORE_HEARTBEAT")
    if beat and len(sys.argv) == 1:
        sys.exit(check_beat(Path(beat)))
    from common.process.probe import main as ask

    ask()


def check_beat(file: Path) -> int:
    """0 if the heartbeat is fresh, else 1, with a line on standard error."""
    try:
        age = time.time() - file.stat().st_mtime
    except OSError as error:
        sys.stderr.write(f"wattscore-health: {file}: no heartbeat ({error.strerror}): the daemon has not started\n")
        return 1
    if abs(age) > _OLD:  # ahead: written before the clock was set back
        when = f"{abs(age):.0f} s {'old' if age > 0 else 'ahead of the clock'}"
        sys.stderr.write(f"wattscore-health: the last heartbeat is {when}: the daemon's loop does not answer\n")
        return 1
    return 0


if __name__ == "__main__":
    main()
