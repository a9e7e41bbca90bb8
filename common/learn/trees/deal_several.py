"""What the dealer deals for boosted trees of several banks: of each line its rows, of all together the sums. Section 16."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from common.errors import PeerProtocolError
from common.learn.layout import LineDemand
from common.learn.trees.deal import Growing
from common.learn.trees.layout import TreesLayout, sum_number, sum_words
from common.mpc.narrow import MASK, Narrow
from common.mpc.several.dealer import Masks, Tagged, deal_sum, to_all
from common.plan.trees import Trees


def deal_trees_of_all(masks: Masks, asked: Sequence[LineDemand], section: Trees) -> Iterator[Tagged]:
    """All that the growing of these trees consumes. Raises PeerProtocolError for lines that do not fit, or no tree."""
    layout, first = TreesLayout.of(asked), asked[0].first
    if not 0 <= first < section.trees or first % section.abreast:
        raise PeerProtocolError("the parties ask for trees from one on that there is not, or that is not the first", got=first)
    hub = layout.hub(section)
    lines = [Growing(prg, layout.line(section, one.rows)) for prg, one in zip(masks.lines, asked, strict=True)]
    whole, depth = Growing(masks.hub, hub), hub.shape.depth
    for group in hub.groups(first):
        every = list[list[Narrow]]()
        for tree in group:
            lacking: list[Narrow] = []
            for k, line in enumerate(lines):
                dealt, lacks = line.of_rows(tree)
                yield [(k, *one) for one in dealt]
                lacking = [(a + b) & MASK for a, b in zip(lacking, lacks, strict=True)] if lacking else lacks
            every.append(lacking)
        for level in range(depth + 1):
            yield deal_sum(masks, sum_number(hub, group[0], level), len(group) * sum_words(hub, level))
            if not level:
                for tree, lacking in zip(group, every, strict=True):
                    yield to_all(len(lines), whole.of_sums(tree, lacking))
