"""UCI's raw columns to the published figures, by the commands that the page of figures shows and nothing else."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.extent import thorough
from tests.pages import blocks, rows
from tests.scenarios.end_to_end.test_uci import SOURCE
from tests.source import ROOT
from tests.test_docs import COMMANDS

PAGE = (ROOT / "tests" / "bench" / "README.md").read_text(encoding="utf-8").split("\n## Accuracy on public data\n")[1]
CHAPTER = PAGE.split("\n## ")[0]
LINES = [line for _, code in blocks(CHAPTER, "sh") for line in code.splitlines()]
TABLES = [part for part in re.split(r"^```sh.*?^```$", CHAPTER, flags=re.MULTILINE | re.DOTALL)[1:] if "|" in part]

pytestmark = pytest.mark.skipif(
    not SOURCE.exists(), reason="UCI's default-of-credit-card-clients table is absent: set WATTSCORE_UCI to its path"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uci")
    shutil.copytree(ROOT / "examples" / "uci", folder, dirs_exist_ok=True)
    (folder / "uci.csv").symlink_to(SOURCE)
    return folder


def typed(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    """The result of a `try` of the page, no comparison asked for; of another command, nothing."""
    name, *words = shlex.split(line)
    monkeypatch.chdir(folder)
    if name not in COMMANDS:
        subprocess.run(["bash", "-euc", line], cwd=folder, check=True)
        return {}
    if words[0] == "try":
        words = [*(word for word in words if word != "--compare"), "--json", "result.json"]
    done = CliRunner().invoke(COMMANDS[name], words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads((folder / "result.json").read_text()) if words[0] == "try" else {}


REST = thorough("as many rows as for the first")


@pytest.mark.parametrize(
    ("lines", "table", "row"),
    [
        (LINES[:3], 0, 1),
        pytest.param(LINES[3:6], 1, 1, marks=REST),
        pytest.param([*LINES[3:5], *LINES[6:]], 1, 2, marks=REST),
    ],
)
def test_the_page_states_what_its_commands_give(
    lines: list[str], table: int, row: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = [result for line in lines if (result := typed(line, folder, monkeypatch))]
    stated = rows(TABLES[table])[2:]
    # Scores are opened in steps: from run to run the joint AUC differs by 0.0003 of standard deviation.
    for who, (_, auc, logloss) in (("bank_only", stated[0]), ("joint", stated[row])):
        assert found["auc"][who] == pytest.approx(float(auc), abs=2e-4 if who == "bank_only" else 1.8e-3)
        assert found["logloss"][who] == pytest.approx(float(logloss), abs=5e-4)
    assert (found["rows"]["matched"], found["rows"]["test"]) == (30_000, 9_000)
    assert [str(found["columns"][side]) for side in ("grid", "bank")] == re.findall(r"\d+", rows(TABLES[table])[0][0])
