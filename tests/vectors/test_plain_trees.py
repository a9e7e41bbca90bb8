"""The file of a tree against the second reading of PROTOCOL.md section 14, which shares no code with the first."""

from __future__ import annotations

import numpy as np
import pytest

from tests.common.learn.trees.twin import in_order
from tests.vectors.form import array, integers, load
from tests.vectors.plain import BANK, GRID
from tests.vectors.plain_grower import Growing
from tests.vectors.plain_trees import OTHER, By, Tree

FILE = load("trees.json")
CASES = FILE["cases"]


@pytest.fixture(scope="module", params=CASES, ids=["as grown", "in order"])
def tree(request: pytest.FixtureRequest) -> Tree:
    seeds = {p: bytes.fromhex(text) for p, text in FILE["seeds"].items()}
    return Tree(request.param, seeds, {p: len(array(request.param["below"][p])) for p in OTHER})


def cut(tree: Tree) -> By:
    """What each party was dealt, by its parts, of the sizes that the second reading makes them."""
    found: By = {p: [] for p in OTHER}
    whole = {p: b"".join(array(message).tobytes() for message in tree.case["dealt"][p]) for p in OTHER}
    for party, made in tree.dealt():
        size = -(-len(made) // 8) * 8
        found[party].append(whole[party][:size])
        whole[party] = whole[party][size:]
    assert not any(whole.values())
    return found


def test_what_is_dealt(tree: Tree) -> None:
    for p in OTHER:
        assert [(message["kind"], message["number"]) for message in tree.case["dealt"][p]] == [("dealt_trees", 0)]
    left = cut(tree)
    for party, made in tree.dealt():
        known = left[party].pop(0)
        assert known == made + bytes(len(known) - len(made))
    assert left == {GRID: [], BANK: []}


def test_what_is_sent_and_what_is_left_of_it(tree: Tree) -> None:
    case = tree.case
    below, label = {p: array(case["below"][p]).tolist() for p in OTHER}, integers(case["label"])
    growing = Growing(case, tree.seeds, tree, below, label, {p: iter(parts) for p, parts in cut(tree).items()})
    growing.grow()
    for p in OTHER:
        assert growing.sent[p] == [(message["kind"], array(message).tobytes()) for message in case["sent"][p]]
        assert growing.splits[p] == case["splits"][p]
        assert growing.leaves[p] == integers(case["leaves"][p])
    assert {p: sum(split >= 0 for split in case["splits"][p]) for p in OTHER} == {GRID: 1, BANK: 1}


def test_leaves_in_order_are_others_and_go_with_what_was_declared() -> None:
    """The same splits; the bank's level is declared to go against what the rows say."""
    free, kept = (np.sum([array(case["leaves"][p]) for p in OTHER], 0, dtype=np.uint16).view(np.int16) for case in CASES)
    assert CASES[0]["splits"] == CASES[1]["splits"] and free.tolist() != kept.tolist()
    told = [max(CASES[1]["directions"][p][k] for p in OTHER if (k := CASES[1]["splits"][p][level]) >= 0) for level in range(2)]
    assert abs(kept - in_order(free.astype(np.int64), told)).max() <= 2
