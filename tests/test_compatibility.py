"""CHANGELOG.md's table of numbers held against the code: each is what the code says, and none is missing."""

from __future__ import annotations

import ast
import hashlib
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest

from common.wire.peer import PROTOCOL
from tests.pages import rows
from tests.source import ROOT, parse

NUMBER = re.compile(r"PROTOCOL|FORMAT|MAGIC|DEALING|_?VERSION|\w+_(FORMAT|MAGIC|VERSION)")
ANSWERS = 31, "0e95e41d7c97e165"  # the conversation's number, and the hash of tests/vectors under it


def numbers() -> dict[str, Any]:
    """Full names of everything in the code that numbers a format or a protocol, with their values."""
    files = [f for p in ("common", "grid_party", "bank_party") for f in (ROOT / p).rglob("*.py") if not f.stem.endswith("_pb2")]
    return {name: value(name) for file in files for name in numbered(file)}


def numbered(file: Path) -> Iterator[str]:
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for node in parse(file).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and NUMBER.fullmatch(node.targets[0].id):
            yield f"{module}.{node.targets[0].id}"
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(inner, ast.AnnAssign) and ast.unparse(inner.target) == "version" and "Literal" in ast.unparse(inner):
                yield f"{module}.{getattr(node, 'name', '')}.version"


def value(name: str) -> Any:
    home, last = name.rsplit(".", 1)
    if last == "version":
        module, kind = home.rsplit(".", 1)
        model: type[pydantic.BaseModel] = getattr(importlib.import_module(module), kind)
        return model.model_fields["version"].default
    return getattr(importlib.import_module(home), last)


def stated() -> dict[str, str]:
    """What the table says: code to number."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return {row[1].strip("`").replace("/", "."): row[2] for row in rows(text) if len(row) == 4 and row[1].startswith("`")}


def test_every_number_of_the_code_is_in_the_table_and_the_other_way_round() -> None:
    found, table = numbers(), stated()
    assert len(table) >= 9
    for name, number in found.items():
        (key,) = [key for key in table if name.endswith(f".{key}")] or [None]
        assert key, f"{name} is not in CHANGELOG.md"
        assert table[key] == (number.decode() if isinstance(number, bytes) else str(number)), name
    assert [key for key in table if not any(name.endswith(f".{key}") for name in found)] == []


def test_the_version_is_one() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.findall(r'^version = "(.*)"', project, re.MULTILINE)[0]
    assert f'__version__ = "{version}"' in (ROOT / "common" / "__init__.py").read_text(encoding="utf-8")
    assert f"\n## {version}\n" in text


def test_known_answers_are_those_of_this_number_of_the_conversation() -> None:
    """Raise PROTOCOL with another hash, unless processes of both kinds understand each other (a new case, say)."""
    files = sorted((ROOT / "tests" / "vectors").glob("*.json"))
    assert (PROTOCOL, hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]) == ANSWERS


@pytest.mark.parametrize("name", ["PROTOCOL", "MAGIC", "STOCK_FORMAT", "_VERSION"])
def test_a_number_is_known_by_its_name(name: str) -> None:
    assert NUMBER.fullmatch(name)
