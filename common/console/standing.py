"""Pages of what stands beside the jobs: grants of datasets, alarms of what was scored, reports of models."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from common.console.pages import Pages
from common.daemon.settings import PartySettings
from common.errors import WattScoreError
from common.home.registry import Version
from common.text.words import Lang
from common.trust.authority import TrustStore
from common.trust.grant import Grant, read_grant
from common.web.door import Refused

REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; base-uri 'none'; frame-ancestors 'none'"
"""A report's style stands in the page. It has no script, and none would run."""

_MOST_ALARMS, _KEPT = 100, 8  # alarms on a page; reports in memory
_REACH = 120.0  # seconds in which a report is made


@dataclass(frozen=True)
class GrantState:
    """A grant's file as it is now. own: of this party's dataset; grant: None where `trouble` says why it cannot be used."""

    dataset: str
    own: bool
    grant: Grant | None
    trouble: str


def grants(settings: PartySettings) -> list[GrantState]:
    trust, found = TrustStore(settings.tls.trust), []
    for own, files in ((True, settings.grants), (False, settings.granted)):
        for dataset, file in files.items():
            for path in file.paths:
                try:
                    found.append(GrantState(dataset, own, read_grant(path, trust), ""))
                except WattScoreError as error:
                    found.append(GrantState(dataset, own, None, str(error)))
    return found


class Standing:
    """The pages. command: that of this party, which makes reports: a process of its own, as drawing would hold up jobs."""

    def __init__(self, pages: Pages, module: str, config: Path) -> None:
        """module: what `python -m` runs as this party's command; config: its configuration."""
        self._pages, self._module, self._config = pages, module, config
        self._made: dict[tuple[str, str, int], str] = {}
        self._making = asyncio.Lock()

    def add(self, app: FastAPI) -> None:
        app.get("/{lang}/grants")(self.grants)
        app.get("/{lang}/alarms")(self.alarms)
        app.get("/{lang}/reports")(self.reports)
        app.get("/{lang}/reports/{job}")(self.report)

    def grants(self, request: Request, lang: Lang) -> Response:
        settings = self._pages.settings()
        return self._pages.page("grants", request, lang, grants=grants(settings), today=date.today(), consent=settings.consent)

    def alarms(self, request: Request, lang: Lang) -> Response:
        history = self._pages.history()
        found = list(history.alarms)[::-1]
        return self._pages.page(
            "alarms", request, lang, alarms=found[:_MOST_ALARMS], count=len(found), most=_MOST_ALARMS, matured=history.matured
        )

    def reports(self, request: Request, lang: Lang) -> Response:
        kept = [
            version for version in reversed(self._pages.home.registry.versions()) if self._pages.home.models.has(version.job)
        ]
        return self._pages.page("reports", request, lang, models=kept)

    async def report(self, lang: Lang, job: str) -> Response:
        version = next((v for v in self._pages.home.registry.versions() if v.job == job), None)
        if version is None:
            raise Refused(404, "login.missing")
        return HTMLResponse(await self._text(version, lang), headers={"Content-Security-Policy": REPORT_POLICY})

    async def _text(self, version: Version, lang: Lang) -> str:
        """One at a time; what was made of the same files is there already."""
        key = (version.job, lang, self._config.stat().st_mtime_ns)
        async with self._making:
            if key not in self._made:
                while len(self._made) >= _KEPT:
                    del self._made[next(iter(self._made))]
                self._made[key] = await self._make(version.job, lang)
            return self._made[key]

    async def _make(self, job: str, lang: Lang) -> str:
        with tempfile.TemporaryDirectory(prefix="report-") as folder:
            out = Path(folder) / "report.html"
            words = [self._module, "report", job, "--config", str(self._config), "--out", str(out), "--lang", lang]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *words,
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                async with asyncio.timeout(_REACH):
                    _, said = await process.communicate()
            except BaseException:
                process.kill()
                raise
            if process.returncode:
                raise RuntimeError(f"the report of {job} was not made: {said.decode(errors='replace')[-500:]}")
            return out.read_text(encoding="utf-8")
