"""The coordinator's pages for its own people: jobs and how far they are, who attends; no id, row or share, as it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import FastAPI, Request, Response

from common.coordinator.board import Board
from common.disk.data_folder import Name
from common.errors import ConfigError
from common.party import Bank, Member
from common.plan.job_stages import ORDER
from common.process.settings import CoordinatorSettings
from common.text.words import Lang, read_words
from common.web.console import Console, visitor_of
from common.web.frame import Frame
from common.wire import coordinator_pb2 as wire

_HERE = Path(__file__).parent
_MOST = 50  # jobs on a page, the newest


def make_console(settings: CoordinatorSettings, board: Board, attends: Callable[[Member], bool]) -> Console:
    """attends: whether a party is connected. Raises ConfigError without `[console]`."""
    if settings.console is None:
        raise ConfigError("there is no [console]")
    frame = Frame("title", ("jobs",), (_HERE / "templates",), read_words(_HERE / "words.toml"))
    known = {_name(member): member for member in settings.members.values()}
    pages = _Pages(board, lambda: {name: attends(member) for name, member in known.items()}, frame)
    return Console(settings.console, settings.tls, settings.data / Name.LOGINS, "wattscore-coordinator", frame, pages.add)


def _name(member: Member) -> str:
    """As the page of a job has it: its word's key, or which of several banks."""
    return str(member.who) if isinstance(member, Bank) else member.value


class _Pages:
    """All of it is in memory, and changed by the loop that makes the pages too."""

    def __init__(self, board: Board, attending: Callable[[], Mapping[str, bool]], frame: Frame) -> None:
        """attending: each party, by the name under which a job's page has it, and whether it is connected."""
        self._board, self._attending, self._frame = board, attending, frame

    def add(self, app: FastAPI) -> None:
        app.get("/{lang}/")(self.jobs)
        app.get("/{lang}/jobs/{job}")(self.job)

    async def jobs(self, request: Request, lang: Lang) -> Response:
        records = self._board.all()
        found = [record.message for record in records[: -_MOST - 1 : -1]]
        return self._frame.page(
            "board", lang, "", visitor_of(request), jobs=found, count=len(records), most=_MOST, parties=self._attending()
        )

    async def job(self, request: Request, lang: Lang, job: str) -> Response:
        found = self._board.get(job).message
        banks = [(bank.who, bank) for bank in found.banks] or [("bank", found.bank)]
        sides: list[tuple[str, wire.PartyProgress]] = [("grid", found.grid), *banks]
        order = [stage.value for stage in ORDER.get(found.kind, ())]
        return self._frame.page("drive", lang, f"jobs/{job}", visitor_of(request), job=found, sides=sides, order=order)
