"""A party's pages in this process: who sees them, and that each says what stands in the party's books."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.config import validate
from common.console.pages import SECTIONS
from common.daemon.settings import PartyConsole
from common.errors import ConfigError
from common.home.audit import What
from common.home.standing import Charge, Standing
from common.plan.job_stages import MEANING
from common.plan.roles import NEEDED
from common.text.words import read_words
from common.web.login import SERVES, Tickets
from tests.common.console.party import HOST, Books, make_books
from tests.common.web.visit import Visit
from tests.source import ROOT


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return make_books(tmp_path)


def test_nobody_who_is_not_logged_in_sees_a_page(books: Books) -> None:
    visit = Visit(books.console.app, HOST)
    for way in ("", *SECTIONS[1:], "jobs/train-1", "nothing"):
        answer = visit.get(f"/en/{way}")
        assert answer.status == 401 and "train-1" not in answer.text, way
    assert visit.post("/en/logout", {"form": "x"}).status == 401
    assert "您尚未登录" in visit.get("/zh/jobs").text


def test_a_link_logs_in_once_and_the_cookie_is_for_this_host_and_no_script(books: Books) -> None:
    visit, ticket = Visit(books.console.app, HOST), Tickets(books.path).issue("li")
    answer = visit.get(f"/login?ticket={ticket}")
    assert answer.status == 303 and answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-wattscore-grid=")
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=strict", "Path=/")) and "Domain" not in cookie
    assert "li" in visit.get("/en/").text and ticket not in books.path.read_bytes().decode("latin-1")
    again = Visit(books.console.app, HOST).get(f"/login?ticket={ticket}")
    assert again.status == 401 and "set-cookie" not in again.headers and "used before" in again.text


def test_a_link_serves_for_two_minutes(books: Books) -> None:
    late = Tickets(books.path, clock=lambda: time.time() - SERVES - 1).issue("li")
    assert Visit(books.console.app, HOST).get(f"/login?ticket={late}").status == 401


def test_who_logs_out_is_out_wherever_the_cookie_is(books: Books) -> None:
    visit = books.visit()
    stolen = Visit(books.console.app, HOST)
    stolen.cookies = dict(visit.cookies)
    assert visit.post("/en/logout", {"form": "guessed"}).status == 403 and visit.get("/en/").status == 200
    form = re.search(r'name="form" value="([^"]+)"', visit.get("/en/").text)
    assert form is not None and visit.post("/en/logout", {"form": form[1]}).status == 303
    assert visit.get("/en/").status == stolen.get("/en/").status == 401


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"origin": ""}, {"sec_fetch_site": "cross-site"}])
def test_a_form_of_another_page_is_refused_whatever_it_carries(books: Books, headers: dict[str, str]) -> None:
    visit = books.visit()
    form = re.search(r'name="form" value="([^"]+)"', visit.get("/en/").text)
    assert form is not None and visit.post("/en/logout", {"form": form[1]}, **headers).status == 403
    assert visit.get("/en/").status == 200


def test_a_name_that_is_not_the_consoles_is_refused(books: Books) -> None:
    visit = books.visit()
    visit.host = "evil.example"
    assert visit.get("/en/").status == 421
    assert visit.get(f"/login?ticket={Tickets(books.path).issue('li')}").status == 421


def test_a_page_loads_nothing_from_elsewhere_and_no_script_of_its_own_text(books: Books) -> None:
    visit = books.visit()
    for way in ("", *SECTIONS[1:], "jobs/train-1"):
        answer = visit.get(f"/en/{way}")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store" and answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"(src|href|action)=\"(https?:)?//", answer.text)
        assert "<script>" not in answer.text and " style=" not in answer.text and "<style" not in answer.text
    assert visit.get("/static/console.js").headers["content-type"].startswith("text/javascript")
    assert visit.get("/static/../frame.py").status == visit.get("/static/..").status == visit.get("/static/x").status == 404


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_page_is_in_both_languages_and_links_to_its_other_one(books: Books, lang: str) -> None:
    visit, other = books.visit(), "en" if lang == "zh" else "zh"
    for way in ("", *SECTIONS[1:], "jobs/train-1", "jobs?state=failed", "audit?job=train-1"):
        answer = visit.get(f"/{lang}/{way}")
        assert answer.status == 200, (way, answer.text)
        assert f'<html lang="{"zh-CN" if lang == "zh" else "en"}">' in answer.text
        assert f'href="/{other}/{way}"' in answer.text
        assert answer.text.count("<h1>") == 1 and 'class="skip"' in answer.text
    assert visit.get("/fr/").status == 404
    assert visit.get("/", accept_language="zh-CN,zh;q=0.9,en;q=0.8").headers["location"] == "/zh/"
    assert visit.get("/", accept_language="de,en;q=0.5").headers["location"] == "/en/"


def test_a_job_is_shown_as_far_as_it_is(books: Books) -> None:
    visit = books.visit()
    before = visit.get("/en/jobs/train-1").text
    assert "accepted, not running" in before and "<progress" not in before
    with books.running("train-1", "train", 7, 40):
        for page in (visit.get("/en/jobs/train-1").text, visit.get("/en/").text):
            assert 'aria-current="step">one model, on secret shares' in page and "7 / 40" in page
            assert "2.0 KiB sent, 1.0 KiB received" in page and "data-live" in page
        assert "running" in visit.get("/en/jobs?state=running").text
    assert "<progress" not in visit.get("/en/jobs/train-1").text


def test_why_a_job_failed_is_on_its_page_and_text_of_others_is_harmless(books: Books) -> None:
    page = books.visit().get("/en/jobs/train-2").text
    assert "the bank lost &lt;b&gt;its line&lt;/b&gt;" in page and "<b>its line" not in page and "\x1b" not in page
    answer = books.visit().get("/en/jobs/train-99")
    assert answer.status == 409 and "train-99" in answer.text


def test_what_was_opened_is_told_by_kind_and_way_in_both_languages(books: Books) -> None:
    page = books.visit().get("/en/disclosures").text
    rows = [re.sub(r"<[^>]+>|\s+", " ", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    found = next(row for row in rows if "which enterprises both sides hold" in row)
    assert re.search(r" in +2 +2 +900 +train-3", re.sub(" +", " ", found)), found
    assert "双方共同持有哪些企业" in books.visit().get("/zh/disclosures").text


def test_budgets_say_what_is_spent_and_left(books: Books) -> None:
    page = re.sub(r"<[^>]+>", " ", books.visit().get("/en/budgets").text)
    said = re.sub(r"\s+", " ", page)
    assert "At most 8 ( scores_per_row )" in said and "Rows charged 3" in said
    assert "Spent of the row of which most is 2" in said and "Left of that row 6" in said
    assert "wattscore://acme/analyst" in said


def test_what_budgets_went_for_is_said_in_the_language_of_the_page(books: Books) -> None:
    charges = [
        Charge("train-1", what, 1.0, 30) for what in ("metrics", "the grid's splits", "whether worse than train-<0>", "x&y")
    ]
    standing = Standing("bits told of a row's label", "label_bits", 0.1, np.full(30, 0.02), tuple(charges))
    books.home.standings = lambda: (standing,)  # type: ignore[method-assign,assignment,return-value]
    for lang, said in (("en", ("metrics", "the grid&#39;s splits", "whether worse than train-&lt;0&gt;")),
                       ("zh", ("度量", "电网方分裂点", "是否劣于 train-&lt;0&gt;"))):  # fmt: skip
        page = books.visit().get(f"/{lang}/budgets").text
        assert all(f">{text}<" in page for text in (*said, "x&amp;y")), page


def test_what_the_grid_is_charged_for_has_words(books: Books) -> None:
    assert [c.what for one in books.home.standings() for c in one.charges] == ["scores", "scores"]
    assert ">评分<" in books.visit().get("/zh/budgets").text


def test_every_purpose_that_the_bank_names_has_words() -> None:
    named = set(re.findall(r'"(whether there [^"]+|the grid\'s [^"]+|all splits|when [^"]+|columns left out|warnings|metrics)"',
                           (ROOT / "bank_party" / "role.py").read_text()))  # fmt: skip
    assert len(named) == 8 and {f"purpose.{what}" for what in named} <= read_words(ROOT / "common/console/words.toml").keys()


def test_models_stand_side_by_side(books: Books) -> None:
    visit = books.visit()
    page = visit.get("/en/models").text
    assert page.count('type="checkbox"') == 2 and "Side by side" not in page and "champion" in page
    page = visit.get("/en/models?job=train-1&job=train-3").text
    assert "Version 1" in page and "Version 2" in page and page.count(" checked") == 2


def test_the_audit_log_is_read_by_job_and_page_and_verified(books: Books) -> None:
    visit = books.visit()
    page = visit.get("/en/audit").text
    assert "salt" not in page and "train-3" in page and "asked for by</span> wattscore://acme/analyst" in page
    chinese = visit.get("/zh/audit").text
    assert "请求方</span> wattscore://acme/analyst" in chinese and "已公开</span> matched_ids, counts" in chinese
    assert "train-3" not in visit.get("/en/audit?job=train-1").text
    for k in range(60):
        books.home.audit.add(What.OFFER, f"more-{k}")
    first = visit.get("/en/audit").text
    older = re.search(r'href="(/en/audit\?before=\d+)"', first)
    assert older is not None and "more-59" in first and "more-3<" not in first and "more-3<" in visit.get(older[1]).text
    assert books.home.audit.head.digest.hex() in visit.get("/en/audit?verify=true").text
    books.spoil_audit()
    assert "entry 2 does not follow" in visit.get("/en/audit?verify=true").text


def test_an_error_of_a_page_is_in_the_log_and_not_in_the_page(books: Books, caplog: pytest.LogCaptureFixture) -> None:
    visit = books.visit()
    books.home.standings = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    answer = visit.get("/en/budgets")
    assert answer.status == 500 and "ZeroDivision" not in answer.text and "ZeroDivisionError" in caplog.text
    assert visit.get("/en/").status == 200


def test_the_words_of_stages_are_those_of_the_table() -> None:
    words = read_words(ROOT / "common" / "console" / "words.toml")
    assert {key.removeprefix("stage."): en for key, (en, _) in words.items() if key.startswith("stage.")} == MEANING
    assert {f"entry.{what.value}" for what in What} <= words.keys() and {f"kind.{kind}" for kind in NEEDED} <= words.keys()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"listen": "10.0.0.1:7444"}, "trust or oidc"),
        ({"listen": "10.0.0.1:7444", "trust": "ca.pem", "people": ["li"]}, "host is required"),
        ({"listen": "127.0.0.1:7444", "certificate": "c.pem"}, "give both"),
        ({"listen": "127.0.0.1:7444", "trust": "ca.pem"}, "people"),
        ({"listen": "127.0.0.1:7444", "approvers": {"subject:1": "li"}}, "approvers"),
        ({"listen": "127.0.0.1:7444", "trust": "c", "people": ["a"], "approvers": {"a": "li", "b": "li"}}, "one person"),
        ({"listen": "127.0.0.1:7444", "tls": False}, "tls"),
    ],
)
def test_a_console_that_would_let_in_anybody_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        validate(PartyConsole, settings, "grid.toml")
