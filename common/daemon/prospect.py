"""What a job that waits would open and cost here, for the people who approve it: by its plan and by headers, no row is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from common.daemon.conduct import chain_of
from common.daemon.settings import PartySettings
from common.disclosure import CATALOGUE, Opened
from common.errors import ConfigError, WattScoreError
from common.home.approvals import HeldJob
from common.home.home import Home
from common.home.models import CHAMPION
from common.home.standing import Standing
from common.learn.learners import line_of, named
from common.party import Party
from common.plan.promote import PromotePlan
from common.plan.read import AnyPlan, parse_plan
from common.plan.request import Plan, Side
from common.plan.score import ScorePlan
from common.plan.several import SeveralPlan
from common.rows.dataset import check_declared
from common.rows.extent import Extent, extent_of
from common.rows.featurefile import declared
from common.stages.estimate import Estimate, Sizes, estimate, trained_columns
from common.stages.several.estimate import SeveralSizes, estimate_several
from common.trust.authority import identity_of, read_certificate


@dataclass(frozen=True)
class Prospect:
    """A job before it runs. opens: in the order of the list. side, extent, cost: None where a plan of its kind has none.

    cost: with as many matched rows as the own dataset has; of a training as many columns at the other side as here. Of several
    banks as many rows at each.
    details: what `action` says beyond the kind of job: model and months (newest: the last), or banks.
    why_not: what keeps the cost from being told.
    """

    held: HeldJob
    action: str
    details: tuple[str, ...]
    opens: tuple[Opened, ...]
    side: Side | None
    extent: Extent | None
    cost: Estimate | None
    why_not: str
    standings: tuple[Standing, ...]


def prospect(held: HeldJob, party: Party, settings: PartySettings, home: Home) -> Prospect:
    plan = parse_plan(held.plan, held.job)
    opens = tuple(sorted(plan.allowed, key=lambda opened: list(CATALOGUE).index(opened)))
    side, extent, cost, why_not = None, None, None, ""
    try:
        side = _side(plan, party, settings)
        extent = None if side is None else _extent(side, party, settings)
        cost = _cost(plan, party, extent, settings, home)
    except (WattScoreError, OSError) as error:
        why_not = str(error)
    return Prospect(held, _action(plan), _details(plan), opens, side, extent, cost, why_not, tuple(home.standings()))


def _side(plan: AnyPlan, party: Party, settings: PartySettings) -> Side | None:
    if isinstance(plan, SeveralPlan):
        if party is Party.GRID:
            return plan.grid if isinstance(plan.grid, Side) else None
        own = identity_of(read_certificate(settings.tls.certificate))
        return next((bank for bank in plan.banks if bank.identity == own), None)
    return plan.side(party) if isinstance(plan, Plan) else None


def _extent(side: Side, party: Party, settings: PartySettings) -> Extent:
    if side.dataset not in settings.datasets:
        remedy = "Deny the job, or declare the dataset anew."
        raise ConfigError(f"there is no dataset {side.dataset!r} any more", remedy=remedy)
    config = declared(settings.datasets[side.dataset])
    found = extent_of(check_declared(config, name=side.dataset, party=party), config)
    return found if side.columns == ("*",) else Extent(found.rows, len(side.columns))


def _cost(plan: AnyPlan, party: Party, extent: Extent | None, settings: PartySettings, home: Home) -> Estimate | None:
    if isinstance(plan, SeveralPlan):
        return _cost_of_several(plan, party, extent)
    if isinstance(plan, PromotePlan):
        return None
    if not isinstance(plan, Plan):
        return estimate(plan, Sizes(0, 0, 0))
    if extent is None:
        return None
    months = int("period" in plan.keys)
    if isinstance(plan, ScorePlan):
        champion = home.registry.of(chain_of(plan.bank_named, settings, party)).champion
        model = home.models.load(plan.model if plan.model != CHAMPION else champion or CHAMPION)
        half = line_of(model, str(plan.bank_named or settings.peer.who))
        learner = named(half.learner)
        size = learner.scored(half, extent.rows)
        sizes = Sizes(extent.rows, size.grid_columns, size.bank_columns, months=months)
        return estimate(plan, sizes, learner.scored_by(half))
    grid, bank = trained_columns(plan, extent.rows, extent.columns, extent.columns, months)
    return estimate(plan, Sizes(extent.rows, grid, bank, months=months))


def _cost_of_several(plan: SeveralPlan, party: Party, extent: Extent | None) -> Estimate | None:
    """With as many rows at each bank as the own one has, or as an equal part of the grid's; None for who has no rows."""
    if extent is None:
        return None
    count, months = len(plan.banks), int("period" in plan.keys)
    rows = max(1, extent.rows // count) if party is Party.GRID else extent.rows
    grid, _ = trained_columns(plan.line(0), count * rows, extent.columns, extent.columns, months)
    grid = 0 if plan.alone else grid
    return estimate_several(plan, SeveralSizes((rows,) * count, grid, extent.columns + 1, months=months))


def _action(plan: AnyPlan) -> str:
    if isinstance(plan, SeveralPlan):
        return f"train a model with {len(plan.banks)} banks: {', '.join(bank.who for bank in plan.banks)}"
    if isinstance(plan, ScorePlan):
        months = ["the newest month" if month == "newest" else month for month in plan.months]
        return f"score rows{' of ' if months else ''}{', '.join(months)} by the model {plan.model}"
    if isinstance(plan, PromotePlan):
        forced = [name for name in ("force", "anew") if getattr(plan, name)]
        beyond = f", beyond the rules ({', '.join(forced)})" if forced else ""
        return f"make {plan.model} the champion{beyond}" if plan.model else "make the champion before the present one it again"
    return {"train": "train a model", "predeal": "deal randomness ahead"}[plan.kind]


def _details(plan: AnyPlan) -> tuple[str, ...]:
    if isinstance(plan, SeveralPlan):
        return tuple(bank.who for bank in plan.banks)
    if isinstance(plan, ScorePlan):
        return (plan.model, *plan.months)
    if isinstance(plan, PromotePlan):
        return (plan.model or "before", *(name for name in ("force", "anew") if getattr(plan, name)))
    return ()


def lines(found: Prospect) -> Iterator[str]:
    """The prospect as a command line prints it."""
    held = found.held
    yield f"job       {held.job}" + (f"  {held.name!r}" if held.name else "")
    yield f"would     {found.action}"
    yield f"for       {held.client}"
    if found.side is not None:
        columns = "all columns" if found.side.columns == ("*",) else f"columns {', '.join(found.side.columns)}"
        size = f" (about {found.extent.rows:,} rows, {found.extent.columns} columns)" if found.extent else ""
        yield f"on        dataset {found.side.dataset}, {columns}{size}"
    yield f"plan      SHA-256 {held.digest}"
    yield "opens"
    yield from (f"  {CATALOGUE[opened].what}: to {', '.join(CATALOGUE[opened].to)}" for opened in found.opens)
    yield "costs"
    yield from (f"  {line}" for line in _costs(found))


def _costs(found: Prospect) -> Iterator[str]:
    if found.why_not:
        yield f"not known: {found.why_not}"
    elif found.cost is None:
        yield "a few messages"
    else:
        cost = found.cost
        if found.side is not None and cost.banks:
            told = "all own rows matched, as many at each bank, as many columns at the others"
            yield f"as far as it can be told from here: {told}"
        elif found.side is not None:
            yield "as far as it can be told from here: all own rows matched, as many columns at the other side"
        yield f"about {cost.seconds:,.0f} s, {sum(cost.bytes.values()) / 1e6:,.1f} MB over all lines"
        if cost.trained:
            each = cost.label_bits / cost.trained
            yield f"at most {cost.label_bits:,.0f} bits of the bank's labels are told: {each:.4f} of each training row"
        if cost.scores:
            yield f"{cost.scores:,} scores, each of them one model of a row's budget"
    for standing in found.standings:
        spent = f"{standing.most:.4g} spent of the row of which most is, {standing.left:.4g} left"
        yield f"budget of {standing.of} ({standing.key} = {standing.limit:g}): {spent}"
