"""The program of examples/online: when it asks again, and when it says that it does not."""

from __future__ import annotations

import runpy
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[3] / "examples/online/ask.py"


@pytest.mark.parametrize(("seconds", "waits"), [("300", []), ("30", [30.0] * 5), (None, [1.0] * 5)])
def test_it_waits_as_it_is_told_and_not_for_minutes(seconds: str | None, waits: list[float]) -> None:
    space: dict[str, Any] = runpy.run_path(str(PROGRAM))["ask"].__globals__
    waited = list[float]()

    def by_rest(_args: Namespace, _key: str) -> Any:
        raise space["Later"]("not now", seconds)

    space |= {"by_rest": by_rest, "time": SimpleNamespace(sleep=waited.append)}
    with pytest.raises(space["Later"], match="not now"):
        space["ask"](Namespace(grpc=False, again=None))
    assert waited == waits
