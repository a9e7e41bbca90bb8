"""No branch, loop bound or index of the lattice code depends on what is drawn or sent: section 20 says so, this reads the code.

What decides is listed here by name: sizes and counters. Whoever adds to it says that the new name is public.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.mpc import lattice

SOURCES = sorted(Path(lattice.__path__[0]).glob("*.py"))
PUBLIC = {
    *("DEGREE", "HALF", "ADDED", "NUMBER", "SHORT", "WIDE", "_AT_ONCE", "AT_ONCE", "PLACES", "_POLYNOMIALS"),  # parameters
    *("POLYNOMIALS", "SPAN_BLOCKS"),
    *("BLOCK", "LIMBS", "WORDS", "_KEPT", "k"),
    *("count", "rows", "low", "first", "part", "place", "step", "sizes", "size", "i", "j", "number"),
    *("range", "enumerate", "zip", "len", "min", "slice", "blocks_of", "self", "party", "Party", "nonces"),
    *("session", "bank", "total", "column", "columns", "blocks", "owner", "places", "factors"),
    *("again", "dither"),  # whether there is one
}
LISTS = {
    "left",
    "right",
    "parts",
    "vectors",
    "limbs",
    "turns",
    "phasors",
    "reply",
    "waves",
    "angles",
    "replies",
}  # whose length is public: gone through from end to end
SHAPES = {
    "shape",
    "stop",
    "_pending",
    "_added",
    "_blocks",
    "_count",
    "party",
    "GRID",
    "BANK",
    "coefficients",
    "odd",
    "_sizes",
    "blocks",
    "given",
}  # attributes of what stands above, and whether there is anything
FUNCTIONS = {
    *(
        "arange",
        "array",
        "asarray",
        "bitwise_count",
        "broadcast_to",
        "concatenate",
        "conj",
        "einsum",
        "empty",
        "empty_like",
        "exp",
        "fft",
        "negative",
        "pi",
        "prod",
    ),
    *("packbits", "rint", "stack", "unpackbits", "zeros", "int64", "uint8", "uint64", "float64", "complex128"),
    *("uint32", "asarray", "floor", "log2", "right_shift"),
}
"""Of numpy: all of these do the same whatever the values are."""


def decided(tree: ast.AST) -> Iterator[tuple[ast.expr, set[str]]]:
    """Expressions that decide what is done, or where, with names that may stand there: of conditions, loops and subscripts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            yield node.test, PUBLIC
        elif isinstance(node, ast.For):
            yield node.iter, PUBLIC | LISTS
        elif isinstance(node, ast.comprehension):
            yield node.iter, PUBLIC | LISTS
            yield from ((condition, PUBLIC) for condition in node.ifs)
        elif isinstance(node, ast.BoolOp):
            yield from ((value, PUBLIC) for value in node.values)
        elif isinstance(node, ast.Subscript):
            yield node.slice, PUBLIC | {"vectors"}


def values(expression: ast.expr) -> Iterator[ast.AST]:
    """What an expression is made of; of a word's limbs the number is the same for each, so what word it is decides nothing."""
    yield expression
    within = [expression.func] if isinstance(expression, ast.Call) and ast.unparse(expression.func) == "limbs" else None
    for node in ast.iter_child_nodes(expression) if within is None else within:
        yield from values(node)  # type: ignore[arg-type]


def undeclared(text: str) -> set[str]:
    """What decides without being listed; numpy's functions that are not listed."""
    tree = ast.parse(text)
    for node in ast.walk(tree):  # types are no indices
        for field in ("annotation", "returns"):
            if hasattr(node, field):
                setattr(node, field, None)
    types = {"Words", "Integers", "Spectrum", "Reals", "np", "int", "bytes"}
    found = set[str]()
    for expression, may in decided(tree):
        for node in values(expression):
            if isinstance(node, ast.Name) and node.id not in may | types:
                found.add(node.id)
            if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "np"):
                found |= {node.attr} - SHAPES - {"_limbs", "_secrets"}
    used = (n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "np")
    return found | {f"np.{node.attr}" for node in used} - {f"np.{name}" for name in FUNCTIONS}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_nothing_but_sizes_decides(source: Path) -> None:
    assert undeclared(source.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("if secret[0] > 0:\n    pass", {"secret"}),
        ("x = table[once]", {"once"}),
        ("y = [a for a in b if a]", {"a", "b"}),
        ("z = np.where(v, 1, 0)", {"np.where"}),
        ("while word and low:\n    pass", {"word"}),
    ],
)
def test_the_reading_finds_what_depends_on_values(text: str, told: set[str]) -> None:
    assert undeclared(text) == told
