"""From a plan's section to the steps of a training of a network. PROTOCOL.md section 15."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common.errors import PlanError, PolicyError
from common.learn.network.scales import KEPT, MOST_ROWS, STEP, Scales
from common.learn.span import Span
from common.mpc.arrived import Rest
from common.plan.network import MOMENTUM_UNIT, Network
from common.plan.section import Floors

MAX_STEPS = 100_000
_BATCH = 1024  # of a plan that names none, at most
VALIDATION = 8  # one training row in so many is held back where training may stop early
COMPARED = 10  # steps before which no epoch is looked at: the weights that are kept may be those of the first that is
LOSS = 1 << 20  # above every step's number: of what an epoch's loss takes
SPAN_CELLS = 1 << 19  # rows times units that go through a step together
_SPAN_BITS = 24
_MOVED, _USUAL = 6.0, 1.25  # of the size of steps and what else a movement depends on
_STABLE, _RESTLESS = 1.0, 64.0


@dataclass(frozen=True)
class Step:
    """Step `number`: rows low to high, of which those before `data_rows` are not zeros; its size and what decay leaves, whole.

    size: times 2^STEP. kept: times 2^KEPT. over: rows of all banks that it averages over, where these are one bank's.
    """

    number: int
    low: int
    high: int
    data_rows: int
    size: int
    kept: int
    activation: str
    over: int | None = None

    @property
    def rows(self) -> int:
        return self.high - self.low

    @property
    def scales(self) -> Scales:
        """The split for all rows, zeros too, for which tables are dealt."""
        return Scales.of(self.over or self.rows, self.activation)

    @property
    def averaged(self) -> int:
        """Rows that its gradient is a mean over."""
        return self.over or self.data_rows - self.low

    def spans(self, hidden: int) -> list[Span]:
        """Its rows in pieces of about SPAN_CELLS cells, alike in size."""
        return make_spans(self.number, self.low, self.high, hidden)


def make_spans(number: int, low: int, high: int, hidden: int) -> list[Span]:
    """Rows low to high in pieces of about SPAN_CELLS cells, alike in size."""
    pieces = max(1, -(-(high - low) * hidden // SPAN_CELLS))
    size = -(-(high - low) // pieces)
    return [Span(number << _SPAN_BITS | i, at, min(high, at + size)) for i, at in enumerate(range(low, high, size))]


def momentum(section: Network) -> int:
    """A step's momentum, in units of 1/32."""
    return round(section.momentum * MOMENTUM_UNIT)


def fit_rows(section: Network, rows: int) -> int:
    """How many of the training rows steps are over, the first ones: all, but for those that are held back to stop early."""
    return rows if section.early_stop is None else rows - max(1, rows // VALIDATION)


def epoch_steps(section: Network, rows: int) -> int:
    """Steps of each epoch."""
    return fit_rows(section, rows) // batch_rows(section, rows)


def first_compared(section: Network, rows: int) -> int:
    """The first epoch, from 0 on, after which the loss of the rows held back is looked at."""
    return min(-(-COMPARED // epoch_steps(section, rows)), section.epochs) - 1


def batch_rows(section: Network, rows: int) -> int:
    """Rows of each step, of so many training rows: all, or a batch; what an epoch's last batch leaves over waits for no one.

    Where the plan leaves it open, the power of two next to six times the root of all, so that fewer rows are not trained on in
    a handful of steps. Raises PlanError where none are left to train on.
    """
    if (fit := fit_rows(section, rows)) < 1:
        raise PlanError(
            "too few training rows for steps",
            expected="one row, or two where one is held back to stop early",
            got=rows,
            remedy="Leave early_stop out of the plan, or train on more rows.",
        )
    rows = fit
    if section.batch is not None:
        return min(section.batch or rows, rows)
    aim = 6 * math.isqrt(rows)
    below = 1 << (aim.bit_length() - 1)
    return min(_BATCH, 2 * below if aim * aim > 2 * below * below else below, rows)


def count_steps(section: Network, rows: int) -> int:
    """How many steps there are. Raises PlanError for too many, and for steps over too many rows."""
    if (batch := batch_rows(section, rows)) > MOST_ROWS:
        raise PlanError(
            f"a step over {batch} rows leaves a residual too few bits",
            expected=f"at most {MOST_ROWS} rows",
            remedy="Train in batches: batch = 1024.",
        )
    if (count := fit_rows(section, rows) // batch * section.epochs) > MAX_STEPS:
        raise PlanError(
            "too many steps", expected=f"at most {MAX_STEPS}", got=count, remedy="Use larger batches or fewer epochs."
        )
    return count


def make_steps(section: Network, rows: int, data_rows: int | None = None) -> Iterator[Step]:
    """All steps over `rows` training rows, of which the first `data_rows` (default: all) are not zeros.

    Batches follow one another in the order of the alignment, which is pseudo-random. Half of the epochs have the plan's step;
    then it falls in a line to a tenth. Raises PlanError as `count_steps` does.
    """
    batch, number = batch_rows(section, rows), 0
    count_steps(section, rows)
    for epoch in range(section.epochs):
        size = section.size * _share(epoch / section.epochs)
        whole = max(1, round(size * 2.0**STEP)), (1 << KEPT) - round(size * section.decay * 2.0**KEPT)
        for low in range(0, fit_rows(section, rows) - batch + 1, batch):
            yield Step(number, low, low + batch, min(low + batch, data_rows or rows), *whole, section.activation)
            number += 1


def _share(done: float) -> float:
    """What of the step size is used when so much of the training is done."""
    return 1.0 if done < 0.5 else max(0.1, 1.0 - 1.8 * (done - 0.5))


def check_course(section: Network, rows: int, floors: Floors) -> None:
    """Raises PolicyError for a training that can be told to be too short only now that its rows are known."""
    if (steps := count_steps(section, rows)) < floors.min_iterations:
        remedy = "Use more epochs, or smaller batches."
    elif section.early_stop is not None:
        steps = (first_compared(section, rows) + 1) * epoch_steps(section, rows)
        remedy = "Leave early_stop out of the plan: it may keep the weights after so many."
    if steps < floors.min_iterations:
        expected = f"at least {floors.min_iterations}"
        raise PolicyError("too few steps of training", expected=expected, got=steps, remedy=remedy)


def lift(steps: Sequence[Step], step: Step) -> int:
    """By how much a step's movement counts: as if it were as long as the first, as what a later one spoils is not repaired."""
    return max(1, round(steps[0].size / step.size))


def rest_limit(steps: Sequence[Step], columns: int) -> Rest:
    """Largest combinations of all steps' movements, each lifted, with which a training of so many columns went right.

    A step moves weights by its size times a gradient: the objective's, at first, and then the noise of a batch of n rows, some
    sqrt(columns / n). How many times that, measurement told (section 17); a longer step may leap about. Told are 16 to 32
    numbers of either sign.
    """
    first = steps[0]
    noise = math.sqrt(len(steps) * columns / (first.over or first.rows))
    size = first.size / 2.0**STEP
    unit = size * (1.0 + noise) * (1.0 if size <= _STABLE else _RESTLESS)
    most = _MOVED * unit
    return Rest(_USUAL * unit, most, 4 - math.floor(math.log2(most)), "with a smaller `step`")
