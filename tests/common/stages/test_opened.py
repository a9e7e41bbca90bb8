"""What a default job says, message by message, as it runs: each kind that opens something, and that all the rest is masked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from common.home.outcome import Outcome
from common.mpc.session import OPENS, Array, Kind
from common.party import Party
from tests.common.stages.companies import Companies, frames

TRAINING = {"matched_ids", "period_range", "matched_rows", "counts", "split", "training_check", "test_scores", "metrics"}
SCORING = {"matched_ids", "period_range", "matched_rows", "counts", "scores"}

# All that either party sends the other in a default job that is by month, and what it opens; "": masked, so nothing.
SAID = {
    "psi_sizes": "counts", "psi_tags": "counts", "psi_common": "matched_ids", "period_range": "period_range", "period_bits": "",
    "period_shares": "matched_rows", "shape": "counts", "masked_matrix": "", "masked_u": "", "masked_residual": "",
    "masked_weights": "", "masked_operand": "", "masked_update": "", "registry": "counts", "resume": "counts", "transcript": "",
}  # fmt: skip
BY_THE_GRID, BY_THE_BANK = {"test_scores": "test_scores", "training_check": "training_check"}, {"split": "split"}
TO_THE_NEUTRAL = {"psi_tags", "psi_sizes", "psi_common"}


@pytest.fixture
async def companies(tmp_path: Path) -> Companies:
    made = Companies(tmp_path, monthly=True)
    made.write(frames(seed=3, monthly=True))
    return made


def said(at: Companies, party: Party) -> dict[Kind, list[Array]]:
    """All that this party sent the other in the last job, by kind."""
    found: dict[Kind, list[Array]] = defaultdict(list)
    for label, values in at.trio.peer[party].log:
        found[label.kind].append(values)
    return found


def opened(outcomes: Iterable[Outcome]) -> set[str]:
    return {value for outcome in outcomes for value in outcome.opened}


def uniform(values: list[Array]) -> bool:
    """Whether the bits of all words are as those of coins: within five deviations, bit by bit; of short words by byte."""
    if len(kinds := {v.dtype for v in values}) > 1:
        return all(uniform([v for v in values if v.dtype == dtype]) for dtype in kinds)
    words = np.concatenate([v.reshape(-1) for v in values])
    bits = np.unpackbits(words.view(np.uint8)).reshape(len(words), -1)
    off = np.abs(bits.mean(axis=0) - 0.5) * 2.0 * np.sqrt(len(words))
    return bool(off.max() < 5.0)


async def test_a_default_training_opens_this_and_nothing_else(companies: Companies) -> None:
    plan = companies.plan()
    assert {value.value for value in plan.needs} == TRAINING
    outcomes = await companies.run("job-1", plan)
    assert opened(outcomes.values()) == TRAINING
    for party, own in ((Party.GRID, BY_THE_GRID), (Party.BANK, BY_THE_BANK)):
        sent = said(companies, party)
        expected = {Kind(kind): value for kind, value in {**SAID, **own}.items() if kind not in TO_THE_NEUTRAL}
        found = {kind: OPENS[kind].value if kind in OPENS else "" for kind in sent}
        assert {kind: value for kind, value in found.items() if not kind.value.startswith("psi")} == expected
        for kind, values in sent.items():
            if kind not in OPENS:
                assert uniform(values), kind


async def test_a_default_scoring_opens_this_and_nothing_else(companies: Companies) -> None:
    await companies.run("job-1", companies.plan())
    plan = companies.plan(kind="score", model="job-1")
    assert {value.value for value in plan.needs} == SCORING | {"drift"}
    outcomes = await companies.run("score-1", plan)
    assert opened(outcomes.values()) - {"drift"} == SCORING
    for party in Party:
        sent = said(companies, party)
        kinds = {kind.value for kind in sent if not kind.value.startswith(("psi", "period"))}
        told = {"resume", "transcript", *(("scores",) if party is Party.GRID else ())}
        assert kinds == {"masked_weights", "masked_matrix", "masked_update"} | told
        for kind, values in sent.items():
            if kind not in OPENS:
                assert uniform(values), kind


async def test_scores_reach_the_bank_alone_and_metrics_are_made_there(companies: Companies) -> None:
    outcomes = await companies.run("job-1", companies.plan())
    assert outcomes[Party.GRID].evaluation is None and outcomes[Party.BANK].evaluation is not None
    assert not {Kind.TEST_SCORES, Kind.SCORES} & said(companies, Party.BANK).keys()
    shares = said(companies, Party.GRID)[Kind.TEST_SCORES]
    assert len(shares) == 1 and shares[0].shape == (outcomes[Party.BANK].counts["test_rows"],)


def test_the_check_finds_what_is_not_masked() -> None:
    assert uniform([np.frombuffer(np.random.default_rng(1).bytes(8000), np.uint64)])
    assert not uniform([np.arange(1000, dtype=np.uint64)])
