"""What a training of several banks would cost before it runs: bytes on each line, messages, bits of each bank's labels.

PROTOCOL.md sections 11 and 16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import PlanError
from common.features.pooled import EXPONENTS
from common.features.pooled_cuts import ROUNDS, asked
from common.learn.learner import Size
from common.learn.learners import learner_of, several_of
from common.learn.linear.alone import MOST_SUMS, SUM_BITS, told
from common.mpc import cost
from common.mpc.cost import COMPARED, SEEDS, SIZES, WILLING, Cost
from common.mpc.seeds import DEALT_BYTES, NONCE_BYTES
from common.mpc.several.heard import HASH_BYTES
from common.party import Party
from common.plan.several import SeveralPlan
from common.plan.trees import Trees
from common.stages.estimate import Estimate, Sizes, Speed, Told, begun_rounds, begun_seconds, blocks
from common.stages.price import FLAGS, FLOORS, histogram_bits, metric_bits, step_bits
from common.stages.several.pooled import cells_of

_POINTS = 64  # bytes of the points that an attempt could go on from
_START_SENT = 2 * SEEDS + _POINTS + SIZES + 32  # seeds of the line and of all, points, sizes; a hash of the columns
_START_HEARD = 2 * SEEDS + _POINTS + SIZES + 24 + 1  # the same; rows of all, and whether all have the same columns
_PREPARING = 24  # rounds: seeds, points, split, rows of all, hashes, how many columns, five sums, sizes, that all can charge
_SUMS = 11  # of these those of five sums, and of how many columns are not rare
_ROUNDED = 3  # of a sum that is truncated before it is told
_POOLED = 9  # counts of scores; fingerprints when all are through, and when all kept
_COMPARED = 3  # times that banks compare what they have heard, two rounds each
_SUMS_ALONE = 5  # of the steps of banks alone: four or five are usual
_KEPT = 64  # fingerprints when all are through, and when all kept
_ALONE_HEARD = 2 * SEEDS + 1 + WILLING + _KEPT  # seeds of the line and of all; whether all have the same columns
_ALONE_SENT = 2 * SEEDS + 32 + WILLING + 32 + 8 + _KEPT  # the same, hashes of columns and of weights; how many cells
# rounds: seeds 4, rows of all 2, hashes 2, sums over columns 13, that all can charge 1, comparing 6, counts of scores 4, kept 2
_ALONE = 34


@dataclass(frozen=True)
class SeveralSizes:
    """The size of such a job. rows: matched, of each bank in the plan's order. columns: trained, a bank's with its intercept.

    bank_ids: of each; None: those matched. months: that both sides of a line have, 0 where rows are not by month. held: of
    each bank's rows those held out; None: the plan's share of them. sums: of the steps of banks alone, who have no grid column.
    """

    rows: tuple[int, ...]
    grid_columns: int
    bank_columns: int
    grid_ids: int | None = None
    bank_ids: tuple[int, ...] | None = None
    months: int = 0
    held: tuple[int, ...] | None = None
    sums: int = _SUMS_ALONE

    def line(self, bank: int) -> Sizes:
        """Of the line with one of them."""
        ids = None if self.bank_ids is None else self.bank_ids[bank]
        return Sizes(self.rows[bank], self.grid_columns, self.bank_columns, self.grid_ids, ids, self.months)


def estimate_several(plan: SeveralPlan, sizes: SeveralSizes, speed: Speed = Speed()) -> Estimate:  # noqa: B008  (frozen)
    """The cost of a training of several banks, with the grid or alone, whose columns are those that all have.

    Raises PlanError for other sizes than the plan has banks; PolicyError as the layout of steps does.
    """
    banks, section = len(plan.banks), plan.model
    if len(sizes.rows) != banks:
        raise PlanError(
            f"sizes of {len(sizes.rows)} banks, and the plan has {banks}", remedy="Give those of each, in its order."
        )
    held = sizes.held or tuple(round(rows * plan.split.test) for rows in sizes.rows)
    train = [rows - out for rows, out in zip(sizes.rows, held, strict=True)]
    if plan.alone:
        return _alone(plan, sizes, held, train, speed)
    learner, several, common = learner_of(section), several_of(section), sizes.bank_columns - 1
    layout = several.layout(sizes.grid_columns, common, train)
    cells = cells_of(sum(held))
    cut = isinstance(section, Trees)
    sums = _cut(common, section.bins) if isinstance(section, Trees) else _sums(common, whitened=several.whitened)
    sums += _counted(cells) + _compared(banks)
    turned = 4 * common * (common + 1) if several.whitened else 0  # bytes of a truncation, from who speaks for all banks
    found, dealt = {"coordinator_to_grid": 0, "grid_to_coordinator": 0}, several.dealt(section, layout, train)
    for k in range(banks):
        own, at_grid = _line(plan, sizes.line(k), Size(held[k], sizes.grid_columns, sizes.bank_columns))
        own += several.cost(section, layout, train[k], speaks=k == 0)
        own += Cost(sums.peer_sent + (0 if k else turned), sums.peer_received, banks * NONCE_BYTES)
        found |= {
            f"grid_to_bank_{k + 1}": own.peer_received,
            f"bank_{k + 1}_to_grid": own.peer_sent,
            f"coordinator_to_bank_{k + 1}": own.dealt,
            f"bank_{k + 1}_to_coordinator": own.tags,
        }
        found["grid_to_coordinator"] += at_grid.tags
        dealt += at_grid.dealt
    found["coordinator_to_grid"] = dealt + DEALT_BYTES + sums.dealt
    every, longest = Size(sum(train), sizes.grid_columns, sizes.bank_columns, banks), max(sizes.rows)
    rounds = begun_rounds(plan, sizes.line(sizes.rows.index(longest))) + _PREPARING + blocks(max(train))
    rounds += 0 if cut else 1  # trees begin at public numbers, and at each bank's own rate
    rounds += 2 * ROUNDS - _SUMS if cut else _ROUNDED if several.whitened else 0
    whole = Size(every.rows, layout.grid, layout.bank)  # all intercepts, which steps depend on
    rounds += learner.rounds(section, whole) + several.more_rounds(section, layout)
    rounds += learner.score_rounds(section, max(held)) + _POOLED + 2 * _COMPARED + 2
    read, scores = learner.values(section, every)
    seconds = sum(begun_seconds(plan, sizes.line(k), read, speed) - speed.job for k in range(banks)) + banks * speed.job
    seconds += speed.share * every.rows * read + speed.cell * learner.work(section, every) + speed.dealt * dealt / 8
    seconds += speed.scored * sum(held) * scores
    each = tuple(_told(plan, sizes, train[k], held[k], cells) for k in range(banks))
    return Estimate(
        found, rounds, seconds, sum(held), sum(train), sum(one.label_bits for one in each), sum(held),
        sum(one.metric_bits for one in each), banks=each,
    )  # fmt: skip


def _alone(plan: SeveralPlan, sizes: SeveralSizes, held: Sequence[int], train: Sequence[int], speed: Speed) -> Estimate:
    """Of banks without a grid: at who adds up in its seat, and at each bank. Ids are not matched, nor scores asked for."""
    banks, columns = len(plan.banks), sizes.bank_columns - 1
    numbers, cells = told(columns), cells_of(sum(held))
    words = 2 + sizes.sums * numbers  # rows of all, and the steps; each of these says whether it was the last
    sums = Cost(8 * words + 8 * sizes.sums, 8 * words, 8 * words) + _sums(columns, whitened=True)
    sums += _counted(cells) + _compared(banks)
    turned = 4 * columns * (columns + 1)  # bytes of a truncation, from who speaks for all banks
    found = {"coordinator_to_grid": (banks + 1) * DEALT_BYTES + sums.dealt, "grid_to_coordinator": 0}
    for k in range(banks):
        found |= {
            f"grid_to_bank_{k + 1}": sums.peer_received + _ALONE_HEARD,
            f"bank_{k + 1}_to_grid": sums.peer_sent + _ALONE_SENT + (0 if k else turned),
            f"coordinator_to_bank_{k + 1}": 2 * DEALT_BYTES + banks * NONCE_BYTES,
            f"bank_{k + 1}_to_coordinator": 0,
        }
    rows = sum(sizes.rows)
    seconds = banks * speed.job + speed.row * rows * (1 + sizes.bank_columns / 20)
    seconds += speed.cell * sum(train) * sizes.bank_columns * (sizes.bank_columns + 3) * sizes.sums
    each = tuple(_told_alone(sizes, sum(train), train[k], held[k], cells) for k in range(banks))
    return Estimate(
        found, _ALONE + 2 * sizes.sums, seconds, 0, sum(train), sum(one.label_bits for one in each), sum(held),
        sum(one.metric_bits for one in each), banks=each,
    )  # fmt: skip


def _line(plan: SeveralPlan, sizes: Sizes, tested: Size) -> tuple[Cost, Cost]:
    """What one line has without training and sums: at its bank, and at the grid what is dealt and matched."""
    learner, found = learner_of(plan.model), []
    for party in Party:
        ids = sizes.ids(party), sizes.ids(party.other), sizes.matched, sizes.months
        matched = cost.alignment(party, *ids, plan.matching)
        found.append(matched + learner.cost_scores(party, plan.model, tested) + Cost(dealt=DEALT_BYTES))
    grid, bank = found
    return bank + Cost(cost.split(sizes.rows) + _START_SENT + 2 * COMPARED, _START_HEARD + 2 * COMPARED, DEALT_BYTES), grid


def _counted(cells: int) -> Cost:
    """Of scores of each class in so many cells, and whether each bank tells them: at a bank, and dealt to the grid."""
    words = 1 + 2 * cells
    return Cost(8 * words + 8, 8 * words, 8 * words)


def _compared(banks: int) -> Cost:
    """Hashes of what banks have heard: of columns, of the training, of counts of scores."""
    return Cost(_COMPARED * HASH_BYTES, _COMPARED * HASH_BYTES * banks)


def _sums(columns: int, *, whitened: bool) -> Cost:
    """Of the banks' columns: payload at a bank that does not speak for all, and what the grid is dealt. Section 16."""
    words = (2 + EXPONENTS + 1 + 2 + 1) * columns  # transforms, deviations and rare ones, spreads twice, leverage
    found = Cost(8 * words + 8 * 3, 8 * words, 8 * words)
    moments = columns * (columns + 1) // 2
    return found + Cost(8 * moments, 16 * moments, 24 * moments) if whitened else found


def _cut(thresholds: int, bins: int) -> Cost:
    """Of banks' columns that are cut by shares of rows below edges, each into all bins. Section 16."""
    words = sum(asked(number, bins) for number in range(ROUNDS)) * -(-thresholds // (bins - 1))
    return Cost(8 * words + 8 * 2, 8 * words, 8 * words)


def _told_alone(sizes: SeveralSizes, every: int, train: int, held: int, cells: int) -> Told:
    """Bits of one bank's labels, by sums over `every` row that trains at all banks; charged as the most sums there may be."""
    months = max(1, sizes.months)
    bits = FLOORS + FLAGS + step_bits(sizes.bank_columns - 1, every, train, months, MOST_SUMS, SUM_BITS)
    return Told(train, held, bits, metric_bits(held) + histogram_bits(held, cells, months) if held else 0.0)


def _told(plan: SeveralPlan, sizes: SeveralSizes, train: int, held: int, cells: int) -> Told:
    """Bits of one bank's labels."""
    size = Size(train, sizes.grid_columns, sizes.bank_columns)
    metrics = metric_bits(held) + histogram_bits(held, cells, max(1, sizes.months)) if held else 0.0
    return Told(train, held, FLOORS + FLAGS + several_of(plan.model).label_bits(plan.model, size), metrics)
