"""A party's pages, each made of its books when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response

from common.console import facts
from common.daemon.live import Live
from common.daemon.settings import PartySettings
from common.disclosure import CATALOGUE
from common.errors import DataError
from common.home.home import Home
from common.monitor.drift import alarms
from common.monitor.history import History
from common.party import Party
from common.text.words import Lang
from common.web.console import visitor_of
from common.web.frame import Frame

SECTIONS = ("now", "jobs", "approvals", "models", "reports", "alarms", "grants", "disclosures", "budgets", "audit")
STATES = ("held", "accepted", "done", "failed", "refused")
_JOBS, _ENTRIES, _COMPARED = 50, 50, 4  # on a page
_OLDEST = 1 << 62
_OPENED = {opened.value for opened in CATALOGUE}


class Pages:
    """What the pages read: this party's books and the jobs that run in its daemon."""

    def __init__(
        self,
        party: Party,
        settings: Callable[[], PartySettings],
        home: Home,
        live: Live,
        history: Callable[[], History],
        frame: Frame,
    ) -> None:
        """settings: as they are now; history: of what was scored, read anew."""
        self.party, self.settings, self.home, self.live = party, settings, home, live
        self.history, self.frame = history, frame

    def add(self, app: FastAPI) -> None:
        """The addresses of the pages."""
        for way, page in (
            ("", self.now), ("jobs", self.jobs), ("jobs/{job}", self.job), ("models", self.models),
            ("disclosures", self.disclosures), ("budgets", self.budgets), ("audit", self.audit),
        ):  # fmt: skip
            app.get(f"/{{lang}}/{way}")(page)

    def page(self, template: str, request: Request, lang: Lang, **values: Any) -> Response:
        """One of the templates, filled in with these values and what all of them use."""
        way = request.url.path.removeprefix(f"/{lang}/") + (f"?{request.url.query}" if request.url.query else "")

        def what(value: str, otherwise: str) -> str:
            return self.frame.text(lang, f"what.{value}") if value in _OPENED else otherwise

        return self.frame.page(template, lang, way, visitor_of(request), party=self.party.value, what=what, **values)

    def now(self, request: Request, lang: Lang) -> Response:
        running = {job: self.live.progress(job) for job in list(self.live)}
        versions = self.home.registry.versions()
        return self.page(
            "now", request, lang,
            running=running, waiting=facts.waiting(self.home), recent=self.home.jobs.jobs(8)[::-1],
            champion=next((v for v in versions if v.stage.value == "champion"), None), alarms=self._drifted(),
            entries=self.home.audit.head.number, stages=facts.stages,
        )  # fmt: skip

    def _drifted(self) -> int:
        """Alarms of readings, which are quickly read; those of outcomes are on their own page."""
        return len(alarms(self.home.history.readings(), self.home.monitor))

    def jobs(self, request: Request, lang: Lang, state: str = "") -> Response:
        found = [job for job in reversed(self.home.jobs.jobs()) if state in ("", self._state(job.job, job.state))]
        shown = [(job, self._state(job.job, job.state)) for job in found[:_JOBS]]
        return self.page("jobs", request, lang, jobs=shown, count=len(found), most=_JOBS, state=state, states=STATES)

    def _state(self, job: str, state: str) -> str:
        return "running" if state == "accepted" and self.live.progress(job) is not None else state

    def job(self, request: Request, lang: Lang, job: str) -> Response:
        found, progress = facts.find_job(self.home, job), self.live.progress(job)
        stages = facts.stages(progress) if progress is not None else []
        return self.page(
            "job", request, lang,
            job=found, state=self._state(job, found.state), progress=progress, stages=stages,
            told=facts.opened(facts.ends(self.home, job)), kept=self.home.models.has(job),
        )  # fmt: skip

    def models(self, request: Request, lang: Lang, job: Annotated[list[str] | None, Query()] = None) -> Response:
        found = facts.models(self.home)
        chosen = [model for model in found if model.version.job in (job or [])][:_COMPARED]
        return self.page("models", request, lang, models=found, chosen=chosen, moves=self.home.registry.moves()[::-1][:20])

    def disclosures(self, request: Request, lang: Lang) -> Response:
        policy = self.home.policy
        allowed = [d for d in CATALOGUE.values() if d.value in policy.may_open]
        return self.page("disclosures", request, lang, told=facts.opened(facts.ends(self.home)), allowed=allowed)

    def budgets(self, request: Request, lang: Lang) -> Response:
        rates = {key: getattr(self.home.policy, key) for key in ("jobs_per_day", "rows_per_day", "models_per_day")}
        usage = self.home.rates.usage()
        return self.page("budgets", request, lang, standings=self.home.standings(), usage=usage, rates=rates)

    def audit(
        self,
        request: Request,
        lang: Lang,
        job: str = "",
        before: Annotated[int, Query(ge=0, le=_OLDEST)] = 0,
        verify: bool = False,
    ) -> Response:
        verified = broken = ""
        if verify:
            try:
                verified = self.home.audit.verify().digest.hex()
            except DataError as error:
                broken = str(error)
        entries = self.home.audit.newest(_ENTRIES, before=before, job=job)
        return self.page(
            "audit", request, lang,
            lines=facts.audit_lines(entries), job=job, more=entries[-1].number if len(entries) == _ENTRIES else 0,
            verified=verified, broken=broken, jobs={one.job for one in self.home.jobs.jobs()},
        )  # fmt: skip
