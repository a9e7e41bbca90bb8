"""What both parties tell each other of the stocks that they hold, where these are more than one list has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.errors import PolicyError
from common.mpc.session import Kind
from common.party import Party
from tests.common.stages.test_ahead import EXACT, ahead, deal, names
from tests.peers import Trio


async def test_of_more_stocks_than_a_list_has_none_is_spent_or_discarded_that_the_other_was_not_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two predealings at once pass the look at how many there are, and are through in another order at either party."""
    for job in ("predeal-1", "predeal-2"):
        await deal(tmp_path, EXACT, job)
    for party, oldest in ((Party.GRID, "predeal-1"), (Party.BANK, "predeal-2")):
        (file,) = (tmp_path / party.value / "stock").glob(f"{oldest}*")
        os.utime(file, (file.stat().st_mtime - 7200.0,) * 2)
    monkeypatch.setattr("common.stages.ahead.MOST", 1)
    trio = Trio()
    with pytest.raises(PolicyError, match="there is none"):
        await ahead(tmp_path, trio)
    assert all(sorted(held) == ["predeal-1", "predeal-2"] for held in names(tmp_path).values())
    assert all(trio.session[party].traffic.sent.keys() == {Kind.STOCK} for party in Party)
