"""What a party reports of a finished job: its counts and costs as they are, its metrics no finer than they mean anything."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.daemon import report_message as module
from common.daemon.report_message import ProgressReporter, to_message
from common.errors import PeerLost
from common.home.outcome import Challenge, Drift, Evaluation, Outcome, Steps
from common.stats.metrics import Interval, Metrics
from common.wire import party_pb2 as wire
from common.wire.peer import Counter
from tests.patience import patience

shares = st.floats(-1.0, 1.0)
sizes = st.sampled_from([0.001, 0.002, 0.005, 0.01, 0.1])
found = st.builds(
    Evaluation,
    joint=st.builds(Metrics, *[shares] * 5),
    bank_only=st.builds(Metrics, *[shares] * 5),
    auc_difference=st.builds(Interval, *[shares] * 4),
    largest_u=st.floats(0.0, 64.0),
    steps=st.builds(Steps, sizes, sizes),
)


def told(evaluation: Evaluation | None) -> wire.Report:
    """As the coordinator reads it."""
    sent = to_message(Outcome(evaluation=evaluation), Counter(), Counter())
    return wire.Report.FromString(sent.SerializeToString())


@given(found)
def test_metrics_leave_the_bank_in_their_steps_and_the_largest_u_to_one_place(evaluation: Evaluation) -> None:
    message, steps = told(evaluation).evaluation, evaluation.steps
    ranked, means = {"auc", "ks", "difference", "low", "high"}, {"logloss", "brier"}
    for part in ("joint", "bank_only", "auc_difference"):
        for name, exact in asdict(getattr(evaluation, part)).items():
            value = getattr(getattr(message, part), name)
            if part == "auc_difference" and name == "high":  # told by the other two, so that it tells nothing more
                other = message.auc_difference
                assert value == pytest.approx(min(1.0, 2.0 * other.difference - other.low))
            elif name in ranked | means:
                step = steps.rank if name in ranked else steps.mean
                assert abs(value / step - round(value / step)) < 1e-6 and abs(value - exact) <= step * 0.5001, (part, name)
    assert message.joint.gini == pytest.approx(2 * message.joint.auc - 1)
    assert message.largest_u == round(message.largest_u, 1) == pytest.approx(evaluation.largest_u, abs=0.051)


def test_two_results_that_differ_by_less_look_the_same() -> None:
    def result(more: float) -> Evaluation:
        metrics = Metrics(*(0.123 + more for _ in fields(Metrics)))
        interval = Interval(0.123 + more, 0.1 + more, 0.15 + more, 0.01 + more)  # whose p-value nobody hears
        return Evaluation(metrics, metrics, interval, 12.34 + 10 * more, Steps(0.01, 0.01))

    def sent(more: float) -> bytes:
        return told(result(more)).evaluation.SerializeToString()

    assert sent(0.0) == sent(1e-3) != sent(1e-2)


def test_who_measures_nothing_reports_no_evaluation() -> None:
    assert not told(None).HasField("evaluation")


def test_counts_costs_and_openings_are_reported_as_they_are() -> None:
    outcome = Outcome(
        counts={"own_rows": 12345, "trained_columns": 7},
        seconds={"load": 0.25, "train": 1.5},
        rounds={"load": 0, "train": 51},
        warnings=["left out 'secret_flag'"],
        public_warnings=["1 warning(s)"],
        opened=["counts"],
        model_digest="ab" * 32,
    )
    message = to_message(outcome, Counter(sent=1, received=2), Counter(sent=3, received=4))
    assert (message.counts.own_rows, message.counts.trained_columns) == (12345, 7)
    assert [(entry.stage, entry.seconds, entry.rounds) for entry in message.seconds] == [("load", 0.25, 0), ("train", 1.5, 51)]
    assert [(link.sent, link.received) for link in (message.peer, message.coordinator)] == [(1, 2), (3, 4)]
    assert [*message.warnings, *message.opened, message.model_digest] == ["1 warning(s)", "counts", "ab" * 32]
    assert message.peak_mib > 1.0
    assert "secret_flag" not in str(message)


def test_drift_and_a_challenge_leave_rounded_and_without_a_name_of_a_column() -> None:
    rival = Challenge("job-1", 0.7123456, 0.7, Interval(0.0123456, -0.01, 0.03, 0.2), 500, Steps(0.005, 0.001))
    message = to_message(Outcome(drift=Drift(0.34567, 3), challenge=rival, champion="job-2"), Counter(), Counter())
    assert (message.drift.largest_psi, message.drift.alarms, message.champion) == (0.35, 3, "job-2")
    assert (message.challenge.auc, message.challenge.auc_difference.difference) == (0.71, 0.01)
    assert {field.name for field in message.drift.DESCRIPTOR.fields} == {"largest_psi", "alarms"}
    assert not to_message(Outcome(), Counter(), Counter()).HasField("drift")


async def test_progress_is_told_as_it_is_when_there_is_time_and_a_lost_coordinator_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_EVERY", 0.0)
    told: asyncio.Queue[wire.Progress] = asyncio.Queue()
    missed = asyncio.Event()

    async def send(message: wire.FromParty) -> None:
        if not missed.is_set():
            missed.set()
            raise PeerLost("the coordinator is away")
        await told.put(wire.Progress.FromString(message.progress.SerializeToString()))

    counter, stages = Counter(), list[str]()
    counter.sent, counter.received = 300, 40
    reporter = ProgressReporter("train-1", send, (counter,), stages.append)
    try:
        reporter.stage("load")
        await asyncio.wait_for(missed.wait(), patience(5))
        reporter.stage("train")
        reporter.progress(3, 15)
        reporter.rows(1050)
        reporter.warn("1 warning(s)")
        said = await asyncio.wait_for(told.get(), patience(5))  # in one message, the latest of each
        assert (said.job, said.stage, said.done, said.total, said.rows) == ("train-1", "train", 3, 15, 1050)
        assert (said.bytes, list(said.warnings)) == (340, ["1 warning(s)"]) and stages == ["load", "train"]
        assert told.empty()
        reporter.met("prepare")
        await reporter.last()  # though it has just told something
        assert told.get_nowait().stage == "prepare" and stages == ["load", "train"]
        reporter.stage("evaluate")
        await asyncio.sleep(0)
        assert told.empty()
    finally:
        reporter.stop()
