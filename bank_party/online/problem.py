"""An error of this service as its caller hears it: what is wrong, which field, what to do. It names nothing of anybody else."""

from __future__ import annotations

from collections.abc import Mapping

from bank_party.online.messages import Problem as Message
from common.web.callers import Unknown


class Problem(Exception):
    """Raised to end a request."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        remedy: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(title)
        self.message = Message(type="about:blank", title=title, status=status, detail=detail, remedy=remedy, field=field)
        self.headers = dict(headers or {})


def wrong(field: str, detail: str, remedy: str) -> Problem:
    """What was asked for is not right."""
    return Problem(422, "The request is not right", detail, remedy, field=field)


def later(detail: str, remedy: str, seconds: int = 1) -> Problem:
    """It cannot be answered now; the same request, with the same key, may be sent again."""
    return Problem(503, "Not served now", detail, remedy, headers={"Retry-After": str(seconds)})


def unknown(error: Unknown) -> Problem:
    """It is not known who calls, or who calls may not ask."""
    challenge = {} if error.may_not else {"WWW-Authenticate": "Bearer"}
    title = "The caller may not ask" if error.may_not else "It is not known who calls"
    remedy = "Ask who runs the bank's daemon: [online] says who may."
    return Problem(403 if error.may_not else 401, title, str(error), remedy, headers=challenge)


def failed(error: Exception) -> Problem:
    """An error of this service, which its log has."""
    return Problem(500, "An error of this service", type(error).__name__, "See the log of the bank's daemon.")
