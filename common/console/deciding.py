"""Pages on which people of a party decide: jobs that are held, and what they are asked to let run."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from common.console import facts
from common.console.pages import Pages
from common.daemon.approving import decide
from common.daemon.prospect import prospect
from common.disclosure import CATALOGUE
from common.home.approvals import HeldJob
from common.plan.promote import PromotePlan
from common.plan.read import parse_plan
from common.text.words import Lang
from common.web.console import decider_of, visitor_of
from common.web.door import Refused, read_form

_log = logging.getLogger(__name__)

_SAID = 20  # words on the page, the newest
Form = Annotated[dict[str, str], Depends(read_form)]


class Approvals:
    """The pages of jobs that are held."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def add(self, app: FastAPI) -> None:
        app.get("/{lang}/approvals")(self.all)
        app.get("/{lang}/approvals/{job}")(self.one)
        app.post("/{lang}/approvals/{job}")(self.say)

    def all(self, request: Request, lang: Lang) -> Response:
        home = self._pages.home
        said = home.approvals.words()[::-1][:_SAID]
        return self._pages.page(
            "approvals",
            request,
            lang,
            waiting=facts.waiting(home),
            needed=home.policy.approvals,
            said=said,
            jobs={one.job for one in home.jobs.jobs()},
        )

    def one(self, request: Request, lang: Lang, job: str) -> Response:
        pages = self._pages
        held = pages.home.approvals.find(job)
        ruling = pages.home.approvals.ruling(held)
        found = prospect(held, pages.party, pages.settings(), pages.home)
        opens, policy = [CATALOGUE[opened] for opened in found.opens], pages.home.policy
        return pages.page(
            "approval", request, lang,
            held=held, ruling=ruling, found=found, opens=opens, needed=policy.approvals, days=policy.hold_days,
            may=bool(visitor_of(request).person), model=self._model(held),
        )  # fmt: skip

    def _model(self, held: HeldJob) -> str:
        """The model that it would promote, if this party has a report of it."""
        plan = parse_plan(held.plan, held.job)
        model = plan.model if isinstance(plan, PromotePlan) else None
        return model if model is not None and model in facts.kept(self._pages.home) else ""

    def say(self, request: Request, lang: Lang, job: str, form: Form) -> Response:
        """Enters the word of a person about the plan that this person was shown, and no other."""
        person, home = decider_of(request).person, self._pages.home
        held, word, note = home.approvals.find(job), form.get("word", ""), form.get("note", "").strip()
        if form.get("plan") != held.digest:
            raise Refused(409, "approve.another")
        if word not in ("approve", "deny"):
            raise Refused(400, "login.form")
        if word == "approve" and form.get("read") != "yes":
            raise Refused(400, "approve.unread")
        if word == "deny" and not note:
            raise Refused(400, "approve.why")
        decide(home, held, person, yes=word == "approve", note=note if word == "deny" else "")
        _log.info("job %s: a person has decided at the console", job)
        return RedirectResponse(f"/{lang}/approvals", 303)
