"""What training the linear model costs in bytes: the formulas of protos/PROTOCOL.md section 11, payload of arrays only.

A function of one step gives the bytes this party sends; it receives as many with `own` and `other` swapped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from common.learn.linear.deal import Work
from common.learn.linear.deal_reasons import ReasonsDemand
from common.learn.linear.deal_scores import SCORE_WIDTH
from common.learn.linear.hessian import openings, openings_dealt, sums
from common.learn.linear.joint import setup_dealt, setup_openings
from common.learn.linear.layout import Layout
from common.learn.linear.made import places, shifted
from common.learn.linear.path import Step, matrix_width
from common.learn.linear.quadratic import crossings, masks_rows
from common.learn.linear.undealt import sends_columns
from common.mpc.arrived import COMBINATIONS
from common.mpc.committed import MARK_BYTES
from common.mpc.correlations.dealt import dealt_tables
from common.mpc.cost import Cost, scores, truncation
from common.mpc.crossed import WIDTH
from common.mpc.fixedpoint import WEIGHT_SCALE
from common.mpc.lattice.carries import polynomials_of
from common.mpc.lattice.embedding import BLOCK
from common.mpc.lattice.embedding import blocks_of as filled_blocks
from common.mpc.lattice.phasors import PHASOR_BYTES, spans_of
from common.mpc.lattice.ring import DEGREE
from common.mpc.lattice.ring96 import WORDS
from common.mpc.lattice.rows import blocks_of
from common.mpc.lattice.sampled import NONCE_BYTES
from common.mpc.link import Link
from common.mpc.ranks.find import ROUNDS as RANK_ROUNDS
from common.mpc.ranks.masks import all_dealt, sent_bytes
from common.mpc.short import WIDE, dealt_shape
from common.mpc.tags import LIMBS, MARK_WORDS
from common.party import Party
from common.plan.linear import Model

CHECK = 8 * COMBINATIONS  # bytes from the grid to the bank when the last step is through
WHOLE = 4 * WORDS  # bytes of a number modulo 2^96
LONG = WHOLE * DEGREE  # and of a polynomial
TAG, MARK = 8 * LIMBS, 8 * MARK_WORDS


def matrices(rows: int, own_columns: int, width: int = WIDE, ones: int = 0) -> int:
    """The masked matrix in words of `width` bytes and the masked ridge matrix, once a job. Sections 2 and 3.

    ones: how many of the columns both know, which are not sent.
    """
    return width * rows * (own_columns - ones) + 8 * own_columns * own_columns


def residuals(step: Step, link: Link) -> int:
    """A word a row, as short as they are. Section 2."""
    return step.scales(link).sent_width * step.rows


def angles(rows: int) -> int:
    """16 bits a row, whatever the link. Section 5."""
    return 2 * rows


def dealt_link(step: Step, link: Link, party: Party) -> int:
    """Half of the link's tables, span by span, filled up to words of 8 bytes. Sections 2 and 5."""
    width, tables = step.scales(link).width, len(dealt_tables(link, party))
    return sum(8 * math.prod(dealt_shape((tables, span.rows), width)) for span in step.spans())


def shared_step(step: Step, link: Link, own: int, other: int) -> int:
    """Masked weights, link, masked residual, truncation. Section 6."""
    return 8 * other + truncation(own + other) + angles(step.rows) + residuals(step, link)


def undealt_matrices(rows: int, own_columns: int) -> int:
    """A nonce, the matrix under masks for each way, the ridge's, and samples that mask nothing, once a job. Section 20."""
    zeros = own_columns + blocks_of(own_columns) + blocks_of(rows)
    return NONCE_BYTES + own_columns * ((WIDE + WHOLE) * rows + WIDE * own_columns) + LONG * zeros


def undealt_step(step: Step, link: Link, own: int, other: int) -> int:
    """Two samples with the weights, link, a sample with the residual of each part, truncation. Section 20."""
    return (2 + len(step.bounds)) * LONG + angles(step.rows) + truncation(own + other)


def phased_matrices(rows: int, own_columns: int) -> int:
    """The same of rows that fill whole blocks on the way back, without the nonce. Section 21."""
    return undealt_matrices(rows, own_columns) + WHOLE * own_columns * (BLOCK * filled_blocks(rows) - rows) - NONCE_BYTES


def phased_step(step: Step, waves: int, party: Party) -> int:
    """Samples with weights and residual; for each span a key, phasors of every other block, replies to the others'."""
    keys = sum(span.count(party) > 0 for span in spans_of(step.high))
    mine, others = (sum(span.count(owner) for span in spans_of(step.high)) for owner in (party, party.other))
    return LONG * (3 + keys + others) + DEGREE * PHASOR_BYTES * waves * mine


def undealt_across(party: Party, own: int, other: int) -> int:
    """A sample for each column of the party with fewer, from it."""
    return LONG * own if sends_columns(party, own, other) else 0


def unaided(party: Party, model: Model, rows: int, own: int, other: int, *, made: bool = False) -> Cost:
    """All of a training that nobody deals for: as `unaided` and `quadratic` or `phased` say it. Section 21.

    made: whether both have a stock for it, whose choice is not counted.
    """
    steps = model.iterations
    if model.link == "fourier":
        return _phased(party, model, rows, own, other, made)
    columns = {party: own + (party is Party.BANK), party.other: other + (party is Party.GRID)}
    every = own + other
    crossed = crossings(columns)
    polynomials = polynomials_of(crossed + steps * every)

    def sent(whose: Party, others: int) -> int:
        mine = columns[whose]
        across = (mine + 1) * (WHOLE * rows + LONG) if masks_rows(whose, columns) else LONG * mine
        bits = 0 if made else _bits(whose, polynomials)
        hessian = LONG * blocks_of(every) + 8 * every * every
        step = LONG + -(-every // 8)
        once = 2 * NONCE_BYTES + -(-crossed // 8) + 3 * CHECK * (whose is Party.GRID) + unaided_end(model, others)
        return across + bits + hessian + steps * step + once

    return Cost(sent(party, other), sent(party.other, own))


def _bits(whose: Party, polynomials: int) -> int:
    return 8 * DEGREE * (polynomials + (whose is Party.GRID))


def _phased(party: Party, model: Model, rows: int, own: int, other: int, made: bool) -> Cost:
    every, steps = own + other, model.iterations
    polynomials = polynomials_of(steps * every)
    step = Step(0, 0, rows, 1.0, 0)

    def sent(whose: Party, mine: int, others: int) -> int:
        bits = 0 if made else _bits(whose, polynomials)
        link = drawn_step(rows) if made else phased_step(step, model.fourier().terms, whose)
        each = link + -(-every // 8)
        once = 2 * NONCE_BYTES + 2 * CHECK * (whose is Party.GRID) + unaided_end(model, others)
        return phased_matrices(rows, mine) + bits + steps * each + once

    return Cost(sent(party, own, other), sent(party.other, other, own))


def drawn_step(rows: int) -> int:
    """Samples with weights and residual, and half of an angle a row."""
    return 3 * LONG + 4 * rows


def made_ahead(party: Party, model: Model, rows: int, columns: dict[Party, int]) -> Cost:
    """What both send to make a stock. Section 21."""
    polynomials = polynomials_of(shifted(model, columns))

    def sent(whose: Party) -> int:
        found = NONCE_BYTES + _bits(whose, polynomials)
        for place in places(model, rows):
            waves, mine, others = place.shape[1], place.span.count(whose), place.span.count(whose.other)
            found += DEGREE * (12 * (mine > 0) + 8 * waves * mine + 12 * waves * others)
        return found

    return Cost(sent(party), sent(party.other))


def joint_matrix(grid: int, bank: int) -> tuple[int, int]:
    """Bytes sent for the matrix that takes the sides' correlation out, and dealt for it: the same at both. Section 6."""
    return 8 * sum(setup_openings(grid, bank)), 8 * sum(setup_dealt(grid, bank))


def cut_products(party: Party, columns: int) -> int:
    """Half of the products of the joint matrix's mask and top bits, dealt for a step that moves. Section 6."""
    return 8 * columns * len(range(party.index, columns, 2))


def owned_step(step: Step, link: Link, own: int, other: int) -> int:
    """Link and masked residual, then the share of the other's gradient: three messages. Section 6."""
    del own  # so that all steps are called alike
    return angles(step.rows) + residuals(step, link) + 8 * other


def reveal(own: int, other: int, bits: int = WEIGHT_SCALE) -> int:
    """The rounding of both blocks, unless `bits` keeps every bit, then the share of the other's weights. Section 7."""
    return (truncation(own + other) if bits < WEIGHT_SCALE else 0) + 8 * other


def dealt_step(step: Step, columns: int, link: Link, party: Party) -> int:
    """Half of the link's tables and one half of a truncation over all `columns`: what one shared step is dealt."""
    return dealt_link(step, link, party) + truncation(columns)


def dealt_owned_step(step: Step, other: int, link: Link, party: Party) -> int:
    """Half of the link's tables and a share of mask times mask for the other's gradient."""
    return dealt_link(step, link, party) + 8 * other


def descent(party: Party, work: Work) -> Cost:
    """Sharing the matrices, every step, and opening the weights; the seed is not in it."""
    if work.quadratic:
        return _quadratic(party, work)
    own, other, rows = work.columns[party], work.columns[party.other], work.rows
    shared = work.revealed_bits is not None
    step = undealt_step if work.undealt else shared_step if shared else owned_step
    width, dealt = matrix_width(work.steps, work.link), 0
    sides = [(work.columns[p], work.columns[p] - work.hidden(p)) for p in (party, party.other)]
    sent, received = (undealt_matrices(rows, m) if work.undealt else matrices(rows, m, width, ones) for m, ones in sides)
    both = own + other
    if work.undealt:
        sent += undealt_across(party, own, other)
        received += undealt_across(party.other, other, own)
    if work.joint:
        told, dealt = joint_matrix(work.columns[Party.GRID], work.columns[Party.BANK])
        sent, received = sent + told, received + told
    for s in work.steps:
        sent += step(s, work.link, own, other)
        received += step(s, work.link, other, own)
        if work.joint:
            sent, received = sent + truncation(both), received + truncation(both)
            dealt += truncation(both) + cut_products(party, both)
        if shared:
            dealt += dealt_step(s, own + other, work.link, party)
        else:
            dealt += dealt_owned_step(s, other, work.link, party)
    if shared:
        sent, received = sent + CHECK * (party is Party.GRID), received + CHECK * (party is Party.BANK)
    return Cost(sent, received, dealt) + _held(party, work)


def _held(party: Party, work: Work) -> Cost:
    """What becomes of the weights in the end: tags, or their opening."""
    own, other = work.columns[party], work.columns[party.other]
    if work.closed:
        return Cost(dealt=2 * TAG * other + MARK)
    if (bits := work.revealed_bits) is None:
        return Cost()
    return Cost(reveal(own, other, bits), reveal(other, own, bits), truncation(own + other) if bits < WEIGHT_SCALE else 0)


def _quadratic(party: Party, work: Work) -> Cost:
    """Numbers under masks once; two arrays a step of all weights, and two at the end. Section 6."""
    numbers, every = sums(work.columns), sum(work.columns.values())
    sizes = [work.columns[p] for p in Party]
    steps = len(work.steps) + 1  # the last is the check's
    both = 8 * sum(openings(*sizes)) + steps * 16 * every
    sent, received = (WIDTH * work.rows * numbers[p] + both + CHECK * (p is Party.GRID) for p in (party, party.other))
    return Cost(sent, received, 8 * sum(openings_dealt(*sizes)) + steps * truncation(every)) + _held(party, work)


def several(layout: Layout, model: Model, rows: int, *, speaks: bool) -> Cost:
    """The same at one of several banks, with `rows` training rows of its own. speaks: for all of them. Section 16."""
    own, every, link, every_step = layout.common + 1, layout.columns, model.make_link(), layout.steps(model, rows)
    width = matrix_width(every_step, link)
    both = sum(angles(step.rows) + residuals(step, link) for step in every_step)
    moving, pulled = len(every_step), sum(step.addends for step in every_step)
    line = matrices(rows, own, width) + moving * 8 * layout.grid + both
    heard = matrices(rows, layout.grid, width) + moving * 8 * own + both + CHECK
    sums, turns = 8 * (every + pulled * every), moving * truncation(every)  # masked addends: the start and each step; the hub's
    tables = sum(dealt_link(step, link, Party.BANK) for step in every_step)
    dealt = tables + 2 * TAG * layout.grid + MARK
    if model.joint:
        told, _ = joint_matrix(layout.grid, layout.bank)
        sums += 8 * layout.grid * layout.bank
        turns += told + moving * truncation(every)
        line, heard = line + speaks * 16 * layout.grid, heard + 16 * layout.bank  # shares before the first step
    return Cost(line + sums + speaks * turns, heard + turns, dealt)


def several_dealt(layout: Layout, model: Model, rows: Sequence[int]) -> int:
    """What the grid is dealt of it, of banks of so many training rows each: lines' tables and tags, sums, turns for all."""
    link, every, own = model.make_link(), layout.columns, layout.common + 1
    tables = (dealt_link(step, link, Party.GRID) for each in rows for step in layout.steps(model, each))
    course, cuts = layout.steps(model, rows[0]), 2 if model.joint else 1  # of each both parts
    lines, pulled = sum(tables) + len(rows) * (2 * TAG * own + MARK), sum(step.addends for step in course)
    dealt = lines + 8 * (every + pulled * every) + 2 * len(course) * cuts * truncation(every)
    if model.joint:
        dealt += 8 * (layout.grid * layout.bank + len(course) * every * every) + 2 * joint_matrix(layout.grid, layout.bank)[1]
    return dealt


def scoring(party: Party, rows: int, own: int, other: int) -> Cost:
    """Scores from shares: masked weights and their tag once, masked rows and the truncation a row, the grid's share of u."""
    sent, received = (SCORE_WIDTH * rows * a + TAG * (b + 1) + truncation(rows) for a, b in ((own, other), (other, own)))
    return Cost(sent, received, truncation(rows) + TAG + MARK) + parts(party, rows)


def undealt_scoring(party: Party, rows: int) -> Cost:
    """Marks once, a sample for each block of rows, the grid's share of u. Section 21."""
    both = 2 * MARK_BYTES + LONG * blocks_of(rows)
    return Cost(both, both) + parts(party, rows)


def unaided_end(model: Model, others: int) -> int:
    """What ends a training that nobody deals for: shares of the other's weights, in clear or in as many samples and one."""
    return LONG * (others + 1) if model.closed else 8 * others


def parts(party: Party, rows: int) -> Cost:
    """One word a row, from the grid: its share of the result, or its part of u by an opened model."""
    return Cost(scores(rows)) if party is Party.GRID else Cost(0, scores(rows))


def reasons(party: Party, rows: int, columns: int, groups: int, most: int) -> Cost:
    """The grid's reasons from shares, without their texts: groups' weights once, masked rows, values ranked. Section 18."""
    demand, cells = ReasonsDemand(rows, columns, groups), groups * columns
    grid = 8 * columns * (cells + rows) + truncation(cells) + most * rows
    bank = 8 * (columns + cells) + truncation(cells)
    both = sum(sent_bytes(groups, at.stop - at.start) for _, at in demand.blocks())
    dealt = truncation(cells) + 8 * sum(all_dealt(groups, at.stop - at.start, party) for _, at in demand.blocks())
    sent, received = (grid, bank) if party is Party.GRID else (bank, grid)
    return Cost(sent + both, received + both, dealt)


def reasons_rounds(rows: int, columns: int, groups: int) -> int:
    """How many messages one after another tell them."""
    return 4 + (2 + RANK_ROUNDS) * len(list(ReasonsDemand(rows, columns, groups).blocks()))
