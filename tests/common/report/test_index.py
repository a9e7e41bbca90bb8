"""The index, by its command: all of it in both languages, links that lead somewhere, nothing removed or made by looking."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bank_party.__main__ import main as bank_party
from common.config import to_toml
from common.home.audit import AuditLog, What
from common.home.jobbook import JobBook, Offered
from common.home.registry import Registry
from common.home.unfinished import Unfinished
from common.monitor.book import Book, Reading
from common.party import Party
from common.plan.promote import PromotePlan
from common.report.charts import Chart
from common.report.index import MOST, SECTIONS
from common.report.texts import catalogue
from common.text.words import LANGS
from grid_party.__main__ import main as grid_party
from tests.common.report.conftest import JOB, Job
from tests.common.report.test_page import Outline
from tests.common.report.test_write import config

COMMANDS = {Party.GRID: grid_party, Party.BANK: bank_party}
DRIFTED = Reading(JOB, "2024-02", "kwh", 0.5, 0.1, 0.0, 0.0, 900, 5000)


class House:
    """A party's data folder, a copy of what a job has left, with more entered by hand."""

    def __init__(self, job: Job, party: Party, folder: Path) -> None:
        self.party, self.data, self.pages = party, folder / "data", folder / "pages"
        shutil.copytree(job.data(party), self.data)
        self.config = config(folder, party, self.data)
        datasets = {"there": {"path": str(folder / "there.csv"), "id": "id"}, "gone": {"path": "gone.csv", "id": "id"}}
        (folder / "there.csv").write_text("id,kwh\na,1\nb,2\n")
        self.config.write_text(self.config.read_text() + to_toml({"datasets": datasets}))

    def run(self, *words: object) -> Result:
        arguments = [*map(str, words), "--config", str(self.config)]
        return CliRunner().invoke(COMMANDS[self.party], arguments, catch_exceptions=False)

    def index(self, *words: object) -> str:
        out = self.pages / "index.html"
        done = self.run("index", "--out", out, *words)
        assert done.exit_code == 0, done.output
        assert out.stat().st_mode & 0o777 == 0o600
        return out.read_text(encoding="utf-8")


@pytest.fixture(params=Party)
def house(request: pytest.FixtureRequest, job: Job, tmp_path: Path) -> House:
    return House(job, request.param, tmp_path)


def champion(data: Path) -> None:
    registry = Registry(data / "registry.sqlite")
    if JOB not in [version.job for version in registry.versions()]:
        registry.enter(JOB, "ab" * 32, "cd" * 32, "ef" * 32)
    registry.prepare("promote-1", PromotePlan(model=JOB), JOB, anew=False)
    registry.commit()


@pytest.mark.parametrize("lang", ["en", "zh", "both"])
def test_it_has_every_section_and_needs_nothing_else(house: House, lang: str) -> None:
    text = house.index("--lang", lang)
    found = Outline(text)
    assert found.open == [] and len(found.ids) == len(set(found.ids))
    assert tuple(found.sections) == tuple(n for n in SECTIONS if n != "scores" or house.party is Party.BANK)
    for name, content in found.sections.items():
        for k, one in enumerate(LANGS):
            assert (catalogue()[f"index.{name}"][k] in content) is (lang in (one, "both")), name
    assert not found.tags & {"script", "link", "iframe", "object", "img", "form"}
    assert [place for place in found.places if "://" in place] == [] and "url(" not in text
    cells = re.findall(r'<td data-en="([^"]*)" data-zh="([^"]*)"', text)
    assert cells and all((en == zh) is (lang != "both") or re.fullmatch(r"SHA-256|AUC", en) for en, zh in cells)


def test_what_is_there_stands_in_it(house: House) -> None:
    champion(house.data)
    Book(house.data / "monitor.sqlite").enter("score-1", [DRIFTED])
    jobs = JobBook(house.data / "jobs.sqlite")
    for k in range(MOST + 3):
        jobs.enter(Offered(f"old-{k}", "train", "", "wattscore://acme/client", "there", "00", at=1e9 + k))
    jobs.enter(
        Offered("new-1", "train", "<b>sly</b>", "wattscore://acme/client", "there", "00", at=2e9, state="refused", cause="a<b")
    )
    jobs.enter(Offered("new-2", "promote", "", "wattscore://acme/client", "", "00", at=2e9 + 1, state="held"))
    Unfinished(house.data / "unfinished").begin(f"old-{MOST + 2}", "{}", "wattscore://acme/client")
    AuditLog(house.data / "audit.sqlite").add(What.OFFER, "new-1")
    found = Outline(text := house.index("--lang", "en")).sections
    assert "2024-02\nstability index\nkwh\n0.500\n0.200" in found["alarms"].replace("\n\n", "\n")
    assert "champion" in found["models"] and JOB in found["models"]
    evaluation = house.data / "models" / JOB / "evaluation.json"
    assert evaluation.exists() is (house.party is Party.BANK)
    auc = f"{json.loads(evaluation.read_bytes())['joint']['auc']:.4f}" if evaluation.exists() else "–"
    assert auc in found["models"].splitlines()
    assert re.search(r"there\n\S*there.csv\nid\n–\n\d+\n1\n", found["datasets"]), found["datasets"]
    assert "gone.csv" in found["datasets"] and "cannot be read" in found["datasets"]
    assert "<b>sly</b>" not in text and "<b>sly</b>" in found["jobs"] and "a<b" in found["jobs"]
    assert "held for approval" in found["jobs"]
    assert "refused" in found["jobs"] and "waits or runs" in found["jobs"] and "old-0\n" not in found["jobs"]
    assert f"The newest {MOST} of " in found["jobs"]


def test_pages_are_linked_and_link_back_once_there_is_an_index(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chart, "svg", lambda chart: f'<svg role="img" id="{chart.name}"></svg>')  # drawn in other tests
    champion(house.data)
    report = house.pages / "reports" / "r.html"
    assert house.run("report", "champion", "--out", report).exit_code == 0
    assert "index.html" not in report.read_text(encoding="utf-8")
    links = [place for place in Outline(house.index()).places if not place.startswith("#")]
    assert links.count("reports/r.html") >= 2 and all((house.pages / place).exists() for place in links)
    assert house.run("report", "champion", "--out", report).exit_code == 0
    assert 'href="../index.html"' in report.read_text(encoding="utf-8")
    assert house.run("verify", report).exit_code == 0  # the link is no part of what was signed


def test_a_model_whose_files_are_gone_says_so(house: House) -> None:
    Registry(house.data / "registry.sqlite").enter("train-9", "ab" * 32, "cd" * 32, "ef" * 32)
    assert "files removed" in Outline(house.index("--lang", "en")).sections["models"]


def test_nothing_is_made_where_the_daemon_has_never_run_and_no_other_name_is_taken(house: House, tmp_path: Path) -> None:
    assert house.run("index", "--out", tmp_path / "all.html").exit_code == 2
    house.config.write_text(house.config.read_text().replace(str(house.data), str(tmp_path / "nothing")))
    assert house.run("index", "--out", house.pages / "index.html").exit_code == 2
    assert not (tmp_path / "nothing").exists() and not house.pages.exists()
