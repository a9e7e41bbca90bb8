"""One word of one message of a training without a dealer, or with half of one, changed, of each kind, by each who sends it.

PROTOCOL.md sections 20 and 21 have the tables, of the Fourier link, which this holds to what happens.
`WATTSCORE_CHANGED_WORDS=N` changes N words of each kind.
"""

from __future__ import annotations

import numpy as np
import pytest

from common.errors import PeerProtocolError
from common.mpc.fixedpoint import Reals
from common.party import Party
from common.plan.linear import Model
from tests.common.learn.linear.test_unaided import trained
from tests.common.learn.linear.test_undealt import HALF
from tests.common.learn.linear.test_undealt import trained as half_dealt
from tests.common.mpc.problems import make_problem
from tests.common.stages.test_changed_words import (
    FOUND,
    NOISE_ONLY,
    NOT_FOUND,
    WARNED,
    Change,
    check_table,
    drawn,
    install,
    lines,
)
from tests.peers import Trio

NONE_TITLE, HALF_TITLE = "A changed word without a dealer", "A changed word with half a dealer"
SPOILT, ANEW = 0.5, 3  # of a whitened weight: twice what combinations of the last step pass; all may be near zero by chance
STEPS = 10  # after which such a training has arrived
PROBLEM, MODEL = make_problem(4500, 4, 3), Model(dealer="none", reveal="owners", weight_bits=14, iterations=STEPS)


def table(title: str) -> dict[str, set[str]]:
    """What is said to come of a changed word, by who sends it and kind."""
    return {f"{row[0]} train {row[1].strip('`')}": set(row[2].split(", ")) for row in lines(title)}


async def run(change: Change, title: str = NONE_TITLE) -> tuple[Reals, bool]:
    """All whitened weights, and whether the bank found the training as it should be."""
    trio = install(Trio(), change, lambda _: "train")
    if title == NONE_TITLE:
        found, _ = await trained(PROBLEM, MODEL, trio=trio)
    else:
        found, _ = await half_dealt(PROBLEM, Model(weight_bits=14, iterations=STEPS, **HALF), trio=trio)
    return found, trio.session[Party.BANK].settled


async def came(change: Change, right: Reals, title: str = NONE_TITLE) -> str:
    try:
        weights, settled = await run(change, title)
    except PeerProtocolError:
        return FOUND
    finally:
        assert change.done, change.place
    if np.abs(weights - right).max() < SPOILT:
        return NOISE_ONLY
    return NOT_FOUND if settled else WARNED


@pytest.mark.parametrize("title", [NONE_TITLE, HALF_TITLE])
async def test_a_changed_word_comes_to_what_the_table_says(title: str) -> None:
    seen, found = Change(), list[tuple[str, Change, str]]()
    right, settled = await run(seen, title)
    assert settled and {" ".join(place) for place in seen.seen} == table(title).keys()
    for change in drawn(seen.seen):
        for _ in range(ANEW):
            one = change.anew()
            if (said := await came(one, right, title)) != NOT_FOUND:
                break
        assert one.place is not None
        found.append((" ".join(one.place), one, said))
    check_table(found, table(title))


@pytest.mark.parametrize("who", ["grid", "bank"])
async def test_a_carry_that_is_wrong_in_any_step_is_found_out(who: str) -> None:
    """A last shift that is, too, and one that moves a weight so far that u says nothing any more and it stays there."""
    right, _ = await run(Change())
    rng = np.random.default_rng(["grid", "bank"].index(who))
    for number in (0, 7, MODEL.iterations - 2, MODEL.iterations - 1):
        change = Change((who, "train", "lattice_carries"), number, 0.0, float(rng.integers(1, 8)) / 8)
        assert await came(change, right) == FOUND, number
