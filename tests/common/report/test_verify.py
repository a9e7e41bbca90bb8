"""A report whose files were changed, or whose party's folder gives something else by now, does not verify."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from bank_party.__main__ import main as bank_party
from bank_party.decision import bundle
from common.cli import main as wattscore
from common.party import Party
from common.report.texts import Choice
from grid_party.__main__ import main as grid_party
from tests.common.report.conftest import JOB, Job
from tests.common.report.test_write import config
from tests.extent import cases

COMMANDS = {Party.GRID: grid_party, Party.BANK: bank_party}


def written(folder: Path, party: Party, data: Path, lang: Choice = "both") -> tuple[Path, Path]:
    """(the page, its party's configuration)."""
    own, out = config(folder, party, data), folder / "report.html"
    arguments = ["report", JOB, "--config", str(own), "--out", str(out), "--lang", lang]
    assert CliRunner().invoke(COMMANDS[party], arguments, catch_exceptions=False).exit_code == 0
    return out, own


Shelf = Callable[[Party, Choice], tuple[Path, Path]]


@pytest.fixture(scope="module")
def shelf(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Each report of the job, written once; who changes one takes a copy."""
    return functools.cache(lambda party, lang: written(tmp_path_factory.mktemp("shelf"), party, job.data(party), lang))


@pytest.fixture
def banks(shelf: Shelf, tmp_path: Path) -> Path:
    """A copy of the bank's page in both languages, with what is beside it."""
    shutil.copytree(shelf(Party.BANK, "both")[0].parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "report.html"


@pytest.mark.parametrize("party", Party)
@pytest.mark.parametrize("lang", cases(["both"], ["en", "zh"], "a page in both languages"))
def test_a_report_as_written_verifies_alone_and_at_its_party(shelf: Shelf, party: Party, lang: Choice) -> None:
    out, own = shelf(party, lang)
    alone = CliRunner().invoke(wattscore, ["verify", str(out)], catch_exceptions=False)
    there = CliRunner().invoke(COMMANDS[party], ["verify", str(out), "--config", str(own)], catch_exceptions=False)
    assert (alone.exit_code, there.exit_code) == (0, 0), alone.output + there.output
    assert "differs" not in there.output and there.output.count("same") > alone.output.count("same") == 4


def first_percent(text: str) -> str:
    """One figure of the page a tenth of a point higher."""
    return re.sub(r'(<td class="n">\d\.\d)(\d)%', lambda m: f"{m[1]}{(int(m[2]) + 1) % 10}%", text, count=1)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("report.html", first_percent, "figures of the page"),
        ("report.html", lambda text: re.sub(r"[0-9a-f]{64}\">\n<title", '0' * 64 + '">\n<title', text), "fingerprint"),
        ("report.json", lambda text: text.replace('"party": "bank"', '"party": "grid"'), "job and party"),
        ("report-tables/comparison-1.csv", lambda text: text.replace("AUC", "auc"), "CSV files"),
    ],
)  # fmt: skip
def test_a_changed_file_is_found(banks: Path, name: str, change: Callable[[str], str], said: str) -> None:
    file = banks.parent / name
    before = file.read_bytes().decode()
    file.write_bytes(change(before).encode())
    assert file.read_bytes().decode() != before
    done = CliRunner().invoke(wattscore, ["verify", str(banks)])
    assert done.exit_code == 1
    assert re.search(rf"differs  {said}", done.output), done.output


def test_figures_that_the_folder_no_longer_gives_are_found(job: Job, banks: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(job.data(Party.BANK) / "models", data / "models")
    own = config(tmp_path, Party.BANK, data)
    file = data / "models" / JOB / bundle.RULES
    head = json.loads(file.read_text())
    head["decision"]["error_after"] += 0.01
    file.write_text(json.dumps(head))
    done = CliRunner().invoke(bank_party, ["verify", str(banks), "--config", str(own)])
    assert done.exit_code == 1
    for said in ("files_sha256", "tables, computed again", "page, drawn again"):
        assert f"differs  {said}" in done.output, done.output
    assert "same     figures of the page" in done.output


def test_a_report_of_the_other_party_and_what_is_no_report_are_refused(job: Job, banks: Path) -> None:
    other = config(banks.parent, Party.GRID, job.data(Party.GRID))
    assert "bank-party verify" in CliRunner().invoke(grid_party, ["verify", str(banks), "--config", str(other)]).output
    banks.write_text("<p>no report</p>")
    assert "no report" in CliRunner().invoke(wattscore, ["verify", str(banks)]).output


def test_tables_are_numbers_at_six_figures_and_hide_what_the_page_hides(job: Job, shelf: Shelf) -> None:
    out, _ = shelf(Party.BANK, "both")
    found = pd.read_csv(out.with_name("report-tables") / "comparison-1.csv")
    result = job.outcomes[Party.BANK].evaluation
    assert result is not None
    assert found["joint"][0] == pytest.approx(result.joint.auc, abs=1e-6)
    segments = "".join(file.read_text() for file in out.with_name("report-tables").glob("segments-*.csv"))
    assert "东城" not in segments and "south & west" in segments
    assert {file.stat().st_mode & 0o777 for file in [out, *out.with_name("report-tables").iterdir()]} == {0o600}
