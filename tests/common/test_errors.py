"""The error tree: each error's two texts, and that the one which crosses the network never holds the other."""

from __future__ import annotations

import inspect
import re

import pytest

from common import errors
from common.errors import DataError, PeerFailed, PlanError, WattScoreError
from common.wire.status import to_fault


def tree(root: type[WattScoreError] = WattScoreError) -> list[type[WattScoreError]]:
    """`root` and the classes below it, as drawn; `tests/test_imports.py` checks that no other module adds to them."""
    below = [kind for child in root.__subclasses__() for kind in tree(child)]
    return [root] + [kind for kind in below if not kind.__module__.startswith("tests.")]


def make(kind: type[WattScoreError], message: str) -> WattScoreError:
    return DataError(message, public=message) if issubclass(kind, DataError) else kind(message)


def test_the_tree_drawn_in_the_module_is_the_one_that_exists() -> None:
    drawn = re.findall(r"[├└]── (\w+)", inspect.getdoc(errors) or "")
    ours = [kind.__name__ for kind in tree()]
    assert drawn == ours[1:]
    assert len(set(ours)) == len(ours)


@pytest.mark.parametrize("kind", tree())
def test_every_error_is_made_alike_and_says_what_it_was_told(kind: type[WattScoreError]) -> None:
    error = make(kind, "it broke")
    assert isinstance(error, WattScoreError)
    assert (str(error), error.public, error.remedy, error.origin) == ("it broke", "it broke", "", "")


def test_the_text_names_round_expected_and_got_and_ends_with_the_remedy() -> None:
    error = PeerFailed("It broke.", remedy="Mend it.", expected=3, got=4, round="split/2", job="j")
    assert str(error) == "It broke (in round split/2; expected 3, got 4). Mend it."
    assert error.public == "It broke (in round split/2; expected 3, got 4)"
    assert str(PeerFailed("It broke", got=0)) == "It broke (got 0)"
    assert str(PeerFailed("It broke", expected="at most 3 jobs")) == "It broke (expected at most 3 jobs)"
    assert str(PeerFailed("It broke", round=0)) == "It broke (in round 0)"
    assert str(PeerFailed("It broke.", remedy="Mend it.")) == "It broke. Mend it."
    assert (error.round, error.expected, error.got, error.job) == ("split/2", 3, 4, "j")


def test_the_private_text_stays_out_of_the_public_one() -> None:
    error = DataError("row 17 of loans.csv: income 12345.67 is negative", public="a value is out of range", remedy="Mend it.")
    assert "12345.67" in str(error)
    assert error.public == "a value is out of range"
    with_context = PeerFailed("private", public="public", expected="private", got="private", round="private")
    assert with_context.public == "public"


def test_what_helps_on_this_side_only_stays_here() -> None:
    error = PlanError("no such dataset", remedy="Ask its owner.", local="It has: secret_one.")
    assert str(error) == "no such dataset. Ask its owner. It has: secret_one."
    assert str(PlanError("no such dataset", local="It has: secret_one.")) == "no such dataset. It has: secret_one."
    fault = to_fault(error, "grid")
    assert (error.public, fault.message, fault.remedy) == ("no such dataset", "no such dataset", "Ask its owner.")
    assert b"secret_one" not in fault.SerializeToString()


def test_a_data_error_cannot_be_made_without_a_public_text() -> None:
    with pytest.raises(TypeError, match="public"):
        DataError("income 12345.67 is negative")  # type: ignore[call-arg]
