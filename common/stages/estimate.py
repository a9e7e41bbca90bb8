"""What a job of a plan and size would cost, before it runs: bytes on each line, messages, bits. PROTOCOL.md section 11."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from common.errors import PlanError
from common.features.binning import halvings
from common.features.pieces import USUAL as PIECES
from common.features.pieces import room
from common.home.stocks import MOST, predealt
from common.learn.learner import MakesAhead, Size
from common.learn.learners import REASONS, learner_of
from common.learn.trees.learner import fitting_trees
from common.mpc import cost
from common.mpc.cost import COMPARED, SEEDS, SIZES, WILLING, Cost
from common.mpc.counting.masks import CountsDemand
from common.mpc.seeds import DEALT_BYTES
from common.party import Party
from common.plan.predeal import PredealPlan
from common.plan.read import AnyPlan
from common.plan.request import DEALT_ROWS
from common.plan.score import ScorePlan
from common.plan.section import Section
from common.plan.train import TrainPlan
from common.plan.trees import Trees
from common.stages.price import FLAGS, FLOORS, USUAL, challenge_bits, count_bits, left_out_bits, metric_bits
from common.stages.reasons import TEXT_BYTES, TEXTS

_STOCK = 16 * (MOST + 3)  # what is dealt by this release, the list of stocks held, the one to be spent, and that it is
_NAMED = 16  # by the bank, of that list
_DEFAULT: Section = TrainPlan.model_fields["model"].default
_UNDEALT: Section = type(_DEFAULT).model_validate({"dealer": "none"})
_TEXTS = 8  # that the grid's columns have, about
_RANGE = 16  # first and last month
_MADE = 32  # a mark of the lasting key
_DEALT = 32  # a stock's label, once all of it is on disk and once it has its name


@dataclass(frozen=True)
class Sizes:
    """The size of a job. rows: matched. columns: as trained, the bank's intercept included.

    ids: of each side; None: those matched. months: that both have, 0 where rows are not by month. enterprises: matched; None:
    as many as there are rows a month.
    """

    rows: int
    grid_columns: int
    bank_columns: int
    grid_ids: int | None = None
    bank_ids: int | None = None
    months: int = 0
    enterprises: int | None = None

    def ids(self, party: Party) -> int:
        """The ids that this side brings."""
        given = self.grid_ids if party is Party.GRID else self.bank_ids
        return self.matched if given is None else given

    @property
    def matched(self) -> int:
        """The ids that both hold."""
        return -(-self.rows // max(1, self.months)) if self.enterprises is None else self.enterprises

    def of(self, rows: int) -> Size:
        return Size(rows, self.grid_columns, self.bank_columns)


@dataclass(frozen=True)
class Speed:
    """Seconds of a machine for each unit of work, measured through three daemons on two cores; see `tests/bench`."""

    job: float = 0.35  # to offer, meet, and write down
    cell: float = 3.0e-9  # a value of a matrix in a step
    dealt: float = 7.0e-8  # a word dealt to each party
    share: float = 4.0e-8  # a value of a matrix, masked and sent
    scored: float = 4.0e-8  # a value of a row scored
    row: float = 5.0e-6  # a row read, matched and written down
    curve: float = 1.2e-4  # an id matched by Diffie-Hellman


@dataclass(frozen=True)
class Told:
    """What is told at most of one bank's labels: of the rows that train, and by metrics of those held out."""

    trained: int
    held: int
    label_bits: float
    metric_bits: float


@dataclass(frozen=True)
class Estimate:
    """The cost of a job. bytes: payload from and to each process. rounds: messages one after another between the parties.

    seconds: on loopback, as a machine of two cores takes, within a factor of two. scores: rows of which the bank hears one.
    trained: rows trained on, 0 if none. label_bits: most that others are told of their labels, in all. held: rows held out;
    metric_bits: most that metrics tell of theirs. fewer: of trees that tell more than banks usually allow, what would fit.
    banks: of several, each one's part of what is told, in the plan's order; the sums are what stands before.
    refused: why a coordinator does not deal it, unless its operator has raised the limit.
    """

    bytes: dict[str, int]
    rounds: int
    seconds: float
    scores: int
    trained: int
    label_bits: float = 0.0
    held: int = 0
    metric_bits: float = 0.0
    fewer: str = ""
    banks: tuple[Told, ...] = ()
    refused: str = ""

    def over(self, bits: float, delay: float) -> float:
        """Seconds where each line carries so many bits a second each way, and a message takes `delay` seconds one way."""
        return self.seconds + 8 * max(self.bytes.values()) / bits + self.rounds * delay


def held_out(plan: TrainPlan, sizes: Sizes) -> int:
    """The rows that a training holds out, about."""
    if plan.split.by == "time" and sizes.months:
        return round(sizes.rows * min(plan.split.months, sizes.months - 1) / sizes.months)
    return round(sizes.rows * plan.split.test)


def trained_columns(plan: AnyPlan, rows: int, grid: int, bank: int, months: int = 0) -> tuple[int, int]:
    """The trained columns of sides of so many columns and matched rows, the bank's intercept included.

    Of each at most where it is cut into bins, as many as a number usually gives where `coding` is auto, never more than rows
    allow; what a category holds no header tells.
    """
    if not isinstance(plan, TrainPlan):
        return grid, bank + 1
    train = rows - held_out(plan, Sizes(rows, grid, bank, months=months))
    coding, most = plan.preparation.coding, room(train, plan.limits.rows_per_column)
    if isinstance(plan.model, Trees):
        each = (plan.preparation.bins if coding == "woe" else plan.model.bins) - 1
    else:
        each = {"auto": PIECES, "bins": plan.preparation.bins}.get(coding, 1)
        most = most if coding == "auto" else each * max(grid, bank)
    of_grid, of_bank = (max(columns, min(each * columns, most)) for columns in (grid, bank))
    return of_grid, of_bank + 1


def estimate(plan: AnyPlan, sizes: Sizes, section: Section = _DEFAULT) -> Estimate:
    """The cost of a job of this plan. section: for a scoring plan, how its model was trained.

    Raises PlanError for a plan that moves nothing, or a training of more steps than there may be.
    """
    if isinstance(plan, PredealPlan):
        return _predealing(plan)
    if isinstance(plan, TrainPlan):
        return _training(plan, sizes)
    if isinstance(plan, ScorePlan):
        return _scoring(plan, sizes, section)
    raise PlanError(f"a plan of kind {plan.kind!r} costs a few messages", remedy="Give a plan that trains, scores or predeals.")


def _lines(costs: dict[Party, Cost]) -> dict[str, int]:
    grid, bank = costs[Party.GRID], costs[Party.BANK]
    return {
        "grid_to_bank": grid.peer_sent,
        "bank_to_grid": bank.peer_sent,
        "coordinator_to_grid": grid.dealt,
        "coordinator_to_bank": bank.dealt,
        "grid_to_coordinator": grid.tags,
        "bank_to_coordinator": bank.tags,
    }


def _begun(plan: Any, sizes: Sizes, party: Party) -> Cost:
    """Seeds, and matched rows."""
    own, other = sizes.ids(party), sizes.ids(party.other)
    if plan.undealt and sizes.months:  # rows of the months that both have are matched, not ids
        matched = Cost(_RANGE, _RANGE) + cost.alignment(party, own * sizes.months, other * sizes.months, matching=plan.matching)
    else:
        matched = cost.alignment(party, own, other, sizes.matched, sizes.months, plan.matching)
    return matched if plan.undealt else Cost(SEEDS, SEEDS, DEALT_BYTES) + matched


def begun_rounds(plan: Any, sizes: Sizes) -> int:
    ids = 4 if plan.matching == "neutral" else 2 + 2 * blocks(max(sizes.ids(p) for p in Party))
    if plan.undealt:
        return ids + (1 if sizes.months else 0)
    return 2 + ids + (3 if sizes.months else 0)


def begun_seconds(plan: Any, sizes: Sizes, columns: float, speed: Speed) -> float:
    every = sum(sizes.ids(p) for p in Party)
    curve = speed.curve * every / 2 if plan.matching == "ecdh" else 0.0
    return speed.job + speed.row * (every * max(1, sizes.months) / 2 + sizes.rows * columns / 20) + curve


def blocks(rows: int) -> int:
    return -(-rows // 65536)


def _training(plan: TrainPlan, sizes: Sizes, speed: Speed = Speed()) -> Estimate:
    held = held_out(plan, sizes)
    size, tested = sizes.of(sizes.rows - held), sizes.of(held)
    learner, told = learner_of(plan.model), cost.split(sizes.rows)
    tellings = 2 if plan.challenge else 1  # the champion's columns are taken to be as many
    counting = _counts(plan, size)
    costs = {}
    for party in Party:
        grid = party is Party.GRID
        found = _begun(plan, sizes, party) + Cost(SIZES + (0 if grid else told), SIZES + (told if grid else 0))
        found += Cost(2 * COMPARED, 2 * COMPARED)
        found += cost.bin_counts(party, counting) if counting else Cost()
        trained = learner.cost(party, plan.model, size)
        if plan.dealt == "ahead" and isinstance(learner, MakesAhead) and plan.undealt:
            trained = learner.cost_made(party, plan.model, size) + Cost(_MADE, _MADE)
        if plan.dealt == "ahead":
            trained = Cost(trained.peer_sent, trained.peer_received) + _choice(party)
        found += trained
        for _ in range(tellings):
            found += learner.cost_scores(party, plan.model, tested)
        costs[party] = found
    rounds = begun_rounds(plan, sizes) + 8 + blocks(size.rows) + 1
    rounds += learner.rounds(plan.model, size) + tellings * learner.score_rounds(plan.model, held)
    rounds += 3 * (counting.rounds + 1) if counting else 0
    rounds += 4 if plan.dealt == "ahead" else 0
    if plan.dealt == "ahead" and isinstance(learner, MakesAhead) and plan.undealt:
        rounds += 1 + learner.made_rounds(plan.model, size.rows) - learner.rounds(plan.model, size)
    read, scored = learner.values(plan.model, size)
    stepping = speed.cell * learner.work(plan.model, size) + speed.dealt * costs[Party.BANK].dealt / 8
    scoring = speed.scored * held * scored
    seconds = begun_seconds(plan, sizes, read, speed) + speed.share * size.rows * read + stepping + tellings * scoring
    bits = FLOORS + FLAGS + learner.label_bits(plan.model, size)
    if counting:
        bits += count_bits(size.rows, counting.bins, max(1, sizes.months)) + left_out_bits(size.bank_columns)
    metrics = metric_bits(held) + (challenge_bits(held) if plan.challenge else 0.0) if held else 0.0
    fewer, most = "", USUAL * size.rows
    if isinstance(plan.model, Trees) and bits > most:
        fewer = fitting_trees(plan.model, size, most - (bits - learner.label_bits(plan.model, size)))
    return Estimate(_lines(costs), rounds, seconds, tellings * held, size.rows, bits, held, metrics, fewer)


def _choice(party: Party) -> Cost:
    """Of a stock: what both tell each other before they spend it."""
    grid = party is Party.GRID
    return Cost(_STOCK + (0 if grid else _NAMED), _STOCK + (_NAMED if grid else 0))


def _counts(plan: TrainPlan, size: Size) -> CountsDemand | None:
    """What counting labels by bin is asked for, where the plan does: as many bins as its columns may have."""
    options = plan.preparation
    if options.coding != "woe":
        return None
    return CountsDemand(size.rows, size.grid_columns * options.bins, options.min_bin_class, halvings(options.bins))


def _scoring(plan: ScorePlan, sizes: Sizes, section: Section, speed: Speed = Speed()) -> Estimate:
    if plan.undealt and section == _DEFAULT:  # nothing is known of its training, but that it was one whose model scores so
        section = _UNDEALT
    learner, size = learner_of(section), sizes.of(sizes.rows)
    ahead, costs = plan.dealt == "ahead" and section.closed, {}
    for party in Party:
        told = learner.cost_scores(party, section, size)
        if ahead:
            told = Cost(told.peer_sent, told.peer_received) + _choice(party)
        if plan.grid_reasons:
            told += _reasons(party, plan.grid_reasons, section, size)
        costs[party] = _begun(plan, sizes, party) + Cost(WILLING + COMPARED, WILLING + COMPARED) + told
    rounds = begun_rounds(plan, sizes) + 2 + learner.score_rounds(section, size.rows)
    reasons = REASONS.get(learner.name) if plan.grid_reasons and section.closed else None
    rounds += (4 if ahead else 0) + (2 if plan.grid_reasons else 0) + (reasons.rounds(section, size, _TEXTS) if reasons else 0)
    read, scored = learner.values(section, size)
    scored *= 2 + _TEXTS if reasons and reasons.again else 1
    work = speed.scored * size.rows * scored + speed.row * size.rows
    return Estimate(_lines(costs), rounds, begun_seconds(plan, sizes, read, speed) + work, size.rows, 0)


def _reasons(party: Party, most: int, section: Section, size: Size) -> Cost:
    """Their texts, and codes: from weights the grid holds, else from shares, as if its columns had eight texts."""
    page = Cost(TEXTS * TEXT_BYTES) if party is Party.GRID else Cost(0, TEXTS * TEXT_BYTES)
    told = REASONS.get(learner_of(section).name)
    if section.closed and told is not None:
        return page + told.cost(party, section, size, _TEXTS, most)
    return page + (Cost(most * size.rows) if party is Party.GRID else Cost(0, most * size.rows))


def _predealing(plan: PredealPlan, speed: Speed = Speed()) -> Estimate:
    learner = learner_of(plan.model)
    if plan.undealt and isinstance(learner, MakesAhead):
        size = Size(plan.rows, *plan.sizes)
        told = _MADE + COMPARED + _DEALT
        made = {party: learner.cost_making(party, plan.model, size) + Cost(told, told) for party in Party}
        rounds, work = learner.making_rounds(plan.model, size) + 1, learner.making_work(plan.model, size)
        return Estimate(_lines(made), rounds, speed.job + speed.cell * work, 0, 0)
    ahead, costs = predealt(plan), {}
    for party in Party:
        dealt = sum(8 * math.prod(shape) for _, shape in ahead.all_arrays(party))
        costs[party] = Cost(SEEDS + _DEALT, SEEDS + _DEALT, DEALT_BYTES + dealt)
    words = costs[Party.BANK].dealt / 8
    cells = plan.rows * sum(plan.sizes)
    steps = learner.steps(plan.model, Size(plan.rows, *plan.sizes)) if plan.serves == "training" else 1
    beyond = f"a coordinator deals for at most {DEALT_ROWS} rows unless its operator sets max_rows"
    refused = beyond if plan.rows > DEALT_ROWS else ""
    return Estimate(_lines(costs), 4, speed.job + speed.dealt * words + speed.cell * cells * steps, 0, 0, refused=refused)
