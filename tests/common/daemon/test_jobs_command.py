"""`grid-party jobs`: what a party was asked for, read in its own folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from common.disk.data_folder import Name
from common.home.jobbook import JobBook, Offered
from grid_party.__main__ import main

CONFIG = """
listen = "127.0.0.1:0"
data = "data"
[tls]
certificate = "x.pem"
key = "x.key"
trust = "trust"
[coordinator]
identity = "wattscore://neutral/coordinator"
address = "127.0.0.1:1"
[peer]
identity = "wattscore://acme/bank-party"
[datasets]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "grid.toml").write_text(CONFIG)
    book = JobBook(tmp_path / "data" / Name.JOBS)
    book.enter(Offered("train-1", "train", "over\u202edue\x1b[2J", "wattscore://acme/client", "meters", "ab"))
    book.end("train-1", "done", counts={"own_rows": 1234})
    book.enter(Offered("train-2", client="wattscore://acme/client", state="refused", cause="the grid has no dataset 'x'" * 9))
    return tmp_path / "grid.toml"


def run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["jobs", *words, "--config", str(config)])


def test_all_of_them_in_eighty_columns(config: Path) -> None:
    lines = run(config).stdout.splitlines()
    assert len(lines) == 4 and all(len(line) <= 80 for line in lines)
    assert lines[1].startswith("train-1  done") and lines[1].endswith("  acme/client, meters")
    assert lines[2].startswith("train-2  refused") and lines[3].startswith("  the grid has no dataset")


def test_one_of_them_whole_and_what_others_wrote_acts_on_no_terminal(config: Path) -> None:
    said = run(config, "train-1").stdout
    assert "own rows          1,234" in said and "asked for by      wattscore://acme/client" in said
    assert "\x1b" not in said and "\u202e" not in said and "\\u001b[2J" in said
    missing = run(config, "train-9")
    assert missing.exit_code == 2 and "no job 'train-9' was offered here" in missing.stderr


def test_as_json(config: Path) -> None:
    found = json.loads(run(config, "--json", "--last", "1").stdout)
    assert [(one["job"], one["state"]) for one in found] == [("train-2", "refused")]
