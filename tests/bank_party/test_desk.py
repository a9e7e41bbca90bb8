"""Requests as lines: what each names, and that a line that names none is answered and stops nothing."""

from __future__ import annotations

import io
import json
from typing import Any

from bank_party.desk import Lines
from common.stages.desk import Answer, Remains

LEFT = Remains(10, stale=False)


def desk(text: str, *, by_period: bool = False) -> tuple[Lines, list[dict[str, Any]]]:
    said: list[dict[str, Any]] = []
    return Lines(io.StringIO(text), lambda line: said.append(json.loads(line)), by_period=by_period), said


async def test_a_line_is_an_id_as_people_write_it() -> None:
    lines, said = desk(" e 1\n\nＥ２\n")
    assert await lines.ask() == ["E1"]
    await lines.hear([Answer("E1", {"u": 0.5, "decision": "approve"})], LEFT)
    assert await lines.ask() == ["E2"]
    await lines.hear([Answer("E2", refused="the grid holds no such row")], LEFT)
    assert await lines.ask() is None
    assert said == [
        {"request": "e 1", "u": 0.5, "decision": "approve"},
        {"request": "Ｅ２", "error": "the grid holds no such row"},
    ]


async def test_by_period_a_line_has_a_month() -> None:
    lines, said = desk("E1\nE1,2025-13\nE1,soon\nE1,2025-02\n", by_period=True)
    assert await lines.ask() == [f"{2025 * 12 + 1} E1"]
    assert [answer["request"] for answer in said] == ["E1", "E1,2025-13", "E1,soon"]
    assert all("ID,YYYY-MM" in answer["error"] for answer in said)
