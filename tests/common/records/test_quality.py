"""The data-quality report: what it says, that it needs nothing from elsewhere, and that it is private."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from common.config import validate
from common.disk.files import write_private
from common.disk.scratch import Scratch
from common.records import quality_page
from common.records.clean import Cleaned, clean
from common.records.config import RecordsConfig
from common.records.held import Held
from common.records.panel import Panel
from common.records.quality import Quality, quality
from common.records.quality_page import as_html
from common.records.source import read
from common.rows.ids import masked
from common.text.words import Lang, read_words
from tests.memory import held_at_most

ID = "91350100M000100Y43"
COUNTED, COMPOSED = ("bank", "grid", "rows", "records_read", "records_kept", "enterprises"), ("rule_", "action_")
FIELDS = {"tax_amount": "tax", "用电量": "kwh", "region": "region", "overdue": {}, "nothing": "nothing"}


@pytest.fixture
def report(tmp_path: Path) -> Quality:
    lines = [f"E{i:03d},2024-{m:02d},{10 ** (i % 5)},{i},r{i % 15},{i % 2}," for i in range(60) for m in (1, 2, 4)]
    lines += [f"{ID},2024-01,-77,<b>&amp,east,0,", f"{ID},2024-02,,1,east,1,", f"{ID},2024-02,,1,east,1,"]
    path = tmp_path / "bank.csv"
    path.write_text("id,month,tax,kwh,region,overdue,nothing\n" + "\n".join(lines) + "\n", encoding="utf-8")
    raw = {"party": "bank", "source": {"path": str(path)}, "keys": {"id": "id", "month": "month"}, "fields": FIELDS}
    settings = validate(RecordsConfig, raw, "records.toml")
    return quality(settings, clean(settings, read(settings)))


def test_it_counts_rules_missing_and_distributions(report: Quality) -> None:
    data = json.loads(report.as_json())
    assert (data["rows"], data["records_kept"], data["enterprises"]) == (183, 182, 61)
    assert data["months"] == ["2024-01", "2024-02", "2024-03", "2024-04"] and data["records_by_month"] == [61, 61, 0, 60]
    rules = {(r["rule"], r["field"]): r for r in data["rules"]}
    assert rules["impossible", "tax_amount"]["rows"] == rules["malformed", "用电量"]["rows"] == 1
    assert rules["duplicate", ""]["rows"] == 1 and rules["empty", "nothing"]["rows"] == 183
    assert rules["impossible", "tax_amount"]["examples"][0] | {"place": ""} == {
        "place": "", "id": masked(ID), "month": "2024-01", "value": "-77",
    }  # fmt: skip
    tax = data["fields"]["tax_amount"]
    assert tax["missing_by_month"] == [round(1 / 61, 6), round(1 / 61, 6), None, 0.0]
    assert (tax["known"], tax["median"], tax["max"], tax["histogram"]["log"]) == (180, 100.0, 10_000.0, True)
    assert sum(tax["histogram"]["counts"]) == 180 and len(tax["histogram"]["edges"]) == len(tax["histogram"]["counts"]) + 1
    assert data["fields"]["overdue"]["label"] and data["fields"]["overdue"]["counts"] == {"0": 91, "1": 91}
    region = data["fields"]["region"]
    assert region["levels"] == 16 and region["other"] == 182 - sum(region["counts"].values()) > 0
    assert data["fields"]["nothing"]["known"] == 0 and data["fields"]["nothing"]["missing"] == 1.0


class Reader(HTMLParser):
    """Collects what a page would load or run, and checks that elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object", "embed", "base", "form"):
            self.loads.append(tag)
        self.loads += [f"{k}={v}" for k, v in attrs if k.startswith("on") or k in ("src", "srcset", "action")]
        self.loads += [f"{k}={v}" for k, v in attrs if k in ("href", "xlink:href") and not str(v).startswith("#")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_stands_alone_and_escapes_what_it_shows(report: Quality, lang: Lang) -> None:
    page = as_html(report, lang)
    reader = Reader()
    reader.feed(page)
    assert reader.loads == [] and reader.open == []
    assert not re.search(r"url\((?!#)|@import", page) and "default-src 'none'" in page
    assert "&lt;b&gt;&amp;amp" in page and "<b>&amp" not in page
    assert ID not in page and masked(ID) in page and ID not in report.as_json()
    assert page.count("<svg") == 2 and "用电量" in page
    assert ("数据质量报告" in page) is (lang == "zh") and ("What cleaning did" in page) is (lang == "en")
    assert page == as_html(report, lang)


def test_every_word_has_both_languages_and_is_used() -> None:
    folder = Path(quality_page.__file__).parent
    page = (folder / "quality.html.j2").read_text(encoding="utf-8")
    words = read_words(folder / "quality.toml")
    for key, (en, zh) in words.items():
        assert en and re.search(r"[\u4e00-\u9fff]", zh), key
        assert f"w.{key}" in page or key in COUNTED or key.startswith(COMPOSED), key
    assert set(re.findall(r"\bw\.(?!get\b)(\w+)", page)) <= words.keys()


def test_files_are_for_their_owner_only_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "quality.html"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["quality.html"]


def test_of_a_field_one_copy_is_held_at_a_time(tmp_path: Path) -> None:
    """The figures are those of all values at once."""
    shape = 1 << 17, 24  # 24 MiB a field
    values = np.exp(np.random.default_rng(5).normal(5, 3, shape))
    values[:, ::7], values[:, 5] = np.nan, 0.0
    held = Held({"tax_amount": Scratch(tmp_path, 0).keep(values.ravel())}, width=24)
    label, ids = (values > 100).astype(np.float64), np.full(shape[0], "", object)
    panel = Panel(ids, 2024 * 12, np.ones(shape, np.bool_), held, {}, label)
    raw = {"party": "bank", "source": {"path": "x.csv"}, "keys": {"id": "id", "month": "month"}}
    raw["fields"] = {"tax_amount": {"column": "t"}, "late": {"column": "l", "kind": "flag", "role": "label"}}
    with held_at_most(35):
        found = quality(validate(RecordsConfig, raw, "r.toml"), Cleaned(panel, 1, 1, (), {})).data["fields"]
    there = values[~np.isnan(values)]
    counts, edges = np.histogram(np.log10(there[there > 0]), bins=40)
    tax = found["tax_amount"]
    assert tax["histogram"] == {"log": True, "counts": counts.tolist(), "edges": (10**edges).tolist()}
    assert (tax["known"], tax["mean"], tax["median"]) == (len(there), there.mean(), np.median(there))
    assert (tax["zero"], tax["missing_by_month"][7]) == (round(float((there == 0).mean()), 6), 1.0)
    assert found["late"]["counts"] == {"0": int((label == 0).sum()), "1": int((label == 1).sum())}
