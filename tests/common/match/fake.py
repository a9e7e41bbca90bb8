"""A stand-in for the other Python and the matcher it runs: speaks to its like over the same sockets, and fails as it is told.

It intersects in clear, so that everything about the real one but its mathematics can be tested where `spu` is absent.
"""

from __future__ import annotations

import sys
from pathlib import Path

_PROGRAM = """#!{python}
import json, os, pathlib, random, socket, subprocess, sys, threading, time

folder = pathlib.Path(sys.argv[3])
rank, most, seconds = map(int, sys.argv[4:7])
fail, pause, padding, told = {fail!r}, {pause!r}, {padding!r}, {told!r}

def say(**line):
    print(json.dumps(line), flush=True)

def note(text):
    if told:
        pathlib.Path(told).write_text(text)

if fail == "start":
    print("no module named spu at " + "/home/someone", file=sys.stderr)
    sys.exit(1)
if fail == "garbage":
    print("Segmentation fault")
say(ready="spu " + {version!r})
assert sys.stdin.buffer.readline() == b"go\\n"
child = subprocess.Popen(["sleep", "600"])
note(json.dumps({{"pids": [os.getpid(), child.pid], "folder": str(folder), "environment": sorted(os.environ)}}))
if fail == "silent":
    time.sleep(600)
listener = socket.socket(socket.AF_UNIX)
listener.bind(str(folder / "own.sock"))
listener.listen()
time.sleep(pause)
call = socket.socket(socket.AF_UNIX)
call.connect(str(folder / "peer.sock"))
say(linked=True)
assert sys.stdin.buffer.readline() == b"go\\n"
mine = (folder / "ids.csv").read_bytes().split()[1:]
assert len(mine) <= most
message = b"\\n".join(mine) + b"\\n" + b"x" * padding + b"."
threading.Thread(target=call.sendall, args=(message,), daemon=True).start()
answer, _ = listener.accept()

def whole(connection, end):
    got = b""
    while not got.endswith(end):
        piece = connection.recv(1 << 16)
        if not piece:
            sys.exit(4)
        got += piece
    return got

theirs = whole(answer, b".")
if fail == "killed":
    os.kill(os.getpid(), 9)
answer.sendall(b"thanks")
whole(call, b"thanks")
others = set(theirs.split())
common = [tag for tag in mine if tag in others]
if fail == "foreign":
    common[0] = b"0" * 32
if fail == "twice":
    common[1] = common[0]
random.shuffle(common)
count = len(common)
if fail == "short":
    common.pop()
(folder / "common.csv").write_bytes(b'"tag"\\n' + b"".join(tag + b"\\n" for tag in common))
child.kill()
if fail == "end":
    sys.exit(9)
say(done=count)
sys.stdin.buffer.read()
"""


def fake_python(
    path: Path, fail: str = "", *, version: str = "1.0", pause: float = 0.0, padding: int = 0, told: Path | None = None
) -> Path:
    """A program at `path` to be named as `matcher.python`.

    fail: start, garbage, silent, killed, foreign, twice, short or end. pause: seconds before it calls. padding: bytes sent
    besides. told: a file where it writes its process ids and what it was given.
    """
    text = _PROGRAM.format(
        python=sys.executable, fail=fail, version=version, pause=pause, padding=padding, told=str(told) if told else ""
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)
    return path
