"""Ids of a request and values of an answer: the quick ways give what the thorough ones do."""

from __future__ import annotations

import errno
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bank_party.online.book import digest
from bank_party.online.messages import Asked
from bank_party.online.problem import Problem
from bank_party.online.queue import Queue
from bank_party.online.service import ScoringService, normalized
from bank_party.online.suspects import Suspects
from common.errors import DataError
from common.rows.ids import normal_ids
from common.stages.asked import _plain

IDS = st.lists(st.text(st.sampled_from("aZ09 -é企\u00a0ａ\t\u200b."), max_size=6) | st.text(max_size=6), min_size=1, max_size=4)


@given(IDS)
def test_ids_of_a_request_are_those_that_both_companies_compare(ids: list[str]) -> None:
    try:
        thorough = normal_ids(pa.array(ids, pa.string())).to_pylist()
    except (DataError, UnicodeEncodeError, pa.ArrowInvalid):
        return
    assert normalized(ids) == thorough


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (np.array([1.5, -2.0]), [1.5, -2.0]),
        (np.array([3, 1], np.int32), [3, 1]),
        (pa.array(["a", None]), ["a", None]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ["b", "a", "b"]),
        (["x; y", ""], ["x; y", ""]),
    ],
)
def test_a_column_of_decisions_as_json_has_it(column: object, values: list[object]) -> None:
    found = _plain(column)
    assert found == values and list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize("value", [r'"mill\ud800"', r'"\udc00"', r'["\ud800"]', '{"a": 1}', "[]"])
def test_a_value_that_no_book_holds_is_wrong_by_its_field(value: str) -> None:
    """It was an error of this service, with a traceback in its log, as the request's digest was made."""
    for body in (
        f'{{"id": "A", "columns": {{"trade": {value}}}}}',
        f'{{"rows": [{{"id": "A", "columns": {{"trade": {value}}}}}]}}',
    ):
        with pytest.raises(ValidationError) as caught:
            Asked.model_validate(json.loads(body))
        assert caught.value.errors()[0]["loc"][-1] == "trade"
    given = json.loads(r'{"id": "A", "columns": {"trade": "\ud83d\ude00", "debt": 1.5, "late": null, "new": true}}')
    assert len(digest(Asked.model_validate(given).known_by())) == 32


async def test_who_asks_for_a_row_that_ends_sessions_hears_when_to_ask_again() -> None:
    suspects = Suspects(lambda: 0.0)
    for _ in range(2):
        suspects.lost([("BAD", None)])
    here: Any = SimpleNamespace(
        by_period=False, rows_at_once=1000, wait_seconds=30.0, find=lambda *_: None, current=None, down=None
    )
    service = ScoringService(here, here, Queue(10, suspects), here, here)
    with pytest.raises(Problem) as caught:
        await service.score("desk", "4711", Asked(id="bad"))
    assert caught.value.message.status == 503 and caught.value.headers == {"Retry-After": "300"}


async def test_a_disk_that_refuses_the_book_of_answers_is_a_reason_to_ask_again(caplog: pytest.LogCaptureFixture) -> None:
    """It was an error of this service, of status 500, with the name of a class for a cause."""

    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "no space left", "/data/answers.sqlite")

    here: Any = SimpleNamespace(by_period=False, rows_at_once=1000, wait_seconds=30.0, find=full, current=None, down=None)
    with pytest.raises(Problem) as caught:
        await ScoringService(here, here, Queue(10), here, here).score("desk", "4711", Asked(id="A"))
    message = caught.value.message
    assert message.status == 503 and caught.value.headers == {"Retry-After": "30"}
    assert "no space is left" in message.detail and "Make room" in (message.remedy or "")
    assert "/data" not in message.detail and "/data/answers.sqlite" in caplog.text
