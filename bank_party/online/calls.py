"""The same by gRPC: the service of scoring.proto, on an address of its own, of the same certificate, trust and callers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from bank_party.online.config import OnlineConfig
from bank_party.online.messages import MOST, Asked
from bank_party.online.messages import Problem as Message
from bank_party.online.problem import Problem, failed, unknown, wrong
from bank_party.online.service import ScoringService
from common.web.callers import Callers, Unknown
from common.wire import scoring_pb2 as wire
from common.wire.office import Call, Files, Handler, OfficeServer, Refused, Unread, message_of

_log = logging.getLogger(__name__)

T = TypeVar("T")

PROBLEM = "wattscore-problem-bin"  # in the trailing metadata of an error: as RFC 9457 has it, in JSON
_KEY = "idempotency-key"
# Bytes: clients take 8 KiB of metadata, as it goes over the line, and lose an error that has more.
_LONGEST = {"field": 300, "detail": 600, "remedy": 2000}


def call_server(config: OnlineConfig, service: ScoringService, callers: Callers) -> OfficeServer | None:
    """None where the configuration asks for none. Raises ConfigError for files that cannot be used."""
    if config.grpc is None:
        return None
    files = Files(config.certificate, config.key, config.trust)
    calls = Calls(service, callers)
    handlers: dict[str, Handler] = {"Score": calls.score, "Health": calls.health}
    return OfficeServer(config.grpc, files, wire.DESCRIPTOR.services_by_name["Scoring"], handlers)


class Calls:
    """The methods of the service. They raise Refused."""

    def __init__(self, service: ScoringService, callers: Callers) -> None:
        self._service, self._callers = service, callers

    async def score(self, call: Call) -> wire.ScoreReply:
        return await _said(lambda: self._score(call))

    async def health(self, call: Call) -> wire.HealthReply:
        return await _said(lambda: self._health(call))

    async def _score(self, call: Call) -> wire.ScoreReply:
        caller = await self._caller(call)
        asked = read(await call.read())
        if (key := call.said(_KEY)) is None:
            raise wrong(_KEY, "it is required, once, in the metadata of the call", "Send a new one with each request.")
        answer, before = await self._service.score(caller, key, asked)
        return reply(answer, before=before, runs_out=self._service.sessions.runs_out)

    async def _health(self, call: Call) -> wire.HealthReply:
        await self._caller(call)
        await call.read()
        return message_of(self._service.health().model_dump(mode="json"), wire.HealthReply)

    async def _caller(self, call: Call) -> str:
        try:
            return await self._callers.name(call.certificate, call.said("authorization"))
        except Unknown as error:
            raise unknown(error) from None


async def _said(work: Callable[[], Awaitable[T]]) -> T:
    """What it gives; what is wrong as Refused."""
    try:
        return await work()
    except Problem as error:
        problem = error
    except Unread as error:
        problem = Problem(error.status, "The request is not right", str(error), "See scoring.proto.")
    except Exception as error:
        _log.exception("a request for scores failed")
        problem = failed(error)
    message = problem.message.model_copy(update=_cut(problem.message))
    trailing: tuple[tuple[str, str | bytes], ...] = ((PROBLEM, message.model_dump_json(exclude_none=True).encode()),)
    if (seconds := problem.headers.get("Retry-After")) is not None:
        trailing += (("retry-after", seconds),)
    raise Refused(message.status, message.detail, trailing)


def _cut(message: Message) -> dict[str, str]:
    """Those of its texts that are too long, as many columns or a long name make them, without their ends."""
    texts = ((name, getattr(message, name) or "", most) for name, most in _LONGEST.items())
    return {name: f"{text.encode()[:most].decode(errors='ignore')}…" for name, text, most in texts if len(text.encode()) > most}


def read(request: wire.ScoreRequest) -> Asked:
    """What is asked for, as JSON has it. Raises Problem."""
    if not 0 < len(request.rows) <= MOST:
        raise wrong("rows", f"there are {len(request.rows)}", f"Ask for 1 to {MOST} at once.")
    given = [row.HasField("columns") for row in request.rows]
    if any(given) and not all(given):
        raise wrong("rows", "some have columns, and some have not", "Ask for them in two requests.")
    rows: list[dict[str, Any]] = [{"id": row.id} | ({"columns": _columns(row)} if given[0] else {}) for row in request.rows]
    asked: dict[str, Any] = rows[0] if len(rows) == 1 else {"rows": rows} if given[0] else {"ids": [row["id"] for row in rows]}
    try:
        return Asked.model_validate(asked | ({"period": request.period} if request.period else {}))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "rows"
        raise wrong(field, str(first["msg"]).removeprefix("Value error, "), "See scoring.proto.") from None


def _columns(row: wire.Row) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.columns.fields.items()}


def _value(value: Any) -> Any:
    """A list or a structure as it is: who reads columns refuses it."""
    kind = value.WhichOneof("kind")
    return None if kind in (None, "null_value") else getattr(value, kind)


def reply(answer: Mapping[str, Any], *, before: bool, runs_out: bool) -> wire.ScoreReply:
    """The message of an answer, as JSON has it. before: whether it was given before."""
    results = [
        result | {"grid_reasons": None if (texts := result.get("grid_reasons")) is None else {"texts": texts}}
        for result in answer["results"]
    ]
    return message_of({**answer, "results": results, "replayed": before, "runs_out": runs_out}, wire.ScoreReply)
