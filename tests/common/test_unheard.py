"""Work that fails: who awaits it hears of it, and the log does where nobody does any more, unless it is `unheard`."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from common.errors import PeerLost
from common.mpc.beside import ending, one_ahead
from common.unheard import unheard


async def fails() -> None:
    raise PeerLost("the connection broke")


@pytest.fixture
async def said() -> list[dict[str, Any]]:
    """What the loop says that nobody looked at."""
    found = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    return found


async def through() -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()


@pytest.mark.parametrize("silent", [True, False])
async def test_what_fails_while_nobody_awaits_it_is_said_unless_that_may_be(said: list[dict[str, Any]], silent: bool) -> None:
    begun = asyncio.ensure_future(fails())
    if silent:
        assert unheard(begun) is begun
    del begun
    await through()
    assert [type(one["exception"]) for one in said] == ([] if silent else [PeerLost])


async def test_who_awaits_it_hears_of_it(said: list[dict[str, Any]]) -> None:
    with pytest.raises(PeerLost, match="the connection broke"):
        await unheard(asyncio.ensure_future(fails()))
    await through()
    assert said == []


async def test_what_was_begun_and_had_failed_when_it_was_not_wanted_any_more_fails_in_silence(
    said: list[dict[str, Any]],
) -> None:
    """One that is made beside other work, and the one after that which was taken last."""
    with ending([asyncio.ensure_future(fails())]):
        await through()
    async with one_ahead(iter([asyncio.ensure_future(fails())])):
        await through()
    await through()
    assert said == []
