"""What Ray keeps, sends and remembers while features are made: recorded, and searched for planted values and the token."""

from __future__ import annotations

import os
import signal
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.patience import patience
from tests.scenarios.ray.nodes import Node, until
from tests.scenarios.ray.standing import WORKERS, stopped

AMOUNTS = (7315315.31, 9182736.45)  # of a field that is a feature itself, and so in what nodes read and write
ROWS = [b"PLANTEDID", b"plantedregion", *(f"{amount}".encode() for amount in AMOUNTS), *(struct.pack("<d", a) for a in AMOUNTS)]
MARKER = b"planted-in-clear"
CONFIG = """
party = "bank"
source = { path = "r.csv" }
keys = { id = "id", month = "month" }
samples = { min_history = 1, labelled = false }
fields = { tax_amount = { column = "tax", outliers = { rule = "keep" } }, region = { column = "region", kind = "categorical" } }
[[recipes]]
kind = "last"
field = ["tax_amount", "region"]
"""


def planted(folder: Path) -> Path:
    lines = [
        f"PLANTEDID{e:05},2024-{m + 1:02},{AMOUNTS[(e + m) % 2]},plantedregion{e % 3}" for e in range(400) for m in range(12)
    ]
    (folder / "r.csv").write_text("id,month,tax,region\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (folder / "r.toml").write_text(CONFIG, encoding="utf-8")
    return folder / "r.toml"


@contextmanager
def recorded(node: Node, out: Path) -> Iterator[None]:
    thread = threading.Thread(target=lambda: node.act("record", out, MARKER.decode()))
    thread.start()
    try:
        until(Path(f"{out}.begun").exists)
        yield
    finally:
        Path(f"{out}.end").touch()
        thread.join(patience(60))
        assert not thread.is_alive()


def remembered(number: int) -> Iterator[bytes]:
    """All memory of a process that can be read, Ray's store, which it shares, included."""
    with Path(f"/proc/{number}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{number}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            low, high = (int(end, 16) for end in place.split("-"))
            if rights.startswith("r"):
                try:
                    yield os.pread(memory.fileno(), high - low, low)
                except (OSError, OverflowError):  # the kernel's own pages
                    continue


def found_in(blocks: Iterator[bytes], wanted: list[bytes]) -> set[bytes]:
    return {word for block in blocks for word in wanted if word in block}


def test_no_row_and_no_token_where_ray_keeps_sends_and_remembers(pair: list[Node], tmp_path: Path) -> None:
    head, other = pair
    config, out = planted(tmp_path), tmp_path / "line"
    token = (head.site.folder / "ray" / "token").read_bytes()
    with recorded(head, out):
        with stopped(other, config, tmp_path / "signs") as made:
            files = [file.read_bytes() for file in (head.site.folder / "scratch").rglob("*.given")]
            assert found_in(iter(files), ROWS) == {b"plantedregion", *ROWS[-2:]}  # the nodes do have them, and no id
            processes = {}
            for node in pair:
                processes |= node.processes("gcs_server|raylet/raylet|common.scale.ray_driver")
            assert len(processes) == 4, processes
            for number, words in processes.items():
                assert found_in(remembered(number), [*ROWS, b"RAY_AUTH_MODE"]) == {b"RAY_AUTH_MODE"}, words
            assert other.kill(WORKERS, signal.SIGCONT)
        assert "raised" not in made and made["nodes"] == [node.address for node in pair]
    line = out.read_bytes()
    assert MARKER in line and line.count(b"\x17\x03\x03") > 20  # the recording records, TLS among it: how much, time tells
    assert not found_in(iter([line]), [*ROWS, token])
    kept = [file for node in pair for file in (node.folder / "ray").rglob("*") if file.is_file()]
    assert len(kept) > 20 and any(b"Ray" in file.read_bytes() for file in kept)
    assert not {file for file in kept if found_in(iter([file.read_bytes()]), [*ROWS, token])}
