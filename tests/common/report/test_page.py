"""The page as a reviewer gets it: complete in both languages, self-contained, its figures those of the job, no row in it."""

from __future__ import annotations

import html
import re
from copy import copy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bank_party.decision import bundle
from bank_party.report import page as bank
from common.features.fit import FittedPreparation
from common.features.options import Preparation
from common.party import Party
from common.plan.network import Network
from common.report import page
from common.report.card import Card
from common.report.evidence import Evidence, gather
from common.report.numbers import coarse, real, share, signed
from common.report.page import Own, make
from common.report.texts import Choice, catalogue
from common.text.words import LANGS
from grid_party import report as grid
from tests.common.report.conftest import JOB, Job

WITHOUT = {"backtest", "overrides"}  # of one origin, of a model that has scored nothing
SECTIONS = {Party.GRID: grid.SECTIONS, Party.BANK: tuple(s for s in bank.SECTIONS if s not in WITHOUT)}
FILES = {Party.GRID: (), Party.BANK: (bundle.RULES,)}
VOID = {"meta", "input", "br", "img", "link", "hr"}


class Outline(HTMLParser):
    """Text by section, attributes that name a place, and that every tag is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.places: list[str] = []
        self.tags: set[str] = set()
        self.sections: dict[str, str] = {}
        self.here = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.add(tag)
        self.ids += [str(named["id"])] if "id" in named else []
        self.places += [str(v) for k, v in attrs if k in ("src", "href", "xlink:href", "action", "data", "srcset")]
        if tag == "section":
            self.here = str(named["id"])
            self.sections[self.here] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.here and data.strip():
            self.sections[self.here] += data.strip() + "\n"


@pytest.fixture(scope="module")
def evidence(job: Job) -> dict[Party, Evidence]:
    return {party: gather(job.data(party), JOB, *FILES[party]) for party in Party}


@pytest.fixture(scope="module")
def pages(job: Job) -> dict[tuple[Party, Choice], str]:
    choices: tuple[Choice, ...] = ("en", "zh", "both")
    make = {Party.GRID: grid.make_report, Party.BANK: bank.make_report}
    return {(party, choice): make[party](job.data(party), JOB, choice).page for party in Party for choice in choices}


@pytest.mark.parametrize("party", Party)
def test_trained_columns_are_those_that_the_features_section_adds_up_to(
    party: Party, evidence: dict[Party, Evidence], pages: dict[tuple[Party, Choice], str]
) -> None:
    data = Outline(pages[party, "en"]).sections["data"]
    shown = int(data.split("Trained columns\n")[1].split()[0])
    assert shown == len([name for name in evidence[party].model.columns if name != "(intercept)"])


@pytest.mark.parametrize("party", Party)
@pytest.mark.parametrize("choice", ["en", "zh", "both"])
def test_a_page_has_every_section_and_needs_nothing_else(
    pages: dict[tuple[Party, Choice], str], party: Party, choice: Choice
) -> None:
    text = pages[party, choice]
    found = Outline(text)
    assert found.open == []
    assert tuple(found.sections) == SECTIONS[party]
    for name, content in found.sections.items():
        for k, lang in enumerate(LANGS):
            assert (catalogue()[f"section.{name}"][k] in content) is (choice in (lang, "both")), name
    assert [place for place in found.places if not place.startswith("#")] == []
    assert {place.removeprefix("#") for place in found.places} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert not found.tags & {"script", "link", "iframe", "object", "img", "form"}
    assert "://" not in text and "url(" not in re.sub(r"url\(#\w+\)", "", text)
    assert len(text.encode()) < 3_000_000


def test_chinese_alone_has_no_english_sentence(pages: dict[tuple[Party, Choice], str]) -> None:
    english = [en for key, (en, _) in catalogue().items() if key.startswith("how.")]
    assert [text for text in english for party in Party if text in pages[party, "zh"]] == []


def test_figures_are_those_of_the_job_and_of_the_decision_artefacts(job: Job, pages: dict[tuple[Party, Choice], str]) -> None:
    found = Outline(pages[Party.BANK, "en"]).sections
    result = job.outcomes[Party.BANK].evaluation
    assert result is not None
    for name in ("auc", "ks", "gini", "logloss", "brier"):
        one, two = getattr(result.joint, name), getattr(result.bank_only, name)
        line = "\n".join([real(one), real(two), signed(one - two)])
        assert line in found["comparison"], name
    assert f"difference by DeLong: {signed(result.auc_difference.difference)}" in found["comparison"]
    assert f"{real(result.joint.auc)}\nAUC, joint" in found["summary"]
    rules = bundle.load_decision(JOB, job.companies.models(Party.BANK).folder(JOB))
    for c in rules.coefficients[:-1]:
        assert "\n".join([c.name, signed(c.joint), share(c.share), signed(c.alone), real(c.alone_error)]) in found["model"]
    assert f"ECE after\n{share(rules.error_after, 3)}" in found["calibration"]
    for cut in rules.table.cuts:
        assert (
            f"{share(cut.approval_rate)}\n{cut.score}\n{share(cut.probability, 2)}\n{share(cut.bad_rate, 2)}"
            in found["decision"]
        )
    for grade in rules.grades:
        assert f"{share(grade.test.expected, 2)}\n{share(grade.test.observed, 2)}" in found["grades"]
    counts = job.outcomes[Party.BANK].counts
    assert f"Training rows\n{counts['train_rows']:,}" in found["data"]


def test_what_was_opened_is_what_the_job_opened(
    job: Job, pages: dict[tuple[Party, Choice], str], evidence: dict[Party, Evidence]
) -> None:
    for party in Party:
        seen = [entry["seen"] for entry in page.opened(evidence[party], page.Words("en"))]
        assert len(seen) == len(evidence[party].plan.allowed)
        assert sum(seen) == len(job.outcomes[party].opened)
        assert Outline(pages[party, "en"]).sections["opened"].count("\nopened\n") == sum(seen)


def test_fingerprints_let_two_reports_be_compared(
    evidence: dict[Party, Evidence], pages: dict[tuple[Party, Choice], str]
) -> None:
    grid, bank = evidence[Party.GRID], evidence[Party.BANK]
    for section in ("identity", "sign"):
        for e in (grid, bank):
            text = Outline(pages[e.party, "en"]).sections[section]
            about = e.model.about
            assert all(
                h in text for h in (about["plan_sha256"], about["dataset_sha256"], e.record.code_sha256, *e.digests.values())
            )
    assert grid.model.about["plan_sha256"] == bank.model.about["plan_sha256"]
    assert grid.record.code_sha256 == bank.record.code_sha256


def test_no_enterprise_and_no_small_cell_is_in_the_page(job: Job, pages: dict[tuple[Party, Choice], str]) -> None:
    ids = pd.read_csv(job.companies.dataset(Party.BANK).path)["firm"].unique()
    for text in pages.values():
        assert [firm for firm in ids if firm in text] == []
    segments = Outline(pages[Party.BANK, "en"]).sections["segments"]
    assert "东城" not in segments  # at most 3 rows
    assert "北<城>" in segments and "south & west" in segments


def test_where_a_column_is_cut_is_not_in_the_page_as_it_is_the_value_of_a_row(tmp_path: Path) -> None:
    job = Job(tmp_path, preparation={"coding": "bins", "min_binary": 5})
    for party, make_report in ((Party.GRID, grid.make_report), (Party.BANK, bank.make_report)):
        shown = html.unescape(make_report(job.data(party), JOB, "both").page).replace("<wbr>", "")
        names = gather(job.data(party), JOB, *FILES[party]).model.columns
        cut = {name: coarse(name) for name in names if coarse(name) != name}
        assert cut and not [name for name in cut if name in shown]
        assert all(told in shown for told in cut.values())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("loan_amount>246270", "loan_amount>246000"),
        ("贷款余额=[76087, 99077)", "贷款余额=[76100, 99100)"),
        ("x=[-inf, -0.123456)", "x=[-inf, -0.123)"),
        ("x=[1.23456e+18, inf)", "x=[1.23e+18, inf)"),
        ("x>7", "x>7"),
        ("tax=8150.29", "tax=8150.29"),  # many rows have it
        ("region=north", "region=north"),
        ("x", "x"),
    ],
)
def test_names_of_columns_have_three_figures_of_where_they_are_cut(name: str, told: str) -> None:
    assert coarse(name) == told


def test_left_out_columns_are_named_with_the_reason(pages: dict[tuple[Party, Choice], str]) -> None:
    features = Outline(pages[Party.BANK, "zh"]).sections["features"]
    assert re.search(r"flat\n数值\n0\.0%\n0\.000\n0\.000\n0\n训练样本中取值恒定", features)
    assert re.search(r"twice\n数值\n0\.0%\n[\d.]+\n[\d.]+\n0\n与前面的列共线", features)
    assert "未入模：&#39;flat&#39;" in pages[Party.BANK, "zh"]


def test_the_grids_page_shows_no_label(pages: dict[tuple[Party, Choice], str], evidence: dict[Party, Evidence]) -> None:
    found = Outline(pages[Party.GRID, "en"]).sections
    assert "overdue rate" not in found["data"]
    assert "weight" not in found["model"].split("\n")  # of a model that nobody holds
    assert all(name in found["model"] for name in evidence[Party.GRID].model.columns)


@pytest.mark.parametrize("coding", ["linear", "auto", "bins", "woe"])
def test_the_page_says_how_columns_are_prepared(evidence: dict[Party, Evidence], coding: str) -> None:
    base = evidence[Party.BANK]
    line = base.model.fitted.fitted[0]
    pieces = [line.model_copy(update={"name": f"{line.source}>{k}"}) for k in range(3)]
    model: Any = copy(base.model)
    vars(model)["fitted"] = FittedPreparation(fitted=(line, *pieces))  # frozen, and its other fields no matter here
    preparation = base.plan.preparation.model_copy(update={"coding": coding})
    plan = base.plan.model_copy(update={"preparation": preparation})
    found = make(Evidence(model, plan, base.record, None, base.digests), Own(("features",)), "en", Card()).page
    assert f"Coding {coding}: " in found
    unit = 1 / np.sqrt(base.record.counts["train_rows"] / 1e6)
    assert ("3 pieces of numbers" in found and f"is {unit:.3g} of its standard deviations" in found) is (coding == "auto")


def test_of_a_network_a_unit_of_a_piece_is_two_of_its_deviations(evidence: dict[Party, Evidence]) -> None:
    base = evidence[Party.BANK]
    model: Any = copy(base.model)
    line = base.model.fitted.fitted[0]
    vars(model)["fitted"] = FittedPreparation(fitted=(line, line.model_copy(update={"name": f"{line.source}>1"})))
    plan = base.plan.model_copy(update={"model": Network(), "preparation": Preparation()})
    found = make(Evidence(model, plan, base.record, None, base.digests), Own(("features",)), "en", Card()).page
    assert "1 pieces of numbers" in found and "is 2 of its standard deviations" in found


def test_counted_bins_are_shown_and_small_ones_are_not(evidence: dict[Party, Evidence]) -> None:
    bins = [
        {"bin": "[0, 1)", "rows": 500, "ones": 100, "zeros": 400, "rate": 0.2, "woe": -0.1111},
        {"bin": "[1, inf)", "rows": 400, "ones": 150, "zeros": 250, "rate": 0.375, "woe": 0.2222},
        {"bin": "(missing)", "rows": 4, "ones": 3, "zeros": 1, "rate": 0.75, "woe": 0.3333},
    ]
    columns = [{"name": "peak", "iv": 0.4321, "kept": True, "reason": "", "bins": bins}]
    base = evidence[Party.GRID]
    with_bins = Evidence(base.model, base.plan, base.record, {"coding": "woe", "columns": columns}, base.digests)
    found = Outline(make(with_bins, Own(("features",)), "en", Card()).page).sections["features"]
    assert "Bins of peak" in found and "0.432" in found
    assert "[0, 1)\n500\n20.00%\n−0.111" in found
    assert "0.333" not in found and "75.00%" not in found  # and, as a total would tell it, neither is the next smallest
    assert "0.222" not in found


def test_the_page_is_the_same_each_time(job: Job, pages: dict[tuple[Party, Choice], str]) -> None:
    assert grid.make_report(job.data(Party.GRID), JOB, "both").page == pages[Party.GRID, "both"]


def test_templates_name_no_section_that_is_not_there() -> None:
    folders = Path(page.__file__).parent / "templates" / "sections", Path(bank.__file__).parent / "sections"
    found = [file.name.removesuffix(".j2") for folder in folders for file in folder.glob("*.j2")]
    assert sorted(found) == sorted(bank.SECTIONS) and set(grid.SECTIONS) < set(found)
