"""What a network costs in bytes: the formulas of protos/PROTOCOL.md section 15, payload of arrays only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from common.learn.network import activations
from common.learn.network.deal import NetworkDemand, NetworkScoreDemand, training_arrays, unit_arrays
from common.learn.network.deal_reasons import NetworkReasonsDemand
from common.learn.network.layout import NetworkLayout
from common.learn.network.steps import LOSS, count_steps, first_compared, fit_rows, make_spans, make_steps
from common.learn.span import Span
from common.mpc.arrived import COMBINATIONS
from common.mpc.compare.masks import dealt_words
from common.mpc.correlations.dealt import dealt_tables
from common.mpc.cost import Cost, link_round, scores, truncation
from common.mpc.ranks.find import ROUNDS as RANK_ROUNDS
from common.mpc.ranks.masks import all_dealt, sent_bytes
from common.party import Party
from common.plan.network import Network

_COMPARED = 8 + 7 + 1  # bytes each way of a comparison: the masked difference, its sign, and what hides that


def training(party: Party, section: Network, demand: NetworkDemand) -> Cost:
    """Sharing the rows, every step, and the check at the end; the seed is not in it."""
    columns = {Party.GRID: demand.grid_columns, Party.BANK: demand.bank_columns}
    sent, received = (8 * demand.rows * columns[p] for p in (party, party.other))
    weights = sum(columns.values()) * section.hidden + section.hidden + 1
    for step in make_steps(section, demand.rows):
        # units, link, residual, what is pulled back; then the cut and the truncation
        units = sum(activations.sent(section.activation, section.hidden * span.rows) for span in step.spans(section.hidden))
        both = units + 8 * section.hidden * step.rows + link_round(step.rows) + 8 * step.rows + 2 * truncation(weights)
        sent += both + 8 * section.hidden * (columns[party.other] + 1)
        received += both + 8 * section.hidden * (columns[party] + 1)
    if section.early_stop is not None:
        first = first_compared(section, demand.rows)
        for epoch in range(first, section.epochs):  # at most
            both = _loss(section, demand.rows, compared=epoch > first)
            sent += both + 8 * section.hidden * (columns[party.other] + 1)
            received += both + 8 * section.hidden * (columns[party] + 1)
    check = 8 * COMBINATIONS
    sent, received = sent + check * (party is Party.GRID), received + check * (party is Party.BANK)
    return Cost(sent, received, sum(8 * math.prod(shape) for _, shape in training_arrays(party, section, demand)))


def several(layout: NetworkLayout, section: Network, rows: int, *, speaks: bool) -> Cost:
    """The same at one of several banks, with `rows` training rows of its own. speaks: for all of them. Section 16."""
    units, weights = section.hidden, layout.count(section.hidden)
    sent, heard, dealt = 8 * (rows * layout.own + layout.banks), 8 * rows * layout.grid, 0  # the start is a sum
    for step in layout.steps(section, rows):
        spans = step.spans(units)
        looked_up = sum(activations.sent(section.activation, units * span.rows) for span in spans)
        both = looked_up + 8 * units * step.rows + link_round(step.rows) + 8 * step.rows
        turned = 8 * units + 2 * truncation(weights)  # between the grid and all banks
        sent += both + 8 * units * layout.grid + 8 * weights + speaks * turned
        heard += both + 8 * units * layout.own + turned
        dealt += _tables(section, Party.BANK, spans, trained=True)
    for spans, compared in _losses(layout, section, rows):
        held = sum(span.rows for span in spans)
        looked_up = sum(activations.sent(section.activation, units * span.rows) for span in spans)
        both, turned = looked_up + link_round(held) + 8 * held, 8 * units + _COMPARED * compared
        sent += both + 8 * units * layout.grid + 8 + speaks * turned  # a sum
        heard += both + 8 * units * layout.own + turned
        dealt += _tables(section, Party.BANK, spans, trained=False)
    return Cost(sent, heard + 8 * COMBINATIONS, dealt)


def several_dealt(layout: NetworkLayout, section: Network, rows: Sequence[int]) -> int:
    """What the grid is dealt of it, of banks of so many training rows each: each line's tables, sums, and the turns for all."""
    units, weights = section.hidden, layout.count(section.hidden)
    block, dealt = (layout.grid + layout.own) * units, 8 * layout.banks
    for own in rows:
        dealt += sum(_tables(section, Party.GRID, step.spans(units), trained=True) for step in layout.steps(section, own))
        dealt += sum(8 + _tables(section, Party.GRID, spans, trained=False) for spans, _ in _losses(layout, section, own))
    for _, compared in _losses(layout, section, rows[0]):
        dealt += 8 + 8 * dealt_words(1, Party.GRID) * compared
    each = 8 * weights + 2 * 2 * truncation(weights) + 2 * 8 * block  # a sum; both parts of each truncation, and of the cut
    return dealt + each * count_steps(section, layout.total)


def _tables(section: Network, party: Party, spans: Sequence[Span], *, trained: bool) -> int:
    """What a party is dealt of these rows for units and link."""
    found, tables = 0, len(dealt_tables(section.link, party))
    for span in spans:
        arrays = unit_arrays(section.activation, party, span.number, span.rows * section.hidden, trained=trained)
        found += 8 * (sum(math.prod(shape) for _, shape in arrays) + tables * span.rows)
    return found


def _losses(layout: NetworkLayout, section: Network, rows: int) -> Iterator[tuple[list[Span], bool]]:
    """Of each epoch that is looked at, at most: the rows that a bank holds back, and whether the loss is compared."""
    if section.early_stop is None:
        return
    held, first = layout.held(section, rows), first_compared(section, layout.total)
    for epoch in range(first, section.epochs):
        yield make_spans(LOSS | epoch, held.start, held.stop, section.hidden), epoch > first


def _loss(section: Network, rows: int, *, compared: bool) -> int:
    """Of an epoch's loss, beside weights: units, link and residuals of the rows held back; then whether it gained."""
    low = fit_rows(section, rows)
    spans = make_spans(0, low, rows, section.hidden)
    units = sum(activations.sent(section.activation, section.hidden * span.rows) for span in spans)
    return units + link_round(rows - low) + 8 * (rows - low) + _COMPARED * compared


def scoring(party: Party, demand: NetworkScoreDemand) -> Cost:
    """Masked weights once; a row: its masked columns, the units, the truncation; the grid's share of the result."""
    columns = {Party.GRID: demand.grid_columns, Party.BANK: demand.bank_columns}
    rows, units = demand.rows, demand.units

    def sent(p: Party) -> int:
        looked_up = sum(activations.sent(demand.name, units * (at.stop - at.start)) for _, at in demand.blocks())
        return 8 * units * (columns[p.other] + 1) + 8 * rows * columns[p] + looked_up + truncation(rows)

    found = Cost(sent(party), sent(party.other), sum(8 * math.prod(shape) for _, shape in demand.arrays(party)))
    return found + (Cost(scores(rows)) if party is Party.GRID else Cost(0, scores(rows)))


def reasons(party: Party, demand: NetworkReasonsDemand, most: int) -> Cost:
    """The grid's reasons, without texts: masked weights once; rows and units of each version, values ranked. Section 18."""
    columns = {Party.GRID: demand.grid_columns, Party.BANK: demand.bank_columns}
    versions = {Party.GRID: demand.versions, Party.BANK: 1}
    counts = [at.stop - at.start for _, at in demand.blocks()]
    units = demand.units * demand.versions
    both = sum(activations.sent(demand.name, units * rows) + sent_bytes(demand.groups, rows) for rows in counts)

    def sent(p: Party) -> int:
        return 8 * demand.units * (columns[p.other] + 1) + 8 * demand.rows * versions[p] * columns[p] + both

    dealt = 0
    for rows in counts:
        dealt += sum(math.prod(shape) for _, shape in unit_arrays(demand.name, party, 0, units * rows, trained=False))
        dealt += all_dealt(demand.groups, rows, party)
    codes = most * demand.rows
    found = Cost(sent(party), sent(party.other), 8 * dealt)
    return found + (Cost(codes) if party is Party.GRID else Cost(0, codes))


def reasons_rounds(demand: NetworkReasonsDemand) -> int:
    """How many messages one after another tell them."""
    return 1 + (2 + activations.ROUNDS[demand.name] + RANK_ROUNDS) * len(list(demand.blocks()))
