"""The RR22 matcher: a program run by another Python, one that has `spu`, with the standard library and `spu` alone.

    python -I rr22_helper.py FOLDER RANK BUCKET SECONDS

FOLDER (the working directory) holds `ids.csv`, a column `tag`; `common.csv` is left there, with the tags that both hold. The
helper listens on the Unix socket `own.sock` in it and calls its peer on `peer.sock`, which `match.tunnel` serves: no port is
opened. RANK is 0 at the grid, which learns the common tags first, and 1 at the bank. BUCKET is at least the larger number of
tags, so that there is one bucket: of several, by a public hash of the tags, each one's size would be seen.

It writes JSON lines: {"ready": "spu 0.9.5"}; {"linked": true} once it is connected with its peer; {"done": COUNT}. After each
of the first two it waits for a line on its standard input; after the last one it stays, since its peer may still want an answer
of it, until it is killed. When its standard input ends, its daemon is gone: it deletes FOLDER and ends. What `spu` prints goes
to standard error, the file `log`.
"""

import json
import os
import queue
import re
import shutil
import sys
import threading
from pathlib import Path
from typing import Any


def listen(folder: Path) -> "queue.Queue[bytes]":
    """The lines of standard input; at its end this process ends."""
    lines: queue.Queue[bytes] = queue.Queue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(3)

    threading.Thread(target=read, daemon=True).start()
    return lines


def connect(folder: Path, rank: int, milliseconds: int) -> Any:
    """`spu`'s connection with its peer."""
    from spu.libspu import link

    desc = link.Desc()
    desc.id = "wattscore"
    own, peer = f"unix:{folder / 'own.sock'}", f"unix:{folder / 'peer.sock'}"
    for number, name in enumerate(("grid", "bank")):
        desc.add_party(name, own if number == rank else peer)
    desc.connect_retry_interval_ms = 100
    desc.connect_retry_times = milliseconds // 100
    desc.recv_timeout_ms = desc.http_timeout_ms = milliseconds
    return link.create_brpc(desc, rank)


def intersect(folder: Path, context: Any, bucket: int) -> int:
    """Runs the protocol with the peer; the number of common tags."""
    from spu import psi

    csv = psi.SourceType.SOURCE_TYPE_FILE_CSV
    config = psi.PsiExecuteConfig(
        psi.PsiProtocolConfig(psi.PsiProtocol.PROTOCOL_RR22, receiver_rank=0, bucket_size=bucket, broadcast_result=True),
        psi.InputParams(csv, str(folder / "ids.csv"), ["tag"], keys_unique=True),
        psi.OutputParams(csv, str(folder / "common.csv"), disable_alignment=True),
    )
    return int(psi.psi_execute(config, context).intersection_count)


def remove_trace(folder: Path) -> None:
    """`spu` leaves a trace of its timings in /tmp, whatever TMPDIR says, and prints where."""
    for name in re.findall(r"Trace has been written to (/tmp/psi_[\w-]+\.trace)", (folder / "log").read_text(errors="replace")):
        Path(name).unlink(missing_ok=True)


def main() -> None:
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    folder, (rank, bucket, seconds) = Path(sys.argv[1]), map(int, sys.argv[2:5])
    lines = listen(folder)
    import spu
    import spu.psi  # loads its native part, so that what is missing shows before anything is sent

    def say(**line: object) -> None:
        out.write(json.dumps(line) + "\n")

    say(ready=f"spu {spu.__version__}")
    lines.get()
    context = connect(folder, rank, 1000 * seconds)
    # `spu` greets its peer here and again in psi_execute, and drops a greeting that comes before the last one was read:
    # neither may go on before both are connected, or one waits for ever.
    say(linked=True)
    lines.get()
    count = intersect(folder, context, bucket)
    remove_trace(folder)
    say(done=count)
    lines.get()


if __name__ == "__main__":
    main()
