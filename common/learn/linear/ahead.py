"""What training is dealt, as a list known beforehand: none of it depends on the data, so it can be dealt and stored ahead.

Zero rows and columns fill what a stock has to spare. A zero row of X is masked like any other and adds nothing to X^T r; the
weight of a zero column starts at zero, is pulled by nothing and truncated without remainder, so it stays zero.
PROTOCOL.md section 6.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from common.errors import LocalProtocolError
from common.learn.linear import hessian
from common.learn.linear.deal import Work
from common.learn.linear.joint import gradient_number, setup_dealt, setup_number, taken_beside
from common.learn.linear.path import Step
from common.mpc.correlations.dealt import dealt_tables
from common.mpc.fixedpoint import WEIGHT_SCALE
from common.mpc.session import Kind, Round
from common.mpc.short import dealt_shape
from common.mpc.tags import LIMBS, MARK_WORDS
from common.party import Party


def dealt_arrays(party: Party, work: Work) -> Iterator[tuple[Round, tuple[int, ...]]]:
    """Label and shape of each array of words that a training with shared weights is dealt, in the order of its use."""
    if work.revealed_bits is None:
        raise LocalProtocolError("owned weights are not dealt ahead")
    columns = sum(work.columns.values())
    sizes, beside = [work.columns[p] for p in Party], work.joint and not (work.quadratic or work.undealt)
    if beside:
        yield from taken_beside(_setup(setup_dealt(*sizes)), _tables(party, work, work.steps[0]))
    elif work.joint:
        yield from _setup((hessian.openings_dealt if work.quadratic else setup_dealt)(*sizes))
    for place, step in enumerate(work.steps):
        if work.quadratic:
            yield Round(Kind.DEALT_TRUNCATION, step.number), (columns,)
            continue
        if place or not beside:
            yield from _tables(party, work, step)
        if work.joint:
            yield Round(Kind.DEALT_TRUNCATION, gradient_number(step.number)), (columns,)
            yield Round(Kind.DEALT_CUT, gradient_number(step.number)), (len(range(party.index, columns, 2)), columns)
        yield Round(Kind.DEALT_TRUNCATION, step.number), (columns,)
    if work.quadratic:
        yield Round(Kind.DEALT_TRUNCATION, gradient_number(len(work.steps))), (columns,)
    if work.closed:
        yield Round(Kind.DEALT_TAGS, work.steps[-1].number), (2 * LIMBS * work.columns[party.other] + MARK_WORDS,)
    if work.revealed_bits < WEIGHT_SCALE:
        yield Round(Kind.DEALT_TRUNCATION, len(work.steps)), (columns,)


def _setup(counts: Sequence[int]) -> Iterator[tuple[Round, tuple[int, ...]]]:
    """What is dealt for the rounds before the first step, so many words each."""
    dealt = ((place, count) for place, count in enumerate(counts) if count)
    yield from ((Round(Kind.DEALT_TRUNCATION, setup_number(place)), (count,)) for place, count in dealt)


def _tables(party: Party, work: Work, step: Step) -> Generator[tuple[Round, tuple[int, ...]], None, None]:
    tables, width = len(dealt_tables(work.link, party)), step.scales(work.link).width
    for span in step.spans():
        yield Round(Kind.DEALT_LINK, span.number), dealt_shape((tables, span.rows), width)
