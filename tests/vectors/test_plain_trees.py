"""The file of a tree against the second reading of PROTOCOL.md section 14, which shares no code with the first."""

from __future__ import annotations

import pytest

from tests.vectors.form import array, integers, load
from tests.vectors.plain import BANK, GRID
from tests.vectors.plain_grower import Growing
from tests.vectors.plain_trees import OTHER, By, Tree

FILE = load("trees.json")
CASE = FILE["cases"][0]


@pytest.fixture(scope="module")
def tree() -> Tree:
    seeds = {p: bytes.fromhex(text) for p, text in FILE["seeds"].items()}
    return Tree(CASE, seeds, {p: len(array(CASE["below"][p])) for p in OTHER})


def cut(tree: Tree) -> By:
    """What each party was dealt, by its parts, of the sizes that the second reading makes them."""
    found: By = {p: [] for p in OTHER}
    whole = {p: b"".join(array(message).tobytes() for message in CASE["dealt"][p]) for p in OTHER}
    for party, made in tree.dealt():
        size = -(-len(made) // 8) * 8
        found[party].append(whole[party][:size])
        whole[party] = whole[party][size:]
    assert not any(whole.values())
    return found


def test_what_is_dealt(tree: Tree) -> None:
    assert all([(message["kind"], message["number"]) for message in CASE["dealt"][p]] == [("dealt_trees", 0)] for p in OTHER)
    left = cut(tree)
    for party, made in tree.dealt():
        known = left[party].pop(0)
        assert known == made + bytes(len(known) - len(made))
    assert left == {GRID: [], BANK: []}


def test_what_is_sent_and_what_is_left_of_it(tree: Tree) -> None:
    below, label = {p: array(CASE["below"][p]).tolist() for p in OTHER}, integers(CASE["label"])
    growing = Growing(CASE, tree.seeds, tree, below, label, {p: iter(parts) for p, parts in cut(tree).items()})
    growing.grow()
    for p in OTHER:
        assert growing.sent[p] == [(message["kind"], array(message).tobytes()) for message in CASE["sent"][p]]
        assert growing.splits[p] == CASE["splits"][p]
        assert growing.leaves[p] == integers(CASE["leaves"][p])
    assert {p: sum(split >= 0 for split in CASE["splits"][p]) for p in OTHER} == {GRID: 1, BANK: 1}
