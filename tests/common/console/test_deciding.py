"""What people decide at a console, and what stands beside the jobs, in this process."""

from __future__ import annotations

import asyncio
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.daemon.settings import GrantFile
from common.disk.files import write_private
from common.home.approvals import Verdict
from common.trust.authority import make_ca
from common.trust.grant import Grant, sign
from tests.common.console.party import HOST, Books, make_books
from tests.common.web.test_callers import provider, token  # noqa: F401  (a fixture)
from tests.common.web.visit import Answer, Visit

ONE = "/en/approvals/train-4"


@pytest.fixture
def books(tmp_path: Path) -> Books:
    books = make_books(tmp_path, approvals=2)
    books.hold()
    return books


def send(visit: Visit, **fields: str) -> Answer:
    """The form of the page as it stands, with these fields."""
    page = visit.get(ONE).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))
    return visit.post(ONE, hidden | fields)


def verdict(books: Books) -> Verdict:
    return books.home.approvals.ruling(books.home.approvals.find("train-4")).verdict


def test_a_job_is_approved_by_two_people_each_in_the_name_of_the_account(books: Books) -> None:
    page = books.visit("li").get(ONE).text
    assert "which enterprises both sides hold" in page and "Decide, as li" in page and "about 1 rows, 1 columns" in page
    assert send(books.visit("li"), word="approve", read="yes").status == 303 and verdict(books) is Verdict.WAITS
    twice = send(books.visit("li"), word="approve", read="yes")
    assert twice.status == 409 and "li has approved" in twice.text
    assert send(books.visit("wang"), word="approve", read="yes").status == 303 and verdict(books) is Verdict.APPROVED
    entries = [(e.what, e.job) for e in books.home.audit.newest(2)]
    assert entries == [("approve", "train-4")] * 2
    assert "wang" in books.visit().get("/en/approvals").text and "Decide, as" not in books.visit().get(ONE).text


def test_a_denial_needs_a_reason_which_is_kept(books: Books) -> None:
    visit = books.visit("li")
    assert send(visit, word="deny", note="  ").status == 400 and verdict(books) is Verdict.WAITS
    assert send(visit, word="deny", note="<i>wait</i>").status == 303 and verdict(books) is Verdict.DENIED
    assert "&lt;i&gt;wait&lt;/i&gt;" in visit.get("/en/approvals").text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"word": "approve"}, 400),
        ({"word": "maybe", "read": "yes"}, 400),
        ({"word": "approve", "read": "yes", "form": "guessed"}, 403),
        ({"word": "approve", "read": "yes", "plan": "ab" * 32}, 409),
    ],
)
def test_nothing_is_approved_unread_unsigned_or_of_another_plan(books: Books, fields: dict[str, str], status: int) -> None:
    assert send(books.visit("li"), **fields).status == status
    assert not books.home.approvals.words()


def test_another_site_cannot_approve_for_who_is_logged_in(books: Books) -> None:
    visit = books.visit("li")
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', visit.get(ONE).text))
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "same-site"}):
        assert visit.post(ONE, hidden | {"word": "approve", "read": "yes"}, **headers).status == 403
    assert visit.get(f"{ONE}?word=approve&read=yes").status == 200 and not books.home.approvals.words()


async def test_with_tokens_who_is_no_approver_may_look_and_not_decide(tmp_path: Path, provider: dict[str, Any]) -> None:  # noqa: F811
    oidc = {key: str(value) for key, value in provider.items()}
    books = make_books(tmp_path, oidc=oidc, approvers={"subject:desk-7": "li"})
    books.hold()

    def visit(**claims: Any) -> Visit:
        return Visit(books.console.app, HOST, authorization=f"Bearer {token(**{'scope': 'wattscore.console', **claims})}")

    def look() -> None:
        assert Visit(books.console.app, HOST).get("/en/").status == 401
        assert visit(scope="wattscore.score").get("/en/").status == 403
        assert visit(exp=1).get("/en/").status == 401
        other = visit(sub="desk-8")
        page = other.get(ONE)
        assert page.status == 200 and "subject:desk-8" in page.text and "You may look" in page.text
        form = re.search(r'name="form" value="([^"]+)"', page.text)
        assert form is None and send(other, word="approve", read="yes", form="x").status == 403
        assert send(visit(), word="approve", read="yes").status == 303 and verdict(books) is Verdict.APPROVED
        assert [word.person for word in books.home.approvals.words()] == ["li"]

    await asyncio.to_thread(look)


def test_grants_are_shown_as_they_are_now(books: Books) -> None:
    ca = books.folder / "ca"
    make_ca("gridco", ca)
    trust = books.desk.settings.tls.trust
    write_private(trust / "gridco.pem", (ca / "ca.pem").read_bytes())
    ends = date.today() + timedelta(days=1)
    made = Grant(org="gridco", to="acme", dataset="t", purpose="limits <1m", expires=ends)
    file = books.folder / "t.grant"
    books.desk.settings.grants["t"] = GrantFile(path=file)
    visit = books.visit()
    assert "not in force" in visit.get("/en/grants").text and "there is no grant" in visit.get("/en/grants").text
    file.write_bytes(sign(made, ca))
    page = visit.get("/en/grants").text
    assert "in force" in page and "not in force" not in page and made.fingerprint() in page and "limits &lt;1m" in page
    file.write_bytes(sign(made, ca).replace(b"limits", b"Limits"))
    assert "无效" in visit.get("/zh/grants").text and "not signed by the CA" in visit.get("/en/grants").text


def test_alarms_are_those_of_the_history(books: Books) -> None:
    page = books.visit().get("/en/alarms").text
    assert "2024-02" in page and "kwh" in page and "0.500" in page and "stability index" in page
    assert "稳定性指数" in books.visit().get("/zh/alarms").text


def test_there_is_no_report_of_a_model_that_is_not_registered(books: Books) -> None:
    visit = books.visit()
    assert "train-1" not in visit.get("/en/reports").text  # its files are not here
    for job in ("train-99", "..%2Fsecret", "--help"):
        assert visit.get(f"/en/reports/{job}").status == 404
