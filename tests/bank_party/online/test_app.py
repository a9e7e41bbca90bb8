"""Requests for scores: the quick way answers as the application does, and leaves to it all that is not as it should be."""

from __future__ import annotations

import json
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from bank_party.online.app import Quick, make_app, read
from bank_party.online.messages import Asked
from bank_party.online.problem import later

JSON = (b"content-type", b"application/json")
KEY = (b"idempotency-key", b"7f1c")
VALUES = st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=4)
GIVEN = st.dictionaries(st.text(max_size=3), VALUES, max_size=3)
IDS = st.text(max_size=5) | VALUES
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS,
        "ids": st.lists(IDS, max_size=3) | VALUES,
        "columns": GIVEN | VALUES,
        "rows": st.lists(st.fixed_dictionaries({"id": IDS, "columns": GIVEN}), max_size=2),
        "period": st.sampled_from(["2026-01", "2026-13", 202601, None]),
        "other": VALUES,
    },
)


class Service:
    """Answers with what it was asked, or with a problem."""

    def __init__(self) -> None:
        self.sessions: Any = SimpleNamespace(stock_left=12, runs_out=True)
        self.asked: list[tuple[str, str, Asked]] = []

    async def score(self, caller: str, key: str, asked: Asked) -> tuple[dict[str, Any], bool]:
        self.asked.append((caller, key, asked))
        if asked.id == "down":
            raise later("no session", "Ask again.", 30)
        if asked.id == "bug":
            raise RuntimeError("of nobody's")
        return {"asked": asked.known_by(), "grade": "甲"}, asked.id == "before"


async def said(app: Any, headers: list[tuple[bytes, bytes]], parts: list[bytes], path: str = "/v1/score") -> Any:
    """Status, headers and body of the answer to a request whose body comes in parts."""
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    waiting[-1]["more_body"] = False
    sent: list[Any] = []

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [*headers, (b"content-length", str(sum(map(len, parts))).encode())], "scheme": "https",
        "http_version": "1.1", "server": ("localhost", 1), "client": ("localhost", 2), "wattscore.caller": "desk",
    }  # fmt: skip
    try:
        await app(scope, receive, send)
    except RuntimeError:  # the application answers, and raises it for the server's log
        assert sent
    return sent[0]["status"], sorted(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    ("headers", "parts"),
    [
        ([JSON, KEY], [b'{"id": "A"}']),
        ([JSON, KEY], [b'{"id": ', b'"before", ', b'"columns": {"debt": 1e-7, "kind": null}}']),
        ([(b"content-type", b"Application/JSON; charset=utf-8"), KEY], ['{"ids": ["企业"], "period": "2026-01"}'.encode()]),
        ([JSON, KEY], [b'{"id": "down"}']),
        ([JSON, KEY], [b'{"id": "bug"}']),
        ([JSON], [b'{"id": "A"}']),
        ([JSON, (b"idempotency-key", b"")], [b'{"id": "A"}']),
        ([JSON, (b"idempotency-key", b"a b")], [b'{"id": "A"}']),
        ([JSON, KEY, (b"idempotency-key", b"other")], [b'{"id": "A"}']),
        ([KEY], [b'{"id": "A"}']),
        ([(b"content-type", b"text/plain"), KEY], [b'{"id": "A"}']),
        ([JSON, KEY], [b"{"]),
        ([JSON, KEY], [b""]),
        ([JSON, KEY], [b'{"id": 7}']),
        ([JSON, KEY], [b'{"id": "A", "ids": ["B"]}']),
        ([JSON, KEY], [b'{"rows": [{"id": "A", "columns": {}, "more": 1}]}']),
        ([JSON, KEY], [b'{"id": "\\ud800"}']),
        ([JSON, KEY], ['{"id": "A"}'.encode("utf-16")]),
    ],
)  # fmt: skip
async def test_the_quick_way_answers_as_the_application_does(headers: list[tuple[bytes, bytes]], parts: list[bytes]) -> None:
    plain, quick = Service(), Service()
    whole = make_app(plain)  # type: ignore[arg-type]
    want = await said(whole, headers, parts)
    got = await said(Quick(make_app(quick), quick), headers, parts)  # type: ignore[arg-type]
    assert got == want and quick.asked == plain.asked


async def test_other_addresses_are_the_applications() -> None:
    service = Service()
    status, _, body = await said(Quick(make_app(service), service), [JSON], [b"{}"], "/v1/other")  # type: ignore[arg-type]
    assert status == 404 and json.loads(body)["remedy"] == "See /openapi.json."


@given(BODIES)
def test_what_is_read_quickly_is_what_a_thorough_look_reads(body: dict[str, Any]) -> None:
    text = json.dumps(body)
    if (found := read([JSON, KEY], text.encode())) is not None:
        asked = Asked.model_validate(json.loads(text))
        assert found[0] == "7f1c" and repr(found[1]) == repr(asked) and found[1].known_by().keys() == asked.known_by().keys()


def test_what_is_as_it_should_be_is_read_quickly() -> None:
    found = read([KEY, JSON], b'{"rows": [{"id": "A", "columns": {"debt": 2, "kind": "x"}}]}')
    assert found == ("7f1c", Asked.model_validate({"rows": [{"id": "A", "columns": {"debt": 2, "kind": "x"}}]}))


@cache
def described() -> Draft202012Validator:
    """What the service's description allows as a request."""
    found = make_app(Service()).openapi()["components"]  # type: ignore[arg-type]
    return Draft202012Validator({**found["schemas"]["Asked"], "components": found})


def asked(body: dict[str, Any]) -> bool:
    try:
        Asked.model_validate_json(json.dumps(body))
    except ValidationError:
        return False
    return True


@given(BODIES)
@example({})
@example({"id": None})
@example({"id": None, "ids": ["A"], "columns": None})
@example({"ids": ["A"], "columns": {}})
@example({"id": "A", "ids": ["B"]})
@example({"id": "A", "rows": [{"id": "B", "columns": {}}]})
def test_what_the_description_allows_is_what_is_taken(body: dict[str, Any]) -> None:
    assert described().is_valid(body) == asked(body)


def test_each_problem_is_described_as_what_it_is() -> None:
    answers = make_app(Service()).openapi()["paths"]["/v1/score"]["post"]["responses"]  # type: ignore[arg-type]
    kinds = {int(status): list(answer["content"]) for status, answer in answers.items()}
    assert kinds == {status: ["application/problem+json"] for status in kinds} | {200: ["application/json"]}
    assert {400, 401, 403, 411, 413, 422, 500, 503} < kinds.keys()
