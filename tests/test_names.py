"""What the tests name of the project is there: modules, what they import of them, and what they put in its place.

Read from the source, in seconds and without running anything, so that `make check` knows of a rename: type checking leaves the
tests out, and to collect them takes four times as long and sees neither an import within a test nor a name in a string.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.source import ROOT, parse

PACKAGES = ("common", "grid_party", "bank_party", "wattscore", "tests")
PATCHES = {"setattr", "delattr", "patch"}  # called with the whole path of a name


@cache
def home(module: str) -> Path | None:
    """Where a module's source is; None: there is no such module."""
    path = ROOT.joinpath(*module.split("."))
    if path.is_dir():
        return path / "__init__.py" if (path / "__init__.py").is_file() else path
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else None


@cache
def names(module: str) -> frozenset[str] | None:
    """What its top level binds; None: not to be told from its source."""
    path = home(module)
    if path is None or path.is_dir() or path.stem.endswith(("_pb2", "_pb2_grpc")):
        return None if path is None or path.is_file() else frozenset()
    found = frozenset(bound(parse(path).body))
    return None if found & {"__getattr__", "*"} else found


def bound(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import() | ast.ImportFrom():
                yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
            case _:
                yield from (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
                for block in ("body", "orelse", "finalbody"):
                    yield from bound([n for n in getattr(node, block, ()) if isinstance(n, ast.stmt)])
                for handler in getattr(node, "handlers", ()):
                    yield from bound(handler.body)


def of_project(path: str) -> bool:
    return path.split(".")[0] in PACKAGES


def missing(path: str) -> bool:
    """Whether `path`, a module or one of its names, is not there; what follows a name is its owner's."""
    parts = path.split(".")
    known = max(n for n in range(len(parts) + 1) if n == 0 or home(".".join(parts[:n])) is not None)
    there = names(".".join(parts[:known])) if known else frozenset()
    return known < len(parts) and there is not None and parts[known] not in there and not parts[known].startswith("__")


def named(code: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and path of all that a module names of the project."""
    modules: dict[str, str] = {}
    bound_again: set[str] = set()  # a name that is a module here and something else there is left alone
    attributes: list[tuple[int, str, str]] = []
    for node in ast.walk(code):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield node.lineno, alias.name
                    modules[alias.asname or alias.name] = alias.name
            case ast.ImportFrom(module=str(module)):
                for alias in node.names:
                    yield node.lineno, f"{module}.{alias.name}"
                    modules[alias.asname or alias.name] = f"{module}.{alias.name}"
            case ast.Call(func=ast.Attribute(attr=attr), args=[ast.Constant(value=str(path)), *_]) if attr in PATCHES:
                yield node.lineno, path
            case ast.Name(ctx=ast.Store()):
                bound_again.add(node.id)
            case ast.arg():
                bound_again.add(node.arg)
            case ast.Attribute(value=ast.Name(id=owner), ctx=ast.Load()):
                attributes.append((node.lineno, owner, node.attr))
    for line, owner, attr in attributes:
        path = modules.get(owner, "")
        if owner not in bound_again and of_project(path) and home(path) is not None:
            yield line, f"{path}.{attr}"


def stale(code: ast.Module) -> list[tuple[int, str]]:
    return [(line, path) for line, path in named(code) if of_project(path) and missing(path)]


def test_what_tests_name_is_there() -> None:
    found = {str(path.relative_to(ROOT)): stale(parse(path)) for path in sorted((ROOT / "tests").rglob("*.py"))}
    assert len(found) > 500 and {path: gone for path, gone in found.items() if gone} == {}


def test_a_name_that_is_gone_is_found_wherever_it_stands() -> None:
    code = ast.parse(
        "from common.party import Party, Seat\n"  # a name
        "from common.gone import one\n"  # a module
        "from common.mpc import prg\n"
        "def test(monkeypatch):\n"
        "    from common.errors import Never\n"  # within a test
        "    monkeypatch.setattr('common.mpc.prg.Prg.words', prg.Prg)\n"
        "    monkeypatch.setattr('common.mpc.prg.Rng.words', prg.Purpose)\n"  # in a string
        "    return prg.fresh\n"  # of a module
        "from wattscore import Client\n"  # which is imported when it is asked for
    )
    gone = ["common.party.Seat", "common.gone.one", "common.errors.Never", "common.mpc.prg.Rng.words", "common.mpc.prg.fresh"]
    assert sorted(stale(code)) == sorted(zip((1, 2, 5, 7, 8), gone, strict=True))
