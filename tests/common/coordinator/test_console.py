"""The coordinator's pages in this process: jobs and who attends, for who is logged in."""

from __future__ import annotations

import asyncio
from pathlib import Path

from common.coordinator.board import Board
from common.coordinator.console import make_console
from common.disk.data_folder import Name
from common.errors import PeerLost
from common.plan.job_states import Event
from common.process.settings import CoordinatorSettings
from common.web.login import Tickets
from tests.common.coordinator.office import CLIENT, PLAN
from tests.common.web.pki import Pki
from tests.common.web.visit import Visit

HOST = "localhost:0"


def test_jobs_are_shown_with_their_cause_and_parties_as_they_attend(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    pki.issue("console")
    tls = {"certificate": pki.folder / "console.pem", "key": pki.folder / "console.key", "trust": tmp_path}
    raw = {
        "tls": tls, "data": tmp_path / "data", "listen": "127.0.0.1:0", "grid": "wattscore://gridco/grid",
        "bank": "wattscore://acme/bank", "clients": [str(CLIENT)], "console": {"listen": "127.0.0.1:0"},
    }  # fmt: skip
    settings = CoordinatorSettings.model_validate(raw)
    board = Board(tmp_path / "data", settings.members)

    async def fill() -> str:
        record = await board.add(PLAN, CLIENT)
        record.message.grid.progress.stage, record.message.grid.progress.bytes = "align", 2048
        await board.move(record, Event.FAIL, PeerLost("the <grid> is gone"))
        return record.id

    job = asyncio.run(fill())
    console = make_console(settings, board, lambda: {"grid": True, "bank": False})
    visit = Visit(console.app, HOST)
    assert visit.get("/en/").status == 401 and visit.get(f"/en/jobs/{job}").status == 401
    assert visit.get(f"/login?ticket={Tickets(tmp_path / 'data' / Name.LOGINS).issue('li')}").status == 303
    page = visit.get("/en/").text
    assert job in page and "failed" in page and page.index("not connected") > page.index("connected")
    page = visit.get(f"/en/jobs/{job}").text
    assert "align (3 / 7)" in page and "2.0 KiB" in page and "the &lt;grid&gt; is gone" in page
    assert "协调方" in visit.get(f"/zh/jobs/{job}").text
    assert visit.get("/en/jobs/train-99").status == 409
