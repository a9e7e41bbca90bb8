"""The public face: what it promises is there, is what the type checker sees, and costs nothing until it is used."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

import wattscore
from common import errors
from tests.source import ROOT, parse

OF_A_PARTY = {"LocalProtocolError", "PeerProtocolError"}  # both are a ProtocolError to a client


def test_every_name_it_promises_is_importable_and_in_order() -> None:
    for name in wattscore.__all__:
        assert getattr(wattscore, name) is not None
    assert sorted(wattscore.__all__) == wattscore.__all__ == dir(wattscore)


def test_the_type_checker_sees_the_same_names() -> None:
    (block,) = (node for node in parse(ROOT / "wattscore" / "__init__.py").body if isinstance(node, ast.If))
    seen = {a.name: str(n.module) for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert sorted(seen) == sorted(wattscore.__all__)
    for name, module in seen.items():
        assert getattr(sys.modules[module], name) is getattr(wattscore, name)


def test_every_error_that_can_reach_a_client_is_in_it() -> None:
    kinds = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, errors.WattScoreError)}
    assert kinds - OF_A_PARTY <= set(wattscore.__all__)


def test_another_name_is_none_of_it() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Trial'"):
        wattscore.Trial  # noqa: B018
    with pytest.raises(ImportError):
        from wattscore import PartySettings  # noqa: F401


def test_importing_it_loads_nothing_of_ours_and_no_library() -> None:
    code = "import sys; before = set(sys.modules); import wattscore; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if not name.startswith("_")}
    assert {name.partition(".")[0] for name in loaded} <= {"wattscore", *sys.stdlib_module_names}, loaded


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "wattscore", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"wattscore, version {wattscore.__version__}\n"
