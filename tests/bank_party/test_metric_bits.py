"""A grid and a client that ask for the same metrics again and again, of scores that the grid drives as it likes."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bank_party.decision.config import DecisionConfig
from bank_party.home import BankHome
from bank_party.judge.evaluation import evaluate
from bank_party.judge.steps import steps_of
from bank_party.monitor.config import BankMonitorConfig
from bank_party.role import BankRole
from bank_party.settings import BankPolicy
from common.daemon.report_message import to_message
from common.disclosure import Opened
from common.home.outcome import Outcome
from common.mpc.fixedpoint import Reals
from common.rows.table import FeatureTable, Ids
from common.stages.price import LARGEST_LOSS, LARGEST_U, challenge_bits, metric_bits
from common.wire import party_pb2 as wire
from common.wire.peer import Counter
from tests.common.stages.companies import Companies, frames
from tests.common.stages.companies import Party as Side

ROWS, HELD = 1000, 300


@dataclass
class Bank:
    """A bank with 1,000 labels, and all that it tells of jobs whose held-out scores are whatever a grid wants."""

    folder: Path
    policy: BankPolicy = field(default_factory=BankPolicy)
    jobs: int = 0

    def __post_init__(self) -> None:
        draw = np.random.default_rng(5)
        self.u = draw.normal(-1.4, 1.2, ROWS)
        self.label = (draw.random(ROWS) < 1.0 / (1.0 + np.exp(-self.u))).astype(np.float64)
        home = BankHome(self.folder, "wattscore://neutral/coordinator", self.policy, BankMonitorConfig(), DecisionConfig())
        self.role = BankRole(home)

    def tell(self, held: Any, u: Reals) -> wire.Report:
        """What others hear of a job that held out these rows, whose scores came out like this."""
        self.jobs += 1
        opened = set[Opened]()
        job: Any = SimpleNamespace(
            id=f"job-{self.jobs}",
            outcome=Outcome(),
            session=SimpleNamespace(open=opened.add),
            warn=lambda *_, public: None,
            charged=lambda key, rows: None,
        )
        keys = FeatureTable(Ids.of([f"F{k:04d}" for k in held]), None, {}, {})
        found = evaluate(u, 0.5 * self.u[held], self.label[held])
        asyncio.run(self.role._tell_metrics(job, keys, found, None))
        report = to_message(job.outcome, Counter(), Counter())
        assert report.HasField("evaluation") == (opened == {Opened.METRICS})
        return report

    @property
    def charged(self) -> float:
        """Bits, in all."""
        (book,) = (book for book in self.role.home.standings() if book.key == "metric_bits")
        return sum(charge.amount for charge in book.charges)


def attack(bank: Bank, pairs: int, *, splits: bool) -> tuple[int, int, int]:
    """Drives one row's score down in a job and up in the next. Labels read right and wrong, and jobs that were told of.

    All scores are moved a little, by as much in both jobs, so that the told log-loss is not far from its next step each time.
    """
    draw, right, wrong, told = np.random.default_rng(1), 0, 0, 0
    held = np.sort(draw.permutation(ROWS)[:HELD])
    for pair in range(pairs):
        if splits:
            held = np.sort(draw.permutation(ROWS)[:HELD])
        target, moved, heard = pair % HELD, draw.uniform(-1.5, 1.5), []
        for score in (-8.0, 8.0):
            u = bank.u[held] + moved + 0.01 * draw.normal(size=HELD)  # a training is never quite the same
            u[target] = score
            report = bank.tell(held, u)
            if report.HasField("evaluation"):
                heard.append(report.evaluation.joint)
        told += len(heard)
        if len(heard) == 2 and heard[0].logloss != heard[1].logloss:
            guess = float(heard[0].logloss > heard[1].logloss)
            right, wrong = right + (guess == bank.label[held][target]), wrong + (guess != bank.label[held][target])
    return right, wrong, told


@pytest.mark.parametrize("splits", [False, True], ids=["one split", "a split each"])
def test_no_more_labels_are_read_from_metrics_than_the_bank_has_bits_for(tmp_path: Path, splits: bool) -> None:
    free = Bank(tmp_path / "free", BankPolicy(metric_bits=1e9))
    right, wrong, told = attack(free, 24, splits=splits)
    assert told == 48 and right > 2 * wrong + 2  # else the attack would be none
    bank = Bank(tmp_path / "bank")
    right, wrong, told = attack(bank, 24, splits=splits)
    rows = ROWS if splits else HELD
    assert 0 < told < 12 and told == round(bank.charged / metric_bits(HELD))
    assert right - wrong <= bank.charged <= bank.policy.metric_bits * rows
    spent = next(book for book in bank.role.home.standings() if book.key == "metric_bits")
    assert spent.most <= bank.policy.metric_bits < spent.most + metric_bits(HELD) / HELD


def answer(label: Reals, u: Reals, alone: Reals) -> tuple[int, ...]:
    """What is told, as whole numbers of steps."""
    steps, told = steps_of(label, u), to_message(Outcome(evaluation=evaluate(u, alone, label)), Counter(), Counter()).evaluation
    ranks = (told.joint.auc, told.joint.ks, told.bank_only.auc, told.bank_only.ks)
    means = (told.joint.logloss, told.joint.brier, told.bank_only.logloss, told.bank_only.brier)
    gain = told.auc_difference
    ends = (gain.difference, gain.low)
    assert gain.high == pytest.approx(min(1.0, 2 * gain.difference - gain.low))
    assert abs(gain.difference - (ranks[0] - ranks[2])) < 1.001 * steps.rank
    assert max(means) <= LARGEST_LOSS + steps.mean / 2 and told.largest_u <= LARGEST_U
    shown = [(value, steps.rank) for value in (*ranks, *ends)] + [(value, steps.mean) for value in means]
    return (*(round(value / step) for value, step in shown), round(10 * told.largest_u), round(1e6 * steps.rank))


def test_answers_have_less_entropy_than_they_cost_over_all_labels_of_eight_rows() -> None:
    """Exactly, whatever scores are: of models that know nothing, much, and of one row that is driven far out."""
    draw, rows = np.random.default_rng(2), 8
    labels = [np.array(values, np.float64) for values in product((0, 1), repeat=rows) if 2 <= sum(values) <= rows - 2]
    for far in (0.0, 50.0):
        u, alone = draw.normal(size=rows), draw.normal(size=rows)
        u[0] += far
        _, times = np.unique([answer(label, u, alone) for label in labels], axis=0, return_counts=True)
        shares = times / times.sum()
        assert -(shares * np.log2(shares)).sum() <= metric_bits(rows)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(8, 3000), spread=st.floats(0.01, 60.0))
def test_any_answer_is_one_of_so_many(seed: int, rows: int, spread: float) -> None:
    draw = np.random.default_rng(seed)
    label = np.zeros(rows)
    label[: draw.integers(2, rows - 1)] = 1.0
    rank = steps_of(label, spread * draw.normal(size=rows)).rank
    u, alone = spread * draw.normal(size=rows), spread * draw.normal(size=rows)
    *ranks, joint, low, loss, brier, other_loss, other_brier, largest, _ = answer(label, u, alone)
    steps = steps_of(label, u)
    counts = [round(1 / steps.rank) + 1] * 4 + [3, round(2 / steps.rank) + 1]
    counts += [round(LARGEST_LOSS / steps.mean) + 1, round(1 / steps.mean) + 1] * 2 + [1000]
    assert all(0 <= value <= 1 / steps.rank + 0.5 for value in ranks) and rank > 0
    assert -1 / steps.rank - 0.5 <= low <= joint <= 1 / steps.rank + 0.5
    assert max(loss, other_loss) < counts[6] and max(brier, other_brier) < counts[7] and largest < counts[-1]
    assert sum(map(math.log2, counts)) <= metric_bits(rows)


@pytest.mark.parametrize(("held", "bits"), [(300, 64.5), (900, 73.3), (3000, 94.0), (9000, 98.0)])
def test_bits_as_pages_say(held: int, bits: float) -> None:
    assert metric_bits(held) == pytest.approx(bits, abs=0.05)
    assert 20 < challenge_bits(held) < metric_bits(held) / 2


async def test_a_training_whose_metrics_are_not_paid_for_is_kept_with_its_metrics_at_the_bank(tmp_path: Path) -> None:
    at = Companies(tmp_path, own={Side.BANK: {"metric_bits": 0.5}})
    at.write(frames(seed=1, monthly=False))
    told, kept = [(await at.run(f"job-{k}", at.plan(model={"iterations": 6 + k})))[Side.BANK] for k in range(2)]
    assert told.evaluation is not None and "metrics" in told.opened
    assert kept.evaluation is None and "metrics" not in kept.opened
    assert any("stay at the bank" in text for text in kept.public_warnings)
    folder = at.models(Side.BANK).folder("job-1")
    assert (folder / "evaluation.json").exists() and at.models(Side.GRID).has("job-1")
