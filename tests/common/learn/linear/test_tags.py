"""The shares that a training leaves, with their tags: whoever changes one, before or on the way, scores nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from common.errors import DataError, PeerProtocolError
from common.learn.linear.half import ClosedModel
from common.learn.linear.steps import make_work
from common.learn.linear.train import Shares, TrainingInputs, train
from common.mpc.correlations.dealt import DealtCorrelations
from common.mpc.fixedpoint import X_SCALE, Reals, Words, decode, encode
from common.mpc.prg import Prg, mark
from common.mpc.session import Array, Kind, Round, Session
from common.mpc.tags import MARK_WORDS, RING, made, total
from common.party import Party
from common.plan.linear import Model
from tests.channels import MemoryChannel
from tests.common.learn.linear.test_score import COLUMNS, models, rows, score_shares
from tests.common.mpc.problems import RIDGE_SCALE, Problem, make_problem
from tests.extent import extent
from tests.patience import patience
from tests.peers import KEYS, Trio, coordinate

MODELS = [Model(iterations=2), Model(optimiser="sgd", batch=50, epochs=1), Model(iterations=2, link="taylor")]
PROBLEM = make_problem(100, 3, 2)


async def trained(model: Model, problem: Problem = PROBLEM, seed: int | None = None) -> tuple[dict[Party, Shares], Trio]:
    """A training of this plan whose model stays closed."""
    size = model.step or (4.0 if model.joint else 1.0)

    async def side(session: Session, correlations: DealtCorrelations) -> Shares:
        party, bank = session.party, session.party is Party.BANK
        own = np.asfortranarray(encode(problem.x[party], X_SCALE).view(np.int64).astype(np.int32))
        pull = np.asfortranarray(encode(size * problem.ridge[party], RIDGE_SCALE))
        start, label = np.zeros(own.shape[1]), problem.y if bank else None
        inputs = TrainingInputs(model, own, pull, problem.columns[party.other], start, label, gain=float(bank))
        found = await train(session, correlations, inputs)
        assert isinstance(found, Shares)
        return found

    trio = Trio(seed=seed)
    return await coordinate(trio, side, lambda demand: make_work(model, demand)), trio


@pytest.mark.parametrize("model", MODELS, ids=["joint", "sgd", "taylor"])
async def test_each_holds_tags_of_its_shares_which_the_other_s_pads_and_factors_give(model: Model) -> None:
    found, _ = await trained(model)
    for party in Party:
        mine, theirs = found[party].tagged, found[party.other].tagged
        assert (mine.words == found[party].other).all() and len(mine.values) == PROBLEM.columns[party.other]
        factors = Prg(bytes(32), KEYS[party.other]).factors(len(mine.values))
        assert made(factors, mine.values, theirs.pads) == mine.tags
        assert len(set(factors)) == len(factors) and max(factors) > 1 << 48


class Changed(MemoryChannel):
    """A party's end of the line to the other on which one array is changed as it leaves."""

    def __init__(self, end: MemoryChannel, kind: Kind, change: Callable[[Array], Array]) -> None:
        super().__init__(end._out, end._in)
        self._kind, self._change = kind, change

    async def send(self, round: Round, values: Array) -> None:
        await super().send(round, self._change(values.copy()) if round.kind is self._kind else values)


Change = Callable[[Array], Array]


async def scored(halves: dict[Party, ClosedModel], liar: Party | None = None, change: Change = np.copy) -> Reals | None:
    """The scores; None where a party refuses, which is the one that was lied to."""
    trio = Trio()
    if liar is not None:
        trio.session[liar]._peer = Changed(trio.peer[liar], Kind.MASKED_WEIGHTS, change)
    refused = []

    async def side(session: Session, correlations: DealtCorrelations) -> Words:
        try:
            return (await score_shares(session, correlations, halves[session.party], rows(session.party, 20), 0, 5))[0]
        except PeerProtocolError as error:
            assert "shares of the model are not those that training left" in str(error)
            refused.append(session.party)
            raise

    try:
        shares = await asyncio.wait_for(coordinate(trio, side), patience(30.0))
    except PeerProtocolError:
        assert refused == ([liar.other] if liar is not None else refused)
        return None
    return decode(shares[Party.GRID] + shares[Party.BANK], 5)


def flips(words: int) -> Iterator[tuple[int, int]]:
    """Each word, and bits of it: the lowest, the highest, and one between."""
    return ((word, bit) for word in range(words) for bit in (0, 17 + word, 63))


@pytest.mark.parametrize("liar", list(Party))
async def test_a_changed_word_of_the_masked_weights_is_refused(liar: Party) -> None:
    halves, u = models(20)
    right = await scored(halves)
    assert right is not None and np.abs(right - u).max() < 0.1
    carried = [*range(0, 2 * len(halves[liar].tagged.values), 2), 2 * len(halves[liar].tagged.values)]
    for word, bit in flips(2 * (len(halves[liar].tagged.values) + 1)):

        def flip(values: Array, word: int = word, bit: int = bit) -> Array:
            values[word] ^= np.uint64(1 << bit)
            return values

        found = await scored(halves, liar, flip)
        if word in carried or bit < 63:
            assert found is None, (word, bit)
        else:  # above a word, or a tag's last bit with it: what is carried is the same, and so is the score
            assert found is None or np.abs(found - u).max() < 0.1


@pytest.mark.parametrize("liar", list(Party))
async def test_a_functional_of_the_other_s_rows_of_one_s_own_choice_is_refused(liar: Party) -> None:
    """The attack: a party adds 2^9 to its share of one weight of the other, and reads that column from the scores."""
    halves, _ = models(20)
    held = halves[liar].tagged
    chosen = (held.values[0] + (1 << 29)) % RING, *held.values[1:]
    assert await scored(halves | {liar: replace(halves[liar], tagged=replace(held, values=chosen))}) is None
    wrong = Prg(bytes(32), KEYS[liar]).factors(1)[0]  # its own factor, or any guess of the other's
    tags = (held.tags[0] + wrong * (1 << 29)) % RING, *held.tags[1:]
    assert await scored(halves | {liar: replace(halves[liar], tagged=replace(held, values=chosen, tags=tags))}) is None
    right = Prg(bytes(32), KEYS[liar.other]).factors(1)[0]  # who knew it could: the check is not one that never passes
    tags = (held.tags[0] + right * (1 << 29)) % RING, *held.tags[1:]
    assert await scored(halves | {liar: replace(halves[liar], tagged=replace(held, values=chosen, tags=tags))}) is not None


async def test_shares_of_another_training_or_under_a_lost_key_are_refused() -> None:
    halves, _ = models(20)
    others, _ = models(20, seed=4)
    assert await scored({Party.GRID: halves[Party.GRID], Party.BANK: others[Party.BANK]}) is None


@pytest.mark.untraced
@pytest.mark.parametrize("at", ["dealt", "sent"])
async def test_what_is_dealt_and_sent_for_tags_is_uniform(at: str) -> None:
    found: dict[tuple[Party, int], list[int]] = {}
    halves, _ = models(20)
    for seed in range(extent(100, 300)):
        trio = Trio(seed=seed)

        async def side(session: Session, correlations: DealtCorrelations) -> None:
            await score_shares(session, correlations, halves[session.party], rows(session.party, 20), 0, 5)

        if at == "sent":
            await coordinate(trio, side)
            logs = {party: trio.peer[party].log for party in Party}
        else:
            _, trio = await trained(MODELS[0], seed=seed)
            logs = {party: trio.to_party[party].log for party in Party}
        kind = Kind.MASKED_WEIGHTS if at == "sent" else Kind.DEALT_TAGS
        for party, log in logs.items():
            words = [values for label, values in log if label.kind is kind][-1]
            words = words if at == "sent" else words[:-MARK_WORDS]
            for place, word in enumerate(words.tolist()):
                found.setdefault((party, place), []).append(word)
    assert len(found) == sum(2 * (len(COLUMNS[p]) + 1) if at == "sent" else 4 * PROBLEM.columns[p] for p in Party) + (
        0 if at == "dealt" else 2  # the bank's intercept
    )
    for place, drawn in found.items():
        for shift in (0, 60):
            counted = np.bincount([word >> shift & 15 for word in drawn], minlength=16)
            assert float(stats.chisquare(counted).pvalue) > 1e-7, (place, shift)


def test_a_tag_is_of_the_words_alone() -> None:
    """What is above a word changes its value and its tag alike, so that a share may be carried by any of 2^64 values."""
    factors, words = [3, 5], (7, 9)
    above: Words = np.array([1, 2], np.uint64)
    values = tuple(w + (int(a) << 64) for w, a in zip(words, above, strict=True))
    assert total(factors, values, 1) - total(factors, words, 1) == (3 * 1 + 5 * 2) << 64


@pytest.mark.parametrize("whose", [0, 1], ids=["own", "the other's"])
@pytest.mark.parametrize("party", list(Party))
async def test_by_another_key_than_that_of_training_nothing_is_sent(party: Party, whose: int) -> None:
    """A verifier that told the dealer another key would read the masks, and so the shares, off the tags."""
    halves, _ = models(20)
    held, trio = halves[party].tagged, Trio()
    marks = [held.marks[:32], held.marks[32:]]
    marks[whose] = mark(b"another key")
    halves[party] = replace(halves[party], tagged=replace(held, marks=b"".join(marks)))

    async def side(session: Session, correlations: DealtCorrelations) -> None:
        await score_shares(session, correlations, halves[session.party], rows(session.party, 20), 0, 5)

    with pytest.raises(PeerProtocolError if whose else DataError, match=r"tags\.key is not the one that"):
        await coordinate(trio, side)
    assert Kind.MASKED_WEIGHTS not in trio.session[party].traffic.sent
