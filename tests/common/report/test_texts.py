"""The catalogue: complete in both languages, nothing missing, nothing left over."""

from __future__ import annotations

import re
import string

import numpy as np
import pytest

from bank_party.judge.evaluation import reach_warning
from common.disclosure import CATALOGUE, Opened
from common.features.fit import fit
from common.features.options import Preparation
from common.report.texts import Words, catalogue
from common.rows.dataset import ColumnConfig
from common.rows.table import FeatureTable
from tests.bank_party.decision.worlds import held_out
from tests.source import ROOT

FOLDERS = [ROOT / package / "report" for package in ("common", "bank_party")]
FOLDERS.append(ROOT / "grid_party")
FREE = ("disclosure.", "warning.")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SAME = {
    "features.iv",
    "features.psi",
    "model.z",
    "model.woe",
    "features.woe",
    "calibration.ece",
    "comparison.auc",
    "page.english",
    "page.chinese",
}


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", [key for key in catalogue() if not key.startswith(FREE)])
def test_a_text_is_there_in_both_languages_with_the_same_blanks(key: str) -> None:
    en, zh = catalogue()[key]
    assert en.strip() and zh.strip()
    assert fields(en) == fields(zh)
    assert not CHINESE.search(en) or key == "page.chinese"
    assert CHINESE.search(zh) or key in SAME or not re.search("[a-z]{3}", re.sub(r"\{\w+\}", "", zh)), zh


def test_every_key_that_is_used_is_there_and_every_key_is_used() -> None:
    sources = [file for folder in FOLDERS for file in (*folder.rglob("*.py"), *folder.rglob("*.j2"))]
    text = "\n".join(file.read_text(encoding="utf-8") for file in sources)
    groups = {key.split(".")[0] for key in catalogue()} - {"warning", "disclosure"}
    files = {"model.json", "decision.json", "features.json"}
    named = set(re.findall(rf'["\'](({"|".join(groups)})\.\w+)["\']', text))
    assert {key for key, _ in named if not key.endswith("_")} - catalogue().keys() == files
    prefixes = set(re.findall(rf'["\']((?:{"|".join(groups)})\.\w*)["\'] \+', text)) | set(
        re.findall(rf'f"((?:{"|".join(groups)})\.\w*)\{{', text)
    )
    unused = [key for key in catalogue() if not key.startswith(FREE) and key not in {k for k, _ in named}]
    assert [key for key in unused if not key.startswith(tuple(prefixes))] == []


def test_everything_that_may_be_opened_is_told_in_chinese() -> None:
    for opened in Opened:
        what, why = catalogue()[f"disclosure.{opened.value}"]
        assert CHINESE.search(what) and CHINESE.search(why), opened
        en, zh = Words("en").disclosed(opened), Words("zh").disclosed(opened)
        assert (en[0], zh[0]) == (what_of(opened), what)


def what_of(opened: Opened) -> str:
    return CATALOGUE[opened].what.replace("'", "&#39;")


def test_real_warnings_are_told_in_chinese() -> None:
    rng = np.random.default_rng(3)
    one = rng.normal(size=200)
    numeric = {"one": one, "twice": 2 * one, "flat": np.ones(200), "rare": np.append(np.ones(3), np.zeros(197))}
    table = FeatureTable(np.array([str(k) for k in range(200)], object), None, numeric, {}, None, tuple(numeric))
    columns = {name: ColumnConfig(kind="numeric") for name in numeric}
    _, left_out = fit(table, columns, Preparation(min_binary=5), np.ones(200, np.bool_))
    _, missing = held_out(1000, exposure="nothing", segments=["nowhere"])
    reach = [text for text in (reach_warning(13.0, 12.0), reach_warning(30.0, 12.0)) if text]
    assert (len(left_out), len(missing), len(reach)) == (3, 2, 2)
    for text in [
        *left_out,
        *missing,
        *reach,
        "the joint score does not rank the validation rows: every row gets their overall rate",
    ]:
        assert CHINESE.search(Words("zh").warning(text)), text
    assert "'twice'" in Words("zh").warning(left_out[2]).unescape()
    assert Words("zh").warning("something new & <odd>") == "something new &amp; &lt;odd&gt;"


def test_a_page_of_both_languages_marks_each_and_one_of_one_language_does_not() -> None:
    assert Words("both")("data.held") == '<span class="en" lang="en">held out</span><span class="zh" lang="zh-CN">测试</span>'
    assert Words("zh")("data.held") == "测试"
    assert Words("both")("comparison.auc") == "AUC"
    assert Words("both").tspans("a<b", "甲") == '<tspan class="en">a&lt;b</tspan><tspan class="zh">甲</tspan>'
