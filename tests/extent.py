"""How much of a thing the tests look at: in `make test` as much as finds what they guard against, with `--thorough` more of it.

A change is taken by `make coverage`, which has that option, and in which every test runs, at its full size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

LEFT = "with --thorough: "  # what the reason of a test that is left out begins with
_thorough = False


def set_thorough() -> None:
    """From now on `extent` is the larger one; to be called before tests are imported."""
    global _thorough
    _thorough = True


def extent(usual: int, full: int) -> int:
    """How many jobs, rows, seeds or cases: `full` with `--thorough`.

    usual: enough that the fault which the test is for is found, as the tests beside it show that put it there.
    """
    return full if _thorough else usual


def thorough(why: str) -> pytest.MarkDecorator:
    """The mark of tests, or cases, that run with `--thorough` alone. why: what runs always in their place."""
    return pytest.mark.skipif(not _thorough, reason=f"{LEFT}{why}")


def cases(usual: Iterable[Any], rest: Iterable[Any], why: str) -> list[Any]:
    """Values of a parameter: `usual` always, `rest` with `--thorough` alone. why: what runs always in the place of these."""
    return [*usual, *(pytest.param(value, marks=thorough(why)) for value in rest)]
