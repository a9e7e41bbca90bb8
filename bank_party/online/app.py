"""The addresses of this service: one to score, one for its health, its OpenAPI document. Nobody unknown reaches any of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bank_party.online.book import written
from bank_party.online.messages import Answered, Asked, Health
from bank_party.online.messages import Problem as Told
from bank_party.online.problem import Problem, failed, unknown
from bank_party.online.service import ScoringService
from common import __version__
from common.web.callers import Callers, Unknown
from common.web.https import CERTIFICATE

_log = logging.getLogger(__name__)

SCORE = "/v1/score"
_CALLER = "wattscore.caller"
_LARGEST = 1 << 20  # bytes of a request: a thousand rows of forty columns
_JSON, _PROBLEM = "application/json", "application/problem+json"
_A_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Told, "description": text}
    for status, text in (
        (400, "The request is not right"),
        (401, "It is not known who calls"),
        (403, "The caller may not ask"),
        (411, "The request does not say how long it is"),
        (413, "The request is too large"),
        (422, "The request names no row, or its key was used before"),
        (500, "An error of this service"),
        (503, "Not served now: send the same request again"),
    )
}


class _Described(FastAPI):
    """FastAPI describes each answer as JSON: problems have a media type of their own, by which clients tell them."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            found = super().openapi()
            for answer in (
                answer for path in found["paths"].values() for one in path.values() for answer in one["responses"].values()
            ):
                content = answer.get("content", {})
                if content.get(_JSON, {}).get("schema") == _A_PROBLEM:
                    content[_PROBLEM] = content.pop(_JSON)
        assert self.openapi_schema is not None  # noqa: S101
        return self.openapi_schema


def make_app(service: ScoringService) -> FastAPI:
    """The application, without what finds out who calls."""
    app = _Described(title="WattScore online scoring", version=__version__, docs_url=None, redoc_url=None)

    @app.post(SCORE, response_model=Answered, responses=_PROBLEMS, summary="Scores and decides about enterprises")
    async def score(
        asked: Asked,
        request: Request,
        key: Annotated[
            str, Header(alias="Idempotency-Key", description="Of this request: repeated with it, it is not scored again.")
        ],
    ) -> Response:
        return await _scored(service, request.scope[_CALLER], key, asked)

    @app.get("/v1/health", response_model=Health, responses={503: {"model": Health}}, summary="Whether requests are served")
    async def health() -> Response:
        found = service.health()
        return Response(found.model_dump_json(), 200 if found.serving else 503, media_type=_JSON)

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return _said(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return _said(_invalid(error))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return _said(
            Problem(error.status_code, str(error.detail), str(error.detail), "See /openapi.json.", headers=error.headers)
        )

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> Response:
        return _said(failed(error))

    return app


async def _scored(service: ScoringService, caller: str, key: str, asked: Asked) -> Response:
    """Raises Problem."""
    answer, before = await service.score(caller, key, asked)
    headers = {"Idempotent-Replayed": "true"} if before else {}
    if (left := service.sessions.stock_left) is not None:
        headers["WattScore-Stock-Left"] = str(left)
    if service.sessions.runs_out:
        headers["WattScore-Stock-Warning"] = "deal the next stock: wattscore predeal --scores"
    return Response(written(answer), media_type=_JSON, headers=headers)


class Quick:
    """Requests for scores that are as they should be, past the application: its layers take a third of what one costs here.

    All others are the application's, which says what is wrong with them.
    """

    def __init__(self, app: ASGIApp, service: ScoringService) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST" or scope["path"] != SCORE:
            await self._app(scope, receive, send)
            return
        if (body := await _whole(receive)) is None:
            return  # the caller is gone
        if (found := read(scope["headers"], body)) is None:
            await self._app(scope, _again(body, receive), send)
            return
        try:
            response = await _scored(self._service, scope[_CALLER], *found)
        except Problem as error:
            response = _said(error)
        except Exception as error:
            _log.exception("a request for scores failed")
            response = _said(failed(error))
        await response(scope, receive, send)


def read(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> tuple[str, Asked] | None:
    """The key and what is asked for; None for what the application is to look at."""
    given = list(headers)
    keys = [value for name, value in given if name == b"idempotency-key"]
    kinds = [value.partition(b";")[0].strip().lower() for name, value in given if name == b"content-type"]
    if len(keys) != 1 or kinds != [b"application/json"]:
        return None
    try:
        return keys[0].decode("latin-1"), Asked.model_validate_json(body)
    except ValidationError:
        return None


async def _whole(receive: Receive) -> bytes | None:
    """The body of a request, whose length `Guard` has looked at; None where its caller has gone."""
    parts = list[bytes]()
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
    return None


def _again(body: bytes, receive: Receive) -> Receive:
    """As `receive` would have given the request whose body was read."""
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


def _invalid(error: RequestValidationError) -> Problem:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    field = ".".join(where[1:]) or None
    if where[0] == "header" and first["type"] == "missing":
        return Problem(400, "A header is missing", f"{field} is required", "Send a new one with each request.", field=field)
    text = "the body is not JSON" if first["type"] == "json_invalid" else str(first["msg"]).removeprefix("Value error, ")
    return Problem(400, "The request is not right", text, "See /openapi.json.", field=field)


def _said(problem: Problem) -> Response:
    message = problem.message.model_dump(exclude_none=True)
    return JSONResponse(message, problem.message.status, problem.headers, media_type=_PROBLEM)


class Guard:
    """Lets through who is known, with requests that are not too large."""

    def __init__(self, app: ASGIApp, callers: Callers) -> None:
        self._app, self._callers = app, callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check_size(scope["method"], headers)
            scope[_CALLER] = await self._callers.name(scope.get(CERTIFICATE), headers.get(b"authorization"))
        except Unknown as error:
            await _said(unknown(error))(scope, receive, send)
        except Problem as refused:
            await _said(refused)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check_size(self, method: str, headers: dict[bytes, str]) -> None:
        if method in ("GET", "HEAD"):
            return
        length = headers.get(b"content-length", "")
        if not length.isdigit():
            raise Problem(411, "A length is required", "the request does not say how long it is", "Send Content-Length.")
        if int(length) > _LARGEST:
            raise Problem(413, "The request is too large", f"it is longer than {_LARGEST} bytes", "Ask for fewer ids at once.")
