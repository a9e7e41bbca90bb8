"""Grants held against jobs: at the owner of a dataset what it has granted, at the other party what it was granted."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from pathlib import Path

from common.daemon.settings import GrantFile, PartySettings
from common.errors import PolicyError
from common.home.jobbook import JobBook
from common.party import Identity, Party
from common.plan.request import Plan
from common.rows.dataset import Loaded
from common.rows.months import month_text
from common.trust.authority import TrustStore
from common.trust.grant import Grant, read_grant

_RAN = ("accepted", "done", "failed")


class InForce:
    """The grant of this party's own dataset, as a job that runs is held to it."""

    def __init__(self, grant: Grant, file: Path, trust: TrustStore, today: Callable[[], date]) -> None:
        self.grant, self._file, self._trust, self._today = grant, file, trust, today

    def check(self, loaded: Loaded) -> None:
        """Raises PolicyError for columns or months that it does not cover, before anything of the rows leaves."""
        what = f"the grant of dataset {self.grant.dataset!r} does not cover"
        if outside := self.grant.outside(loaded.columns):
            raise PolicyError(
                f"{what} the columns {', '.join(outside)}",
                public=f"{what} all columns asked for",
                remedy="Name the columns that are granted, or ask the owner for another grant.",
            )
        periods = loaded.table.periods
        if periods is None:
            if self.grant.first_month or self.grant.last_month:
                raise PolicyError(f"{what} rows without months", remedy='Use keys = ["id", "period"].')
            return
        if not len(periods):
            return
        for month in (month_text(int(periods.min())), month_text(int(periods.max()))):
            if not self.grant.covers(month):
                raise PolicyError(
                    f"{what} the month {month}",
                    public=f"{what} all months of the dataset",
                    remedy="Its owner leaves these months out of the dataset, or grants them.",
                )

    def ended(self) -> PolicyError | None:
        """Why it is not in force any more: withdrawn, replaced, expired; None while it is."""
        try:
            now = read_grant(self._file, self._trust)
        except PolicyError as error:
            return error
        if now.fingerprint() != self.grant.fingerprint():
            return PolicyError(f"the grant of dataset {self.grant.dataset!r} was replaced", remedy="Submit it again.")
        return _expired(now, self._today())


class AllInForce:
    """Those of the own dataset on which a job rests: of several banks one each."""

    def __init__(self, grants: Sequence[InForce]) -> None:
        self._grants = tuple(grants)

    def check(self, loaded: Loaded) -> None:
        """As `InForce.check`, of all."""
        for one in self._grants:
            one.check(loaded)

    def ended(self) -> PolicyError | None:
        """As `InForce.ended`, of any."""
        return next((why for one in self._grants if (why := one.ended()) is not None), None)

    @property
    def scores_per_row(self) -> int | None:
        limits = [one.grant.scores_per_row for one in self._grants if one.grant.scores_per_row is not None]
        return min(limits, default=None)


class Grants:
    """today: by the calendar of this machine's time zone."""

    def __init__(
        self, settings: PartySettings, party: Party, own: Identity | None, jobs: JobBook, today: Callable[[], date] = date.today
    ) -> None:
        self._settings, self._party, self._own, self._jobs, self._today = settings, party, own, jobs, today
        self._trust = TrustStore(settings.tls.trust)

    def check(self, job: str, plan: Plan, bank: Identity | None = None) -> tuple[InForce | None, dict[str, str]]:
        """The own dataset's grant, and the fingerprints of all that the job rests on, by side and dataset: `grid meters`.

        bank: at the grid whose line of a job of several banks the plan is; then `grid meters (north)`.

        Raises PolicyError for a grant that is withdrawn, expired, not signed by its owner, or of another use.
        """
        pins: dict[str, str] = {}
        named_bank = plan.bank_named if self._party is Party.GRID else None
        other = bank or named_bank or self._settings.peer.who
        own, theirs = plan.side(self._party).dataset, plan.side(self._party.other).dataset
        in_force = None
        named = f" ({bank.org})" if bank else ""  # of several banks each has its own
        if (file := self._settings.grants.get(own)) is not None:
            grant, path = self._of(file, lambda grant: grant.to == other.org)
            self._hold(grant, plan, self._party, self._own.org if self._own else "", other.org)
            self._count(grant, job)
            in_force = InForce(grant, path, self._trust, self._today)
            pins[f"{self._party.value} {own}{named}"] = grant.fingerprint()
        if (file := self._settings.granted.get(theirs)) is not None:
            grant, _ = self._of(file, lambda grant: grant.org == other.org)
            self._hold(grant, plan, self._party.other, other.org, self._own.org if self._own else "")
            pins[f"{self._party.other.value} {theirs}{named}"] = grant.fingerprint()
        return in_force, pins

    def _of(self, file: GrantFile, meant: Callable[[Grant], bool]) -> tuple[Grant, Path]:
        """The grant that is meant, and where it is; where none is, the first, for who says what is wrong with it."""
        found, failure = list[tuple[Grant, Path]](), None
        for path in file.paths:
            try:
                found.append((read_grant(path, self._trust), path))
            except PolicyError as error:
                failure = failure or error
        if (one := next((one for one in found if meant(one[0])), None)) is not None:
            return one
        if failure is not None:
            raise failure
        return found[0]

    def _hold(self, grant: Grant, plan: Plan, owner: Party, org: str, to: str) -> None:
        side, what = plan.side(owner), f"the grant of the {owner.value}"
        kind = str(getattr(plan, "kind", ""))
        facts = [
            ("organisation", grant.org, org),
            ("bank" if owner is Party.GRID else "grid", grant.to, to),
            ("dataset", grant.dataset, side.dataset),
            ("purpose", grant.purpose, plan.purpose),
        ]
        for name, granted, asked in facts:
            if granted != asked:
                raise PolicyError(f"{what} is for another {name}", expected=granted, got=asked or "none", remedy=_ASK)
        if kind not in grant.kinds:
            raise PolicyError(f"{what} is for another kind of job", expected=" or ".join(grant.kinds), got=kind, remedy=_ASK)
        if side.columns != ("*",) and (outside := grant.outside(side.columns)):
            raise PolicyError(f"{what} does not cover the columns {', '.join(outside)}", remedy=_ASK)
        if (error := _expired(grant, self._today())) is not None:
            raise error

    def _count(self, grant: Grant, job: str) -> None:
        """Jobs of this month that this party has accepted under this very grant count, failed ones too; no other bank's do."""
        if grant.jobs_per_month is None:
            return
        month, pin = time.strftime("%Y-%m", time.localtime()), grant.fingerprint()
        had = {
            one.job
            for one in self._jobs.jobs()
            if pin in (one.grants or {}).values()
            and one.state in _RAN
            and one.job != job
            and time.strftime("%Y-%m", time.localtime(one.at)) == month
        }
        if len(had) >= grant.jobs_per_month:
            raise PolicyError(
                f"the grant of dataset {grant.dataset!r} is used up for this month",
                expected=f"at most {grant.jobs_per_month} jobs",
                got=len(had) + 1,
                remedy="Wait for the next month, or ask the owner for another grant.",
            )


def still_asked(first: Mapping[str, str], pins: Mapping[str, str], left_out: Collection[Identity]) -> dict[str, str]:
    """Of the grants with which a job was begun, all but those of the banks without which it goes on with `pins`."""
    gone = tuple(f" ({bank.org})" for bank in left_out)
    return {name: pin for name, pin in first.items() if name in pins or not name.endswith(gone)}


def check_pinned(pins: Mapping[str, str], first: Mapping[str, str], when: str) -> None:
    """Raises PolicyError for a job that rests on other grants than when it was `when`, begun or held.

    What a job may do is what was granted then: a wider grant allows it no more, and a narrower one is another job's.
    """
    if changed := sorted(name for name in {*pins, *first} if pins.get(name) != first.get(name)):
        raise PolicyError(
            f"the grant of {' and '.join(changed)} is another one than when this job was {when}",
            remedy="Submit it again: a job keeps the grants that it has begun with.",
        )


_ASK = "Ask the owner of the dataset for a grant of this use, or change the plan."


def _expired(grant: Grant, today: date) -> PolicyError | None:
    if today <= grant.expires:
        return None
    return PolicyError(f"the grant of dataset {grant.dataset!r} expired on {grant.expires}", remedy=_ASK)
