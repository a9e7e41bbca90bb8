"""What is installed is all that is read: templates, words and other files beside the code are declared as package data."""

from __future__ import annotations

import tomllib

import pytest

from tests.source import ROOT

READ = {".j2", ".toml", ".typed"}
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]


@pytest.mark.parametrize("package", ["common", "grid_party", "bank_party", "wattscore"])
def test_every_file_that_code_reads_is_declared_and_every_declaration_finds_one(package: str) -> None:
    folder = ROOT / package
    found = {pattern: set(folder.glob(pattern)) for pattern in DECLARED.get(package, [])}
    assert [pattern for pattern, files in found.items() if not files] == []
    needed = {file for file in folder.rglob("*") if file.suffix in READ}
    assert needed - set().union(*found.values()) == set()
