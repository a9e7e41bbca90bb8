"""A network of several banks that ends early: as the pooled twin does, by one bit an epoch that all parties hear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from common.disclosure import Opened
from common.errors import PeerProtocolError, PolicyError
from common.learn.layout import LineDemand, LineEpochDemand
from common.learn.learner import Size
from common.learn.network import course, steps
from common.learn.network.banks import NetworkOfSeveral
from common.learn.network.cost import several, several_dealt
from common.learn.network.deal_several import deal_epoch_of_all, deal_network
from common.learn.network.layout import NetworkLayout
from common.learn.network.learner import NetworkLearner
from common.learn.network.scales import WEIGHT, Scales
from common.learn.network.several import train_several
from common.learn.network.steps import first_compared
from common.learn.network.train import Found
from common.mpc.fixedpoint import decode
from common.mpc.session import Kind, Session
from common.mpc.several.hub import Hub, LineCorrelations, training_sum
from common.party import Party
from common.plan.network import Network
from tests.banks import Banks, End, several_plan
from tests.common.learn.network.test_several import COMMON, GRID, Notes, World, ended
from tests.common.learn.network.twin import of_several_stopped
from tests.peers import ALL

ROWS = (330, 190, 240)
SECTION = Network(hidden=6, epochs=30, batch=56, step=1.0, decay=1e-4, early_stop=3)  # eleven steps an epoch
WORLD = World.made(ROWS, seed=3)
CLEAR = 2.0**-13  # of losses that all tell apart
STEPS = 11


def expected(section: Network = SECTION, world: World = WORLD) -> tuple[int, int]:
    """After how many epochs the twin ends, and which of them, from 1 on, it keeps. Its losses differ clearly."""
    losses = [loss for _, loss in of_several_stopped(section, world.grid, world.bank, world.label, world.rows)]
    best, waited = 1, 0
    for epoch in range(2, len(losses)):
        assert abs(losses[epoch] - losses[best]) > CLEAR
        best, waited = (epoch, 0) if losses[epoch] < losses[best] else (best, waited + 1)
        if waited == section.early_stop:
            return epoch, best
    return len(losses) - 1, best


async def test_it_ends_where_the_twin_does_with_the_weights_of_its_best_epoch() -> None:
    banks, (epochs, best) = Banks(3), expected()
    assert 4 < epochs < SECTION.epochs and best + 3 == epochs
    found = await ended(WORLD, SECTION, banks)
    assert [one.steps for one in found] == [STEPS * epochs] * 4
    weights = decode(found[0].weights.joined(Party.GRID) + found[1].weights.joined(Party.BANK), WEIGHT)
    twin = of_several_stopped(SECTION, WORLD.grid, WORLD.bank, WORLD.label, ROWS)
    assert np.abs(weights - twin[best][0]).max() < 0.05 < np.abs(twin[-1][0] - twin[best][0]).max()
    for one in found[2:]:
        assert np.array_equal(one.weights.joined(Party.BANK), found[1].weights.joined(Party.BANK))
    told = [[int(v[0]) for label, v in line[p].log if label.kind is Kind.EARLY_STOP] for line in banks.peer for p in Party]
    assert [len(bits) for bits in told] == [epochs - 1, epochs - 1, *[epochs - 1, 0] * 2]  # the first bank speaks for all
    assert told[0] == told[2] == told[4] != told[1]  # halves of what hides each sign, the same on all lines
    for k, line in enumerate(banks.session):
        for party in Party:
            seen = {way: all_.arrays for (value, _, way), all_ in line[party].openings.items() if value is Opened.EARLY_STOP}
            ways = ("in", "out") if not k else ("out",) if party is Party.GRID else ("in",)
            assert seen == dict.fromkeys(ways, epochs - 1)


@pytest.mark.parametrize("activation", ["sine", "relu"])
async def test_at_most_what_is_stated_is_sent_and_dealt(monkeypatch: pytest.MonkeyPatch, activation: Any) -> None:
    """Exactly, where no epoch ends it; rows held back in several spans."""
    monkeypatch.setattr(steps, "SPAN_CELLS", 150)
    section, banks = SECTION.model_copy(update={"epochs": 3, "early_stop": 9, "activation": activation}), Banks(3)
    await ended(WORLD, section, banks)
    for k, rows in enumerate(ROWS):
        stated = several(WORLD.layout, section, rows, speaks=k == 0)
        sent, heard = (sum(values.nbytes for _, values in banks.peer[k][party].log) for party in (Party.BANK, Party.GRID))
        assert (sent, heard) == (stated.peer_sent, stated.peer_received)
        dealt = [v for label, v in banks.at_dealer[k][Party.BANK].log if label.kind.value not in ("seed", "nonces")]
        assert sum(values.nbytes for values in dealt) == stated.dealt
    assert banks.dealt_to_grid() == several_dealt(WORLD.layout, section, ROWS)


async def test_rounds_are_those_stated() -> None:
    section, banks = SECTION.model_copy(update={"epochs": 3, "early_stop": 9}), Banks(3)
    await ended(WORLD, section, banks)
    rounds = NetworkLearner().rounds(section, Size(sum(ROWS), 1, 1)) + NetworkOfSeveral().more_rounds(section, WORLD.layout)
    assert banks.session[0][Party.BANK].traffic.rounds == rounds + 1  # rows are shared before


async def test_an_interrupted_one_ends_where_it_would_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "KEEP_CELLS", 1)
    first, (epochs, _) = [Notes() for _ in range(4)], expected()
    whole = await ended(WORLD, SECTION, notes=first)
    assert [[one.done for one in notes.kept] for notes in first] == [[*range(STEPS, STEPS * epochs, STEPS), STEPS * 30]] * 4
    banks = Banks(3, seed=1)
    again = await ended(WORLD, SECTION, banks, [Notes(notes.kept[epochs - 2]) for notes in first])
    assert [one.steps for one in again] == [one.steps for one in whole]
    for party, one, two in zip((Party.GRID, *[Party.BANK] * 3), again, whole, strict=True):  # what was kept of the best weights
        assert np.array_equal(one.weights.joined(party), two.weights.joined(party))
    assert [label.kind for label, _ in banks.peer[0][Party.BANK].log].count(Kind.EARLY_STOP) == 1
    through = await ended(WORLD, SECTION, Banks(3, seed=2), [Notes(notes.kept[-1]) for notes in first])
    assert [one.steps for one in through] == [STEPS * epochs] * 4


async def test_a_plan_that_does_not_list_it_opens_nothing() -> None:
    banks = Banks(3, allowed=ALL - {Opened.EARLY_STOP})
    with pytest.raises(PolicyError, match="early_stop"):
        await ended(WORLD, SECTION, banks)
    assert not any(label.kind is Kind.EARLY_STOP for line in banks.peer for p in Party for label, _ in line[p].log)
    with_it, without = (several_plan(3, model=SECTION.model_copy(update={"early_stop": k})) for k in (3, None))
    assert with_it.needs - without.needs == {Opened.EARLY_STOP}


async def test_a_bank_that_spoils_the_loss_turns_bits_and_no_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a bank adds to the loss can turn the bits, not the weights that were kept: all ends still hold the same shares."""
    original, place = LineCorrelations.sum_mask, training_sum(1 + (steps.LOSS | 1))

    def spoilt(self: LineCorrelations, number: int, count: int) -> Any:
        mask = original(self, number, count)
        return mask + np.uint64(1 << 50) if number == place and self._party is Party.BANK else mask

    monkeypatch.setattr(LineCorrelations, "sum_mask", spoilt)
    found = await ended(WORLD, SECTION.model_copy(update={"epochs": 2, "early_stop": 1}))
    shares = [one.weights.joined(Party.BANK) for one in found[1:]]
    assert all(np.array_equal(share, shares[0]) for share in shares) and {one.steps for one in found} == {2 * STEPS}


async def test_a_bank_that_is_told_another_bit_than_the_others_does_not_go_on_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    banks, last = Banks(3), expected()[0] - 2  # bits that the grid has told before

    async def bank(hub: Hub, end: End) -> Found:
        found = await train_several(hub, [WORLD.line(end)], WORLD.layout, SECTION, WORLD.start(end.number))
        await hub.compare()
        return found

    async def grid(hub: Hub, lines: list[End]) -> Found:
        found = await train_several(hub, [WORLD.line(line) for line in lines], WORLD.layout, SECTION, np.zeros(3))
        await hub.compare()
        return found

    post = Session.post

    async def another(self: Session, kind: Kind, mine: Any) -> None:
        lies = kind is Kind.EARLY_STOP and self is banks.session[2][Party.GRID] and self.traffic.sent.get(kind, 0) == last
        await post(self, kind, mine ^ np.uint8(1) if lies else mine)

    monkeypatch.setattr(Session, "post", another)
    with pytest.raises(PeerProtocolError):
        await banks.run(grid, bank, several_plan(3, model=SECTION))


def test_rows_held_back_are_in_no_step_and_no_mean_is_over_fewer_than_it_says() -> None:
    for rows in [(700, 431, 90), (330, 190, 240), (1000, 999), (90, 70, 61, 63, 90, 77, 80, 95)]:
        layout = NetworkLayout.over(GRID, COMMON, rows)
        every = [layout.steps(SECTION, own) for own in rows]
        for own, each in zip(rows, every, strict=True):
            held = layout.held(SECTION, own)
            assert (held.start, held.stop) == (own - own // 8, own) and max(step.high for step in each) == held.start
        assert all(sum(step.rows for step in at) <= at[0].averaged for at in zip(*every, strict=True))
        assert sum(own // 8 for own in rows) <= layout.averaged <= sum(rows) // 8 + len(rows)
        assert Scales.of_loss(layout.averaged, "sine").loss_bits <= 62
    with pytest.raises(PolicyError, match="12 training rows of a bank, of which 1 are held back to stop early, are fewer"):
        NetworkLayout.over(GRID, COMMON, (700, 431, 12)).steps(SECTION, 12)


def test_a_coalition_s_numbers_count_the_losses_of_the_rows_held_back() -> None:
    learner, whole = NetworkOfSeveral(), Network(hidden=1, batch=0, epochs=60, early_stop=5)
    layout = learner.layout(1, 1, (4000, 4000))
    fewest, numbers = learner.path(whole, layout, 4000)
    assert fewest == 3500 and numbers == max(60 * 6, -(-60 * 3500 // 500))


def test_each_bank_pays_for_its_own_rows_held_back() -> None:
    for rows in ROWS:
        held = rows // 8
        assert NetworkLearner().label_bits(SECTION, Size(rows, GRID, COMMON + 1)) / rows >= SECTION.epochs / held


def test_epochs_that_there_are_not_are_not_dealt() -> None:
    plan, asked = several_plan(2, model=SECTION), [LineEpochDemand(30, rows, GRID, COMMON + 1) for rows in (330, 190)]
    with pytest.raises(PeerProtocolError, match="epoch that there is not"):
        next(deal_epoch_of_all(None, asked, plan, 1 << 30))  # type: ignore[arg-type]
    with pytest.raises(PeerProtocolError, match="epoch that there is not"):
        next(deal_epoch_of_all(None, asked, several_plan(2, model=Network()), 1 << 30))  # type: ignore[arg-type]
    whole = [LineDemand(rows, GRID, COMMON + 1) for rows in (330, 190)]
    with pytest.raises(PeerProtocolError, match="by epochs"):
        next(deal_network(None, whole, SECTION, 1 << 30))  # type: ignore[arg-type]
    assert first_compared(SECTION, sum(ROWS)) == 0
