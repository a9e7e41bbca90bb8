"""Audit logs of real daemons: what is in them, that a change is found, that a restored folder ends jobs until people agree."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from click.testing import Result

from common.client.client import Client
from common.disk.data_folder import Name
from tests.scenarios.end_to_end.lab import Lab, command, fail, make_plan, make_tables, succeed


def audit(lab: Lab, name: str, *arguments: str) -> Result:
    """This party's own command, beside its daemon."""
    return command(lab, name, "audit", *arguments)


def entries(lab: Lab, name: str, job: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audit(lab, name, "show", "--job", job).stdout.splitlines()]


def heads(lab: Lab, name: str) -> str:
    """What this party was told of the other's log."""
    file = lab.folder / f"{name}-heads.json"
    assert audit(lab, name, "heads", str(file)).exit_code == 0
    return str(file)


def test_a_job_is_accounted_for_and_a_restored_folder_is_noticed(lab: Lab, client: Client, tmp_path: Path) -> None:
    lab.write("rows", *make_tables("A"))
    first = succeed(client, make_plan("rows")).id
    assert_accounts(lab, first)
    kept = tmp_path / "kept"
    stop(lab, "grid")  # the end of a book that is written ahead is elsewhere while it is open
    shutil.copytree(lab.data("grid"), kept)
    lab.heal()
    succeed(client, make_plan("rows", split={"seed": 2}))

    # one book alone: the grid sees it by itself
    newer = tmp_path / "newer.sqlite"
    stop(lab, "grid")  # or the end of the book is in the file beside it
    shutil.copy(lab.data("grid") / Name.LEDGER, newer)
    replace(lab, "grid", {Name.LEDGER: kept / Name.LEDGER})
    origin, kind, message = fail(client, make_plan("rows", split={"seed": 3}))
    assert (origin, kind, message) == ("grid", "PolicyError", "a book of what was spent is behind what it was")
    assert "ledger.sqlite holds less" in lab.told("grid")
    replace(lab, "grid", {Name.LEDGER: newer})
    succeed(client, make_plan("rows", split={"seed": 3}))

    # the whole folder, log and all: the bank knows better
    told = heads(lab, "bank")
    assert audit(lab, "grid", "verify", "--heads", told).exit_code == 0
    replace(lab, "grid", {name: kept / name for name in (Name.LEDGER, Name.AUDIT, Name.SEEDS, Name.SETS)})
    assert audit(lab, "grid", "verify").exit_code == 0  # each entry follows
    refused = audit(lab, "grid", "verify", "--heads", told)
    assert refused.exit_code == 2 and "the other party was told a head of" in refused.stderr
    for seed in (4, 5):
        _, kind, message = fail(client, make_plan("rows", split={"seed": seed}))
        assert kind == "PolicyError" and "audit log" in message, lab.told("grid")[-2000:] + lab.told("bank")[-2000:]
    assert audit(lab, "bank", "accept", "--note", "disk of the grid lost").exit_code == 0
    succeed(client, make_plan("rows", split={"seed": 6}))
    assert "disk of the grid lost" in audit(lab, "bank", "show").stdout

    # one word of an old entry
    with closing(sqlite3.connect(lab.data("bank") / Name.AUDIT)) as book, book:
        book.execute("update entries set detail = replace(detail, 'rows', 'xows') where number = 5")
    changed = audit(lab, "bank", "verify")
    assert changed.exit_code == 2 and "entry 5 does not follow" in changed.stderr


def stop(lab: Lab, name: str) -> None:
    lab.processes[name].terminate()
    lab.processes[name].wait()


def replace(lab: Lab, name: str, books: dict[Name, Path]) -> None:
    """Books put in the place of others while the daemon is down, with what is ahead of them, and nothing of the others'."""
    stop(lab, name)
    for into, file in books.items():
        for end in ("", "-wal", "-shm"):
            old, new = lab.data(name) / f"{into}{end}", file.with_name(f"{file.name}{end}")
            old.unlink(missing_ok=True)
            if new.exists():
                shutil.copy(new, old)
    lab.heal()


def assert_accounts(lab: Lab, job: str) -> None:
    for name in ("grid", "bank"):
        found = entries(lab, name, job)
        kinds = Counter(entry["what"] for entry in found)
        assert [entry["what"] for entry in found][:3] == ["offer", "accept", "peer"] and found[-1]["what"] == "end"
        assert kinds["offer"] == kinds["accept"] == kinds["peer"] == kinds["end"] == 1 and kinds["open"] > 3
        first = {(e["value"], e["kind"], e["way"]) for e in found if e["what"] == "open"}
        assert len(first) == kinds["open"]  # one entry each, and the sums at the end
        assert {tuple(sums[:3]) for sums in found[-1]["opened"]} == first
        scores = [sums for sums in found[-1]["opened"] if sums[0] == "test_scores"]
        assert scores and scores[0][2] == ("out" if name == "grid" else "in") and scores[0][4] > 100
        assert audit(lab, name, "verify", "--heads", heads(lab, "bank" if name == "grid" else "grid")).exit_code == 0
