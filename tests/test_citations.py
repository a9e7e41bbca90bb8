"""Files and names of code that a page cites, held against the code: a page that outlives a move sends its reader astray."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from common.mpc.prg import Purpose
from tests.source import ROOT, parse

PACKAGES = ("common", "grid_party", "bank_party")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(f for p in (*PACKAGES, "protos", "tests", "deploy", "findings") for f in (ROOT / p).rglob("*.md"))]
)

# What a page writes as code and is none of ours: files of a running process, addresses, other people's names.
FILES = re.compile(r"\.(sqlite|json|toml|txt|pem|key|log|sock|csv|parquet|html|service|yaml|svg|png|sh|npz|sql)$")
ELSEWHERE = re.compile(r"/|(data|certs|models|scores|stock|quality)/|[\w-]+\.example$")
OTHERS = {"role.org.wattscore", "LogisticRegression", "bench.md", "wattscore.job", "service.name", "service.version"}


@cache
def names() -> frozenset[str]:
    """Full names of what the packages define, `common.mpc.session.Session.open`, and of protobuf files and rules of alerts."""
    found = {name for package in PACKAGES for file in (ROOT / package).rglob("*.py") for name in defined(file)}
    for file in (ROOT / "protos").rglob("*.proto"):
        text = file.read_text(encoding="utf-8")
        found |= {f"proto.{name}" for name in re.findall(r"^(?:message|service|enum) (\w+)", text, re.MULTILINE)}
        for service, body in re.findall(r"^service (\w+) \{(.*?)^\}", text, re.MULTILINE | re.DOTALL):
            found |= {f"proto.{service}.{method}" for method in re.findall(r"rpc (\w+)", body)}
    for file in (ROOT / "deploy" / "observability").glob("*.y*ml"):
        found |= {f"alert.{name}" for name in re.findall(r"- alert: (\w+)", file.read_text(encoding="utf-8"))}
    return frozenset(found)


def defined(file: Path) -> Iterator[str]:
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    yield module
    yield from within(parse(file).body, module)


def within(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}.{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from within(node.body, f"{prefix}.{node.name}")
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (f"{prefix}.{target.id}" for target in targets if isinstance(target, ast.Name))


@cache
def keys() -> frozenset[str]:
    """Keys of the samples' sections: `samples.outcomes`."""
    found = set()
    for file in (ROOT / "deploy" / "samples").glob("*.toml"):
        text = re.sub(r"^#{1,2} (?=\w+ = )", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for section, table in tomllib.loads(text).items():
            found |= {f"{section}.{key}" for key in table} if isinstance(table, dict) else set()
    return frozenset(found)


def cited(text: str) -> Iterator[str]:
    """Citations among what a page writes as code: `mpc/link.py`, `stages/counts.without_close`, `Session.open`, `Policy`."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for token in re.findall(r"`([\w/.*]+)(?:\([^`]*\))?`", prose):
        path = "/" in token or token.endswith((".py", ".proto"))
        name = re.fullmatch(r"[A-Z]\w*[a-z]\w*|[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", token)
        if (path or name) and token not in OTHERS and not ELSEWHERE.match(token) and not FILES.search(token):
            yield token


def leads_somewhere(token: str, page: Path) -> bool:
    roots = (ROOT, ROOT / "common", ROOT / "protos", page.parent)
    if any(any(root.glob(token)) for root in roots):
        return True
    wanted = token.replace("/", ".")
    return wanted in keys() or any(name == wanted or name.endswith(f".{wanted}") for name in names())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_cites_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [token for token in cited(text) if not leads_somewhere(token, page)] == []


def test_the_pages_that_texts_of_the_code_name_exist() -> None:
    roots = (ROOT, ROOT / "protos")
    for file in (file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        for page in re.findall(r"[\w./-]+\.md\b", file.read_text(encoding="utf-8")):
            assert any((root / page).exists() for root in (*roots, file.parent)), f"{file.relative_to(ROOT)} names {page}"


GONE = ["settle.py", "mpc/descent.py", "matching/", "settings.check_nothing", "Session.reopen", "Nobody"]


@pytest.mark.parametrize("gone", GONE)
def test_a_citation_of_what_is_gone_is_found(gone: str) -> None:
    page = ROOT / "protos" / "PROTOCOL.md"
    assert list(cited(f"see `{gone}` there")) == [gone]
    assert not leads_somewhere(gone, page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


def anchors(page: Path) -> list[str]:
    """Where links may point within a page: its headings, in small letters, with hyphens for spaces."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]


def test_the_protocol_names_purposes_that_exist() -> None:
    text = (ROOT / "protos" / "PROTOCOL.md").read_text(encoding="utf-8")
    found = set(re.findall(r"PRG_?[GBP]?′?\(([A-Z_]{2,})", text))
    assert len(found) > 15
    assert found <= Purpose.__members__.keys()
