"""The coordinator's pages in this process: jobs and who attends, for who is logged in."""

from __future__ import annotations

import asyncio
from pathlib import Path

from common.coordinator.board import Board
from common.coordinator.console import make_console
from common.disk.data_folder import Name
from common.errors import PeerLost
from common.party import Party
from common.plan.job_states import Event
from common.process.settings import CoordinatorSettings
from common.web.login import Tickets
from tests.common.coordinator.office import CLIENT, PLAN
from tests.common.web.pki import Pki
from tests.common.web.visit import Visit

HOST = "localhost:0"


def configured(folder: Path, **more: object) -> CoordinatorSettings:
    pki = Pki(folder / "pki")
    pki.issue("console")
    tls = {"certificate": pki.folder / "console.pem", "key": pki.folder / "console.key", "trust": folder}
    raw = {
        "tls": tls, "data": folder / "data", "listen": "127.0.0.1:0", "grid": "wattscore://gridco/grid",
        "bank": "wattscore://acme/bank", "clients": [str(CLIENT)], "console": {"listen": "127.0.0.1:0"},
    }  # fmt: skip
    return CoordinatorSettings.model_validate(raw | more)


def test_jobs_are_shown_with_their_cause_and_parties_as_they_attend(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    board = Board(tmp_path / "data", settings.members)

    async def fill() -> str:
        record = await board.add(PLAN, CLIENT)
        record.message.grid.progress.stage, record.message.grid.progress.bytes = "align", 2048
        await board.move(record, Event.FAIL, PeerLost("the <grid> is gone"))
        return record.id

    job = asyncio.run(fill())
    console = make_console(settings, board, lambda member: member is Party.GRID)
    visit = Visit(console.app, HOST)
    assert visit.get("/en/").status == 401 and visit.get(f"/en/jobs/{job}").status == 401
    assert visit.get(f"/login?ticket={Tickets(tmp_path / 'data' / Name.LOGINS).issue('li')}").status == 303
    page = visit.get("/en/").text
    assert job in page and "failed" in page and page.index("not connected") > page.index("connected")
    assert "<b>connected</b><span>grid company</span>" in page and "<b>not connected</b><span>bank</span>" in page
    assert "<b>已连接</b><span>电网公司</span>" in (chinese := visit.get("/zh/").text) and "<span>训练模型</span>" in chinese
    page = visit.get(f"/en/jobs/{job}").text
    assert "align (3 / 7)" in page and "2.0 KiB" in page and "the &lt;grid&gt; is gone" in page
    assert "协调方" in visit.get(f"/zh/jobs/{job}").text
    assert visit.get("/en/jobs/train-99").status == 409


def test_of_several_banks_each_is_named(tmp_path: Path) -> None:
    settings = configured(tmp_path, more_banks=["wattscore://other/bank"])
    console = make_console(settings, Board(tmp_path / "data", settings.members), lambda member: member is not Party.GRID)
    visit = Visit(console.app, HOST)
    visit.get(f"/login?ticket={Tickets(tmp_path / 'data' / Name.LOGINS).issue('li')}")
    page = visit.get("/en/").text
    assert "<b>not connected</b><span>grid company</span>" in page
    for bank in ("acme", "other"):
        assert f"<b>connected</b><span>wattscore://{bank}/bank</span>" in page
