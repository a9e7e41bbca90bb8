"""No branch, loop bound or index of the lattice code depends on what is drawn or sent: section 20 says so, this reads the code.

Likewise of the trainings and scores that use it. What decides is listed here by name: sizes and counters. Whoever adds to it
says that the new name is public.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import common
from common.mpc import lattice

SOURCES = sorted(Path(lattice.__path__[0]).glob("*.py"))
SESSION = {"MATRIX_BLOCK", "at", "slice", "settled"}
USERS: dict[str, set[str]] = {
    "learn/linear/undealt.py": {
        *("COLUMNS_AT_ONCE", "own", "other", "most", "sends", "span", "sample", "taken", "addends", "pieces"),
        "part",
        *("filled", "ridge_bits", "VECTOR_BITS"),
        *("np.frombuffer", "np.zeros_like", "np.ascontiguousarray", "np.asfortranarray"),
    },
    "learn/linear/phased.py": {"span", "turn", "filled", "high", "count"},
    "learn/linear/quadratic.py": {
        *("COLUMNS_AT_ONCE", "_CACHE_ROWS", "masks_rows", "masker", "own", "other", "grid", "lows"),
        *("by_bank", "rows"),
        "like",  # what the bank heard of sums, which ends the job or does not
        "np.where",  # by signs that both parties know
        *("np.vstack", "np.ascontiguousarray", "np.asfortranarray"),
    },
    "learn/linear/made.py": {
        *("model", "link", "every", "steps", "spans", "span", "turn", "p", "_places", "_left", "_within"),
        *("made_arrays", "count"),
    },
    "learn/linear/unaided.py": {
        *("model", "closed", "steps", "quadratic", "np.frombuffer"),
        *("path", "rest"),  # what the bank heard of movements
        *("REACH", "found", "max", "np.abs"),  # weights that are told: one beyond this ends the job
    },
    "learn/linear/score_undealt.py": {
        *("table", "rows", "kept", "which"),  # which rows the bank asks for, and is told
        *("heard", "mine", "tobytes", "half"),  # marks of what either has sent
        *("np.frombuffer", "np.searchsorted"),
    },
    "learn/dither.py": set(),
    "mpc/short.py": {"ndim", "data", "width", "WIDTHS", "LEAST", "_FEW", "_BLOCK", "short", "rows", "np.ascontiguousarray"},
}
"""What uses it, and the names that decide there besides."""
PUBLIC = {
    *("DEGREE", "HALF", "ADDED", "NUMBER_DIGITS", "WIDE", "_AT_ONCE", "AT_ONCE", "PLACES", "_POLYNOMIALS"),
    "_ROWS",  # parameters
    *("POLYNOMIALS", "SPAN_BLOCKS"),
    *("BLOCK", "LIMBS", "CUT_LIMBS", "DIGITS", "WORDS", "_KEPT", "_HALVED", "k"),
    *("count", "rows", "low", "first", "part", "at", "block", "place", "step", "sizes", "size", "i", "j", "number"),
    *("range", "enumerate", "zip", "len", "min", "slice", "blocks_of", "self", "party", "Party", "nonces"),
    *("session", "bank", "total", "column", "columns", "blocks", "owner", "places", "factors"),
    *("again", "dither"),  # whether there is one
}
LENGTHS = {"limbs", "word_limbs", "len"}
"""Functions whose results are as long whatever the values are."""
LISTS = {
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
        "fft",
        "full",
        "negative",
        "pi",
        "prod",
    ),
    *("packbits", "rint", "stack", "unpackbits", "zeros", "int64", "uint8", "uint64", "float64", "complex128"),
    *("uint32", "asarray", "floor", "log2", "left_shift", "right_shift"),  # log2: of scales
}
"""Of numpy: all of these do the same whatever the values are."""
CONSTANTS = {"exp"}
"""And those that look up tables by their argument: for constants alone, of a module."""


def decided(tree: ast.AST) -> Iterator[tuple[ast.expr, set[str]]]:
    """Expressions that decide what is done, or where, with names that may stand there: of conditions, loops and subscripts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            yield node.test, PUBLIC
        elif isinstance(node, ast.For):
            yield node.iter, PUBLIC | LISTS | LENGTHS
        elif isinstance(node, ast.comprehension):
            yield node.iter, PUBLIC | LISTS | LENGTHS
            yield from ((condition, PUBLIC) for condition in node.ifs)
        elif isinstance(node, ast.BoolOp):
            yield from ((value, PUBLIC) for value in node.values)
        elif isinstance(node, ast.Subscript):
            yield node.slice, PUBLIC | {"vectors"}


def values(expression: ast.AST) -> Iterator[ast.AST]:
    """What of an expression may depend on values: not how long or of which shape an array is, nor whether there is one.

    Of a word's limbs the number is the same for each, so what word it is decides nothing.
    """
    if isinstance(expression, ast.Attribute) and expression.attr in {"shape", "size", "start", "stop"}:
        return
    if isinstance(expression, ast.Compare) and all(isinstance(op, ast.Is | ast.IsNot) for op in expression.ops):
        return
    yield expression
    within = [expression.func] if isinstance(expression, ast.Call) and ast.unparse(expression.func) in LENGTHS else None
    for node in ast.iter_child_nodes(expression) if within is None else within:
        yield from values(node)


def undeclared(text: str) -> set[str]:
    """What decides without being listed; numpy's functions that are not listed."""
    tree = ast.parse(text)
    for node in ast.walk(tree):  # types are no indices
        for field in ("annotation", "returns"):
            if hasattr(node, field):
                setattr(node, field, None)
    types = {"Words", "Integers", "Spectrum", "Reals", "Array", "Any", "Rows", "Span", "OwnPhasors", "_Span"}
    types |= {"np", "int", "bytes", "str", "tuple"}
    found = set[str]()
    for expression, may in decided(tree):
        for node in values(expression):
            if isinstance(node, ast.Name) and node.id not in may | types:
                found.add(node.id)
            if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "np"):
                found |= {node.attr} - SHAPES - {"_limbs", "_secrets"}
    for part in tree.body:
        may = FUNCTIONS | (CONSTANTS if isinstance(part, ast.Assign | ast.AnnAssign) else set())
        used = (n for n in ast.walk(part) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "np")
        found |= {f"np.{node.attr}" for node in used if node.attr not in may}
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_nothing_but_sizes_decides(source: Path) -> None:
    assert undeclared(source.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("source", USERS)
def test_nor_does_anything_else_where_it_is_used(source: str) -> None:
    text = (Path(common.__path__[0]) / source).read_text(encoding="utf-8")
    assert undeclared(text) - SESSION == USERS[source]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("if secret[0] > 0:\n    pass", {"secret"}),
        ("x = table[once]", {"once"}),
        ("y = [a for a in b if a]", {"a", "b"}),
        ("z = np.where(v, 1, 0)", {"np.where"}),
        ("def f(v):\n    return np.exp(v)", {"np.exp"}),
        ("A = np.exp(2j * np.pi / 8)", set()),
        ("if len(secret) > secret.size or secret is None:\n    pass", set()),
        ("if secret.view(np.int64) > 0:\n    pass", {"secret", "view"}),
        ("while word and low:\n    pass", {"word"}),
    ],
)
def test_the_reading_finds_what_depends_on_values(text: str, told: set[str]) -> None:
    assert undeclared(text) == told
