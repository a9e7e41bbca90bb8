"""Requests as lines of text, and the answers to them as lines of JSON: the bank's end of a job whose rows are asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TextIO

import pyarrow as pa

from common.errors import DataError
from common.rows.ids import normal_ids
from common.rows.months import month_number, month_text
from common.stages.align import row_name
from common.stages.desk import Answer, Remains, Warm


class Lines:
    """A desk that reads a request a line, an id, or id and month (YYYY-MM) with a comma between, and writes one answer each."""

    def __init__(self, source: TextIO, write: Callable[[str], None], *, by_period: bool) -> None:
        self._source, self._write, self._by_period = source, write, by_period
        self._asked: dict[str, str] = {}

    given = None
    decoys = ()

    def taking(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()  # its process has no other session

    def ready(self, warm: Warm) -> None:
        pass  # who asks waits for each answer anyway

    async def ask(self) -> Sequence[str] | None:
        """The next line's row; lines that name none are answered at once."""
        while line := await asyncio.to_thread(self._source.readline):
            if not (text := line.strip()):
                continue
            try:
                name = self._name(text)
            except DataError as error:
                self._say(text, Answer(text, refused=str(error)))
                continue
            self._asked = {name: text}
            return [name]
        return None

    async def hear(self, answers: Sequence[Answer], remains: Remains) -> None:
        for answer in answers:
            self._say(self._asked[answer.name], answer)

    def _name(self, text: str) -> str:
        """The row as both parties call it. Raises DataError for a line that names none."""
        id, _, month = text.rpartition(",") if self._by_period else (text, "", "")
        (normal,) = normal_ids(pa.array([id])).to_pylist()
        return row_name(normal, _month(month.strip()) if self._by_period else None)

    def _say(self, text: str, answer: Answer) -> None:
        said = {"error": answer.refused} if answer.refused else dict(answer.decided)
        self._write(json.dumps({"request": text, **said}, ensure_ascii=False))


def _month(text: str) -> int:
    """Months from year 0. Raises DataError for what is none."""
    try:
        if month_text(found := month_number(text)) == text:
            return found
    except ValueError:
        pass
    raise DataError("a request by period is ID,YYYY-MM", public="a request names no month")
