"""PROTOCOL.md held against the code: its sections, tables and worked example, and every file and name that it cites."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest

from common.disclosure import CATALOGUE
from common.learn.linear.cost import descent, matrices, scoring
from common.learn.linear.deal import Work
from common.learn.linear.schedule import nesterov
from common.learn.linear.steps import STEP
from common.mpc.cost import COMPARED, SEEDS, SIZES, Cost, alignment, split
from common.mpc.link import Fourier
from common.mpc.session import OPENS, Kind
from common.party import Party
from common.plan.job_stages import MEANING, ORDER, Stage
from common.plan.job_states import TRANSITIONS, State
from common.plan.train import TrainPlan
from common.stages.estimate import Sizes, estimate
from common.wire import peer
from tests.pages import rows
from tests.source import ROOT

PROTOCOL = (ROOT / "protos" / "PROTOCOL.md").read_text(encoding="utf-8")


def section(number: int) -> str:
    return PROTOCOL.split(f"\n## {number}. ")[1].split("\n## ")[0]


def test_the_version_is_the_codes() -> None:
    assert re.findall(r"Version (\d+) \(`common\.wire\.peer\.PROTOCOL`\)", PROTOCOL) == [str(peer.PROTOCOL)]


def test_sections_are_numbered_and_code_cites_ones_that_exist() -> None:
    numbers = [int(n) for n in re.findall(r"^## (\d+)\. ", PROTOCOL, re.MULTILINE)]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1
    sources = [*(ROOT / "common").rglob("*.py"), *(ROOT / "protos").rglob("*.proto")]
    cited = [c for f in sources for c in re.findall(r"PROTOCOL\.md\s+sections? (\d+)(?: (?:to|and) (\d+))?", f.read_text())]
    assert len(cited) > 10
    assert {int(n) for pair in cited for n in pair if n} <= set(numbers)


def test_the_protocol_lists_what_may_be_opened_as_the_code_does() -> None:
    table = {row[0]: row for row in rows(section(7)) if len(row) == 4}
    for value, disclosure in CATALOGUE.items():
        _, to, what, by = table[value.value]
        assert (to, what) == (", ".join(disclosure.to), disclosure.what)
        assert [kind.value for kind, opened in OPENS.items() if opened is value and kind.value not in by] == []
    assert len(table) == len(CATALOGUE) + 2  # head and rule


def test_every_kind_of_message_is_in_the_protocol() -> None:
    opening = section(7)
    assert [k.value for k in Kind if f"`{k.value}`" not in PROTOCOL and f"{k.value}" not in opening] == []


def test_the_links_errors_are_as_the_protocol_says() -> None:
    claimed = [row for row in rows(section(5)) if row[0][0].isdigit()]
    assert len(claimed) == 3
    for period, terms, reach, error in claimed:
        link = Fourier(Fraction(period), int(terms))
        u = np.linspace(-link.reach, link.reach, 20_001)
        found = float(np.abs(link(u) - 0.5 * (1.0 + np.tanh(u / 2.0))).max())
        assert link.reach == pytest.approx(float(reach), abs=0.05)
        assert found == pytest.approx(float(error), abs=6e-5)
        assert np.gradient(link(u), u).max() < 0.25


def test_the_states_are_as_the_protocol_says() -> None:
    names = {state.value for state in State}
    claimed: dict[tuple[str, str], str] = {}
    for froms, event, to in (row for row in rows(section(10)) if row[0].split(", ")[0] in names):
        claimed |= {(state, event.split(":")[0]): to for state in froms.split(", ")}
    assert claimed == {(state.value, event.value): to.value for (state, event), to in TRANSITIONS.items()}


def test_the_worked_example_adds_up() -> None:
    columns = {Party.GRID: 17, Party.BANK: 14}
    work = Work(nesterov(14_280, 12, STEP), Fourier(), 14_280, columns, 20, closed=True, joint=True, ones=True)
    example = section(11).split("**Example**")[1]
    cells = {row[0]: row[1:] for row in rows(example)[2:]}  # without head and rule
    table = {name: [int(cell.replace(",", "") or 0) for cell in row] for name, row in cells.items()}
    parts = [values for name, values in table.items() if name != "total"]
    assert [sum(column) for column in zip(*parts, strict=True)] == table["total"]
    ids = {Party.GRID: 3800, Party.BANK: 3600}
    aligned = {p: alignment(p, ids[p], ids[p.other], 3400, 16) for p in Party}
    plan = TrainPlan.model_validate({"grid": {"dataset": "a"}, "bank": {"dataset": "b"}, "keys": ["id", "period"]})
    whole = estimate(plan, Sizes(20_400, 17, 14, 3800, 3600, 16, 3400))
    assert table["total"] == list(whole.bytes.values())
    assert f"= {whole.rounds} messages one after another" in example
    assert table["start, ids, periods"][0] == SEEDS + aligned[Party.GRID].peer_sent
    assert table["matrices"][:2] == [matrices(14_280, 17, 5), matrices(14_280, 14, 5, 1)]
    assert table["split, sizes, compared, through"][:2] == [SIZES + 2 * COMPARED, SIZES + 2 * COMPARED + split(20_400)]
    scored = scoring(Party.GRID, 6120, 17, 14)
    assert table["scores"][:3] == [scored.peer_sent, scored.peer_received, scored.dealt]
    steps = [table[name] for name in ("matrices", "joint matrix", "12 steps, and the check", "tags")]
    assert descent(Party.GRID, work) == Cost(*(sum(s[i] for s in steps) for i in (0, 1, 2)))


def test_the_stages_of_each_kind_of_job_are_named_in_their_order() -> None:
    said = " ".join(section(10).split("4. **Run**")[1].split("5. **Report**")[0].split())
    for kind, order in ORDER.items():
        assert order[0] is Stage.CONNECT
        assert ", ".join(order[1:]) in said, kind
    assert set(MEANING) == set(Stage) == {stage for order in ORDER.values() for stage in order}
