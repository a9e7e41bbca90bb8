"""`wattscore features --watch`: the command as it runs, beside who writes its records."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd

from tests.patience import patience
from tests.scenarios.end_to_end.lab import eventually
from tests.source import ROOT

COMMAND = [sys.executable, "-m", "common.cli", "features", "records.toml", "--out", "made.parquet", "--watch", "0.01"]
HERE = {**os.environ, "PYTHONPATH": str(ROOT)}
MONTHS = [f"2024-{month:02d}" for month in range(1, 13)]
FIELDS = """
party = "grid"
keys = { id = "id", month = "month" }
[fields]
consumption = "kwh"
[source]
"""


def records(kwh: float, firms: int = 30) -> pd.DataFrame:
    return pd.DataFrame([{"id": f"F{k}", "month": month, "kwh": kwh + k} for k in range(firms) for month in MONTHS])


@contextmanager
def watching(folder: Path, source: str) -> Iterator[Path]:
    """The file that is kept, and its log beside it; at the end the command is told to end, and ends in order."""
    (folder / "records.toml").write_text(FIELDS + source)
    out, log = folder / "made.parquet", folder / "log"
    with log.open("w") as stream:
        shell = ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "-", *COMMAND]  # as a script begins what it ends with `&`
        process = subprocess.Popen(shell, cwd=folder, stdout=stream, stderr=stream, env=HERE)
    try:
        eventually(lambda: "made" in log.read_text() or process.poll() is not None, 60.0)
        assert process.poll() is None, log.read_text()
        yield out
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(patience(30)) == 0, log.read_text()
        assert sorted(path.name for path in folder.iterdir() if "made" in path.name) == ["made.parquet"]


def _first(out: Path) -> float:
    frame = pd.read_parquet(out).select_dtypes("number")
    return float(frame.iloc[:, 0].mean())


def test_files_that_change_are_read_again_and_what_is_wrong_leaves_the_file(tmp_path: Path) -> None:
    raw, log = tmp_path / "raw.csv", tmp_path / "log"

    def put(frame: pd.DataFrame) -> None:
        frame.to_csv(tmp_path / "new.tmp", index=False)
        (tmp_path / "new.tmp").replace(raw)

    put(records(100.0))
    with watching(tmp_path, 'path = "raw.csv"\n') as out:
        first = out.stat()
        put(records(100.0))  # another file, of the same rows
        eventually(lambda: "the same as before" in log.read_text(), 60.0)
        assert out.stat().st_mtime_ns == first.st_mtime_ns
        put(records(100.0).drop(columns="kwh"))
        eventually(lambda: "not made" in log.read_text(), 60.0)
        assert out.stat().st_mtime_ns == first.st_mtime_ns and log.read_text().count("not made") == 1
        put(records(900.0))
        eventually(lambda: out.stat().st_mtime_ns != first.st_mtime_ns, 60.0)
        assert _first(out) > 800.0
        out.unlink()
        eventually(out.exists, 60.0)


def test_a_file_that_is_still_written_is_not_taken_for_all_of_it(tmp_path: Path) -> None:
    raw, log = tmp_path / "raw.csv", tmp_path / "log"
    records(100.0).to_csv(raw, index=False)
    with watching(tmp_path, 'path = "raw.csv"\n') as out:
        first, whole, ended = out.stat(), records(900.0, firms=300).to_csv(index=False).splitlines(True), threading.Event()

        def write() -> None:
            with raw.open("w") as stream:
                for line in [*whole[:-1], *[""] * 100_000]:  # its last row comes once the watch has seen that it is written
                    stream.write(line)
                    stream.flush()
                    os.utime(raw)
                    if line == "" and ended.wait(0.005):
                        break
                stream.write(whole[-1])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            eventually(lambda: "files changed while features were made" in log.read_text(), 60.0)
            assert out.stat().st_mtime_ns == first.st_mtime_ns
        finally:
            ended.set()
            writer.join()
        eventually(lambda: out.stat().st_mtime_ns != first.st_mtime_ns, 60.0)
        assert len(pd.read_parquet(out).iloc[:, 0].unique()) == 300


def test_a_file_is_kept_by_one_process_and_a_log_without_room_ends_nothing(tmp_path: Path) -> None:
    raw, full = tmp_path / "raw.csv", Path("/dev/full")
    records(100.0).to_csv(raw, index=False)
    with watching(tmp_path, 'path = "raw.csv"\n') as out:
        other = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True, env=HERE, timeout=patience(120))
        assert other.returncode == 2 and "made.parquet is kept by another process" in other.stderr
    out.unlink()
    with full.open("w") as stream:
        process = subprocess.Popen(COMMAND, cwd=tmp_path, stdout=stream, stderr=subprocess.PIPE, env=HERE)
    try:
        eventually(out.exists, 60.0)
        first = out.stat().st_mtime_ns
        records(900.0).to_csv(tmp_path / "new.tmp", index=False)
        (tmp_path / "new.tmp").replace(raw)
        eventually(lambda: out.stat().st_mtime_ns != first, 60.0)
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=patience(30))
    assert (process.returncode, said) == (0, b"")


def test_a_table_of_a_database_is_kept_as_a_file_of_features(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "books.db")) as book:
        records(100.0).to_sql("meters", book, index=False)
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path}/books.db")
    (tmp_path / "url").chmod(0o600)
    with watching(tmp_path, 'sql = { url_file = "url", table = "meters" }\n') as out:
        first = out.stat().st_mtime_ns
        eventually(lambda: "the same as before" in (tmp_path / "log").read_text(), 60.0)
        assert out.stat().st_mtime_ns == first
        with closing(sqlite3.connect(tmp_path / "books.db", timeout=patience(30))) as book:
            book.execute("update meters set kwh = kwh + 800")
            book.commit()
        eventually(lambda: out.stat().st_mtime_ns != first, 60.0)
        assert _first(out) > 800.0


def test_what_cannot_be_made_at_first_ends_the_command(tmp_path: Path) -> None:
    (tmp_path / "records.toml").write_text(FIELDS + 'path = "nowhere.csv"\n')
    ended = subprocess.run(COMMAND, cwd=tmp_path, capture_output=True, text=True, env=HERE, timeout=patience(120))
    assert ended.returncode == 2 and "nowhere.csv" in ended.stderr and not (tmp_path / "made.parquet").exists()
