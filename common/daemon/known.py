"""What a party makes of a job's name: one that is new here, or one that it has begun and goes on with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.errors import DataError, IdentityError, PeerProtocolError, PolicyError
from common.home.home import Home
from common.home.models import is_job_name
from common.home.unfinished import Begun
from common.party import Identity, Party
from common.plan.read import AnyPlan
from common.wire import party_pb2 as wire


def check_name(home: Home, party: Party, offer: wire.Offer, whom: str, *, runs: bool) -> Begun | None:
    """The job as it was begun here; None for a new one. whom: who offers it; runs: whether another of its name runs, or waits.

    Who offers a job names it, and files are named after it. Raises PeerProtocolError for a name that is none, or was another
    job's; DataError where what was kept of it is lost, PolicyError where it has waited too long.
    """
    job = offer.job
    if not is_job_name(job):
        raise PeerProtocolError(f"{whom} offered a job under a name that is none", remedy="Do not trust it.")
    begun = home.unfinished.begun(job)
    if begun is None and offer.begun:
        text = f"what the {party.value} kept of job {job} is lost"
        raise DataError(text, public=text, remedy="Submit it again.")
    if runs or (begun is None and home.knows(job)):
        raise PeerProtocolError(f"{whom} offered job {job} again", remedy="Do not trust it.")
    if begun is not None:
        if offer.attempt == 0 or (offer.plan, offer.client) != (begun.plan, begun.client):
            raise PeerProtocolError(f"{whom} offered job {job} again, not as it was", remedy="Do not trust it.")
        _check_age(home, begun)
    return begun


def _check_age(home: Home, begun: Begun) -> None:
    if (days := home.unfinished.days(begun)) > (most := home.policy.resume_days):
        raise PolicyError(
            "an interrupted job has waited too long",
            expected=f"at most {most:g} days (resume_days)",
            got=f"{days:.1f}",
            remedy="Submit it again.",
        )


def client_of(offer: wire.Offer) -> str:
    """The identity of who asked for the job: rates are by client. Raises PeerProtocolError where the coordinator has none."""
    try:
        return str(Identity.parse(offer.client))
    except IdentityError:
        raise PeerProtocolError(
            "the coordinator does not say whose job it offers", remedy="Install the same release there."
        ) from None


def told_of(plan: AnyPlan, client: str, left_out: Sequence[Identity]) -> dict[str, Any]:
    """What is entered of an offer: its plan, the rules that it asks to be let pass, and the banks without which it goes on."""
    beyond = [name for name in ("force", "anew") if getattr(plan, name, False)]
    found = {"client": client, "kind": plan.kind, "plan": plan.digest().hex(), "beyond": beyond}
    return found | ({"left_out": [str(who) for who in left_out]} if left_out else {})
