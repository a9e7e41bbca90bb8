"""The dealing of a job replayed: an honest one agrees to the last array; of a changed one the first wrong array is named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from common.auditor.cli import audit
from common.auditor.replay import replay
from common.errors import DataError, JobNotFound, PeerProtocolError
from common.home.dealt import MOST, DealtBook, Heard, Opening, read_openings
from common.learn.dealings import MESSAGES, dealings
from common.learn.linear.deal import KEPT_BYTES
from common.learn.linear.train import TrainingInputs, train
from common.mpc.correlations.asked import PeriodDemand
from common.mpc.correlations.dealt import DealtCorrelations, take_seed
from common.mpc.fixedpoint import X_SCALE, encode
from common.mpc.seeds import own_seed
from common.mpc.session import Array, Kind, Round
from common.party import Identity, Party
from common.plan.train import TrainPlan
from common.trust.authority import issue, make_ca, parse_key, read_certificate
from common.trust.sealed import seal, unseal
from tests.channels import MemoryChannel
from tests.common.mpc.problems import RIDGE_SCALE, make_problem
from tests.peers import KEYS, NONCES, DealerEnd, Trio

PROBLEM = make_problem(60, 2, 2)
SIDES = {"grid": {"dataset": "a"}, "bank": {"dataset": "b"}}
PLAN = TrainPlan.model_validate({**SIDES, "model": {"iterations": 2}})
HALF = TrainPlan.model_validate({**SIDES, "model": {"iterations": 2, "dealer": "half", "reveal": "owners"}})
Openings = dict[Party, Opening]


class Lying(MemoryChannel):
    """The dealer's end to one party, on which one array is changed."""

    def __init__(self, end: MemoryChannel, place: int, change: Callable[[Array], None]) -> None:
        super().__init__(end._out, end._in)
        self._left, self._change = place, change

    async def send(self, round: Round, values: Array) -> None:
        values, self._left = values.copy(), self._left - 1
        if self._left == -1:
            self._change(values)
        await super().send(round, values)


async def job(to: Party | None = None, place: int = 0, plan: TrainPlan = PLAN) -> Openings:
    """A training of months; what is dealt `to` a party at this place has one word changed."""
    trio = Trio()
    ends = {party: DealerEnd(trio.from_dealer[party]) for party in Party}
    if to is not None:
        lying = Lying(trio.to_party[to], place, lambda values: values.__setitem__((0,) * values.ndim, values.flat[0] ^ 1))
        trio.dealer._channels[to] = lying

    trainings = dict[Party, asyncio.Task[Any]]()

    async def side(party: Party) -> Opening:
        dealt = await take_seed(ends[party])
        heard = Heard(Opening.of("job-1", 0, party, plan.canonical(), dealt, NONCES[party]), ends[party], MESSAGES)
        correlations = DealtCorrelations(party, own_seed(dealt.seed, NONCES[party]), heard, KEYS[party])
        await correlations.order(PeriodDemand(7))
        await correlations.period_product(7)
        bank, own = party is Party.BANK, np.asfortranarray(encode(PROBLEM.x[party], X_SCALE).view(np.int64).astype(np.int32))
        pull = np.asfortranarray(encode(4.0 * PROBLEM.ridge[party], RIDGE_SCALE))
        start, label = np.zeros(own.shape[1]), PROBLEM.y if bank else None
        inputs = TrainingInputs(plan.model, own, pull, PROBLEM.columns[party.other], start, label, gain=float(bank))
        trainings[party] = asyncio.create_task(train(trio.session[party], correlations, inputs))
        try:
            await trainings[party]
        except PeerProtocolError:
            assert to is not None and bank  # what was dealt has spoilt it
            trainings[Party.GRID].cancel()
        except asyncio.CancelledError:
            assert to is not None and not bank
        await ends[party].asked.put(None)
        return heard.opening

    serving = trio.dealer.serve({party: ends[party].demands() for party in Party}, dealings(plan, KEPT_BYTES))
    grid, bank, _ = await asyncio.gather(side(Party.GRID), side(Party.BANK), serving)
    return {Party.GRID: grid, Party.BANK: bank}


async def test_an_honest_dealing_agrees_to_the_last_array() -> None:
    openings = await job()
    verdict = await replay([*openings.values()])
    noted = [kind for opening in openings.values() for kind, *_ in opening.arrays]
    assert verdict.wrong == () and verdict.compared == len(noted) - noted.count(Kind.DEALT_TAGS.value) > 30
    assert {name for name, _ in openings[Party.GRID].demands} == {"periods", "training"}


@pytest.mark.parametrize("to", list(Party))
async def test_the_first_wrong_array_is_named(to: Party) -> None:
    arrays = (await job())[to].arrays
    noted = [f"{kind}/{number}" for kind, number, _ in arrays if kind != Kind.DEALT_TAGS.value]
    for place in sorted({noted.index(label) for label in noted})[::4]:
        verdict = await replay([*(await job(to, place + 1)).values()])  # the seed comes first
        (line,) = verdict.wrong
        assert line.startswith(f"array {place + 1} to the {to.value}: {noted[place]}, ")
        assert "is not what the seeds give" in line


async def test_of_half_a_dealer_months_link_and_truncations_are_replayed() -> None:
    """No mask of a matrix or residual is among what is dealt, so none among what an auditor could expand."""
    openings = await job(plan=HALF)
    verdict = await replay([*openings.values()])
    noted = [kind for opening in openings.values() for kind, *_ in opening.arrays]
    assert verdict.wrong == () and verdict.compared == len(noted) > 30
    assert set(noted) == {kind.value for kind in (Kind.DEALT_PERIODS, Kind.DEALT_LINK, Kind.DEALT_TRUNCATION, Kind.DEALT_CUT)}
    for party in Party:
        kinds = [kind for kind, *_ in openings[party].arrays]
        for place in {kinds.index(kind) for kind in kinds}:
            (line,) = (await replay([*(await job(party, place + 1, HALF)).values()])).wrong
            assert line.startswith(f"array {place + 1} to the {party.value}: {kinds[place]}/")
    whole = {party: opening.model_copy(update={"plan": PLAN.canonical()}) for party, opening in openings.items()}
    assert len((await replay([*whole.values()])).wrong) == len(
        Party
    )  # other tables, had matrices been under masks that are dealt


async def test_who_opens_another_seed_is_named_and_nothing_is_compared() -> None:
    openings = await job()
    for party in Party:
        for field in ("dealt", "nonce"):
            other = openings[party].model_copy(update={field: "00" * 32})
            verdict = await replay([*(openings | {party: other}).values()])
            assert verdict.compared == 0 and f"the {party.value} opens another seed" in verdict.wrong[0]


async def test_a_party_that_notes_other_arrays_is_told_which() -> None:
    openings = await job()
    grid = openings[Party.GRID]
    kind, number, _ = grid.arrays[3]
    changes: dict[str, tuple[Any, ...]] = {
        f"array 4 to the grid: {kind}/{number}, ": (*grid.arrays[:3], (kind, number, "00" * 16), *grid.arrays[4:]),
        f"array 4 to the grid: {kind}/99 where": (*grid.arrays[:3], (kind, 99, "00" * 16), *grid.arrays[4:]),
        "the grid notes 1 arrays more": (*grid.arrays, (kind, 7, "00" * 16)),
    }
    for line, arrays in changes.items():
        (found,) = (await replay([grid.model_copy(update={"arrays": arrays}), openings[Party.BANK]])).wrong
        assert found.startswith(line)
    short = grid.model_copy(update={"arrays": grid.arrays[:5]})  # of a job that ended before all was taken
    assert (await replay([short, openings[Party.BANK]])).wrong == ()


async def test_openings_that_do_not_belong_together_are_refused() -> None:
    openings = await job()
    bank = openings[Party.BANK]
    names = ({"job": "job-2"}, {"attempt": 1}, {"plan": "{}"})
    for change in (*names, {"commitments": ("00", "00")}, {"demands": bank.demands[:1]}, {"dealt": "00"}):
        with pytest.raises(DataError):
            await replay([openings[Party.GRID], bank.model_copy(update=change)])


async def test_the_digest_is_of_all_but_the_seeds() -> None:
    grid = (await job())[Party.GRID]
    assert grid.model_copy(update={"dealt": "00", "nonce": "00"}).digest == grid.digest
    for change in ({"arrays": grid.arrays[:-1]}, {"demands": ()}, {"commitments": ("00", "00")}, {"plan": ""}):
        assert grid.model_copy(update=change).digest != grid.digest


def test_a_book_keeps_the_newest_and_says_what_is_missing_or_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.home.dealt.MOST", 3)
    assert MOST > 3
    book = DealtBook(tmp_path / "dealt")
    for number in range(6):
        opening = Opening(job=f"job-{number}", party=Party.BANK, plan="{}", dealt="aa", nonce="bb", commitments=("", ""))
        book.keep(opening)
    assert book.read("job-5") == (opening,) and len(list((tmp_path / "dealt").iterdir())) == 3
    with pytest.raises(JobNotFound, match="nothing is kept of what job 'job-0' was dealt"):
        book.read("job-0")
    file = tmp_path / "dealt" / "job-5.0.json"
    assert file.stat().st_mode & 0o077 == 0
    file.write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        book.read("job-5")


def test_each_attempt_at_a_job_is_kept_and_the_last_is_what_is_read(tmp_path: Path) -> None:
    book = DealtBook(tmp_path)
    first = Opening(job="job", party=Party.GRID, plan="{}", dealt="aa", nonce="bb", commitments=("", ""))
    for attempt in (0, 1, 10):
        book.keep(first.model_copy(update={"attempt": attempt}))
    book.keep(first.model_copy(update={"job": "job-2"}))
    assert book.read("job")[0].attempt == 10 and book.read("job", 0) == (first,)
    with pytest.raises(JobNotFound, match="attempt 2"):
        book.read("job", 2)


def test_a_disk_that_refuses_ends_no_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    book = DealtBook(tmp_path / "dealt")
    (tmp_path / "dealt").rmdir()
    book.keep(Opening(job="job", party=Party.GRID, plan="{}", dealt="aa", nonce="bb", commitments=("", "")))
    assert "is not kept" in caplog.text


def test_only_the_key_of_the_certificate_opens_what_was_sealed_for_it(tmp_path: Path) -> None:
    make_ca("judge", tmp_path / "ca")
    keys = {}
    for role in ("auditor", "other"):
        issue(tmp_path / "ca", Identity("judge", role), tmp_path / role)
        (key,) = (tmp_path / role).glob("*.key")
        keys[role] = parse_key(key.read_bytes(), role)
    (certificate,) = (tmp_path / "auditor").glob("*.pem")
    sealed = seal(b"what was dealt", read_certificate(certificate))
    assert unseal(sealed, keys["auditor"], "f") == b"what was dealt" and b"dealt" not in sealed
    assert sealed != seal(b"what was dealt", read_certificate(certificate))
    with pytest.raises(DataError, match="not sealed for this key"):
        unseal(sealed, keys["other"], "f")
    for place in (0, 9, 30, len(sealed) - 20, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(DataError, match="not sealed for this key, or damaged"):
            unseal(bytes(changed), keys["auditor"], "f")


async def test_the_command_says_what_is_wrong_and_that_all_is_right(tmp_path: Path) -> None:
    make_ca("judge", tmp_path / "ca")
    issue(tmp_path / "ca", Identity("judge", "auditor"), tmp_path)
    (key,), (pem,) = tmp_path.glob("*.key"), tmp_path.glob("*.pem")

    def run(openings: Openings) -> tuple[int, str]:
        for party, opening in openings.items():
            (tmp_path / party.value).write_bytes(seal(opening.model_dump_json().encode(), read_certificate(pem)))
        result = CliRunner().invoke(audit, [str(tmp_path / "bank"), str(tmp_path / "grid"), "--key", str(key)])
        return result.exit_code, result.output

    openings, spoilt = await job(), await job(Party.BANK, 3)
    code, text = await asyncio.to_thread(run, openings)
    assert code == 0 and "each is what the opened seeds give" in text and openings[Party.GRID].digest in text
    code, text = await asyncio.to_thread(run, spoilt)
    assert code == 1 and "array 3 to the bank: " in text
    assert not any(openings[party].dealt in text for party in Party)
    ahead = PLAN.model_copy(update={"dealt": "ahead"}).canonical()
    bare = {party: one.model_copy(update={"plan": ahead, "demands": (), "arrays": ()}) for party, one in openings.items()}
    code, text = await asyncio.to_thread(run, bare)
    assert code == 0 and "0 arrays compared" in text and "What job job-1 took from a stock is not among them" in text
    with pytest.raises(DataError):
        read_openings(b"", "x")
