"""The data folder: one place that spells its names, and pages for operators that say of each what to back up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from common.disk import data_folder
from common.disk.data_folder import BackUp, Kept, Name
from tests.source import ROOT, parse

ROLES = {"grid": data_folder.GRID, "bank": data_folder.BANK, "coordinator": data_folder.COORDINATOR}
CHINESE = {BackUp.DAILY: "是，每天", BackUp.YES: "是", BackUp.NO: "否", BackUp.NEVER: "**绝不**"}


def spelled(file: Path) -> Iterator[str]:
    """What stands after a slash in a path, and what is told by its ending to be a file."""
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant):
            yield str(node.right.value)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith((".sqlite", "local.log")):
            yield node.value


def test_nobody_else_spells_a_name_of_the_data_folder() -> None:
    names = {name.value for name in Name}
    for file in (f for p in ("common", "grid_party", "bank_party") for f in (ROOT / p).rglob("*.py")):
        if file.name not in ("data_folder.py", "logs.py"):
            assert names & set(spelled(file)) == set(), file
    assert {Name.JOBS.value, Name.SPENT.value} <= set(spelled(ROOT / "common" / "disk" / "data_folder.py"))


def test_every_name_is_in_a_table_once() -> None:
    for kept in ROLES.values():
        assert len({k.name for k in kept}) == len(kept)
    assert {k.name for kept in ROLES.values() for k in kept} == set(Name)


def test_neither_party_keeps_the_others_books() -> None:
    grid, bank = ({k.name for k in kept} for kept in (data_folder.GRID, data_folder.BANK))
    assert grid - bank == {Name.LEDGER} and bank - grid == {
        Name.TOLD,
        Name.SCORES,
        Name.ANSWERS,
        Name.SHADOWS,
        Name.PIPELINE,
    }


def table(role: str, language: str) -> list[list[str]]:
    text = (ROOT / "deploy" / role / f"README.{language}md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `data/([^`]+)` \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    return [list(row) for row in rows]


@pytest.mark.parametrize(("role", "kept"), ROLES.items(), ids=ROLES)
def test_the_pages_say_what_to_back_up(role: str, kept: Sequence[Kept]) -> None:
    assert table(role, "") == [[k.name, k.back_up.value, k.why] for k in kept]
    chinese = table(role, "zh-CN.")
    assert [row[:2] for row in chinese] == [[k.name, CHINESE[k.back_up]] for k in kept]


def test_what_is_charged_is_backed_up_daily_and_stocks_never() -> None:
    rules = {k.name: k.back_up for kept in ROLES.values() for k in kept}
    assert {name for name, rule in rules.items() if rule is BackUp.NEVER} == {Name.STOCK, Name.UNFINISHED}
    assert {Name.LEDGER, Name.TOLD, Name.SPENT, Name.SEEDS} <= {name for name, rule in rules.items() if rule is BackUp.DAILY}
