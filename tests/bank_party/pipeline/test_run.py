"""A pipeline that is killed anywhere goes on where it was, and no job of it is submitted twice; who stops it, and what."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from bank_party.judge.challenge import Measured
from bank_party.pipeline.book import RunBook, RunState, Step
from bank_party.pipeline.config import PipelineConfig, ShadowStep, load_pipeline
from bank_party.pipeline.run import Cause, begin, cause, check, end
from bank_party.role import BankRole
from common.config import to_toml
from common.daemon.gate import Gate
from common.errors import ConfigError, JobStateError, PeerLost, PlanError
from common.home.approvals import DAY
from common.home.outcome import Challenge, Steps
from common.plan.promote import PromotePlan
from common.rows.table import FeatureTable, Ids
from common.stats.metrics import Interval
from tests.bank_party.pipeline.bench import PLAN, ROWS, Bench, Killed, promote


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_run_takes_its_steps_in_order_and_waits_for_two_people(bench: Bench) -> None:
    run = bench.begin()
    assert "0 of 2" in bench.go().rests and bench.home.registry.champion == "train-old"
    bench.say(run, "li")
    assert "1 of 2" in bench.go().rests
    with pytest.raises(JobStateError, match="li has approved"):
        bench.say(run, "li")
    bench.say(run, "wang")
    ended = bench.go().run
    assert ended is not None and ended.state is RunState.DONE
    steps = bench.book.steps(run.run)
    assert list(steps) == list(Step) and all(taken.done for taken in steps.values())
    model = steps[Step.TRAIN].facts["model"]
    assert bench.home.registry.champion == model == steps[Step.SWITCH].facts["champion"]
    assert steps[Step.PEOPLE].facts["people"] == ["li", "wang"]
    assert steps[Step.SHADOW].facts["rows"] == ROWS and steps[Step.SHADOW].facts["otherwise"] == 0.0
    assert [job.name.removeprefix(run.run) for job in bench.coordinator.listed] == [
        " train", " challenger", " champion", " switch",
    ]  # fmt: skip
    assert bench.home.approvals.held() == []


def test_a_run_that_is_killed_before_or_after_anything_it_does_goes_on_and_does_nothing_twice(tmp_path: Path) -> None:
    for number in itertools.count():
        folder = tmp_path / str(number)
        folder.mkdir()
        bench = Bench(folder)
        run, killed = bench.begin(), False
        bench.effects.kill = number
        try:
            bench.through()
        except Killed:
            killed = True
        until = len(bench.effects.done)
        bench.effects.kill = -1
        ended = bench.through()
        assert ended.state is RunState.DONE and ended.run == run.run
        names = [job.name for job in bench.coordinator.listed]
        assert len(names) == len(set(names)) == 4, number
        assert bench.home.approvals.held() == []
        before, after = bench.effects.done[:until], bench.effects.done[until:]
        for step, act in ((Step.FEATURES, "features"), (Step.REPORT, "report")):
            assert f"finish {step}" not in before or act not in after, number
        assert len(set(bench.reports)) == 1 and bench.home.registry.champion == bench.reports[0]
        if not killed:
            break
    assert number > 40


def test_a_request_that_is_still_on_the_wire_when_its_process_is_killed_makes_no_second_job(bench: Bench) -> None:
    run = bench.begin()
    bench.coordinator.late = late = []
    with pytest.raises(Killed):
        bench.go()
    bench.coordinator.late = None
    bench.go()
    ((plan, submission),) = late
    first = bench.coordinator.arrive(plan, submission)
    assert bench.book.steps(run.run)[Step.TRAIN].jobs == {"model": first.id}
    assert [job.id for job in bench.coordinator.listed if job.kind == "train"] == [first.id]
    assert len(submission) == 64 and bench.through().state is RunState.DONE


def test_a_coordinator_that_is_away_leaves_the_run_where_it_is(bench: Bench) -> None:
    run = bench.begin()
    bench.coordinator.away = True
    with pytest.raises(PeerLost):
        bench.go()
    assert list(bench.book.steps(run.run)) == [Step.FEATURES, Step.TRAIN]
    bench.coordinator.away = False
    assert bench.through().state is RunState.DONE


def test_a_person_who_denies_ends_the_run_and_the_champion_stays(bench: Bench) -> None:
    run = bench.begin()
    bench.go()
    bench.say(run, "li", yes=False)
    ended = bench.go().run
    assert ended is not None and (ended.state, ended.note) == (RunState.STOPPED, "li has denied it: too old")
    assert bench.home.registry.champion == "train-old" and bench.home.approvals.held() == []


def test_nobody_in_time_ends_the_run(bench: Bench) -> None:
    bench.begin()
    bench.go()
    bench.home.approvals._clock = lambda: 1e10 + 30 * DAY
    ended = bench.go().run
    assert ended is not None and "not approved within" in ended.note


def test_a_model_that_decides_otherwise_is_not_switched_to(bench: Bench) -> None:
    bench.coordinator.tilt = 1.0
    bench.begin()
    ended = bench.through()
    assert ended.state is RunState.STOPPED
    assert "rank correlation" in ended.note and "decided otherwise (most_otherwise 0.3)" in ended.note
    assert bench.home.registry.champion == "train-old"


def test_a_model_that_is_worse_than_the_champion_is_shown_to_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    worse = Challenge("train-old", 0.61, 0.7, Interval(-0.09, -0.12, -0.06, 0.001), 400, Steps(0.01, 0.01))
    rows = FeatureTable(Ids.of([]), None, {}, {})
    monkeypatch.setattr(BankRole, "beside", lambda self, model, champion: Measured(worse, rows))
    run = bench.begin()
    ended = bench.through()
    assert ended.state is RunState.STOPPED and "AUC 0.6100 against 0.7000 on 400 held-out rows" in ended.note
    assert list(bench.book.steps(run.run)) == [Step.FEATURES, Step.TRAIN, Step.CHALLENGE]


def test_too_few_rows_of_a_shadow_are_no_comparison(bench: Bench) -> None:
    assert bench.config.shadow is not None
    bench.config = bench.config.model_copy(update={"shadow": bench.config.shadow.model_copy(update={"least_rows": ROWS + 1})})
    bench.begin()
    assert f"{ROWS} rows of the shadow, fewer than {ROWS + 1}" in bench.through().note


def test_the_first_model_has_no_champion_beside_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, champion=False)
    run = bench.begin()
    assert bench.through().state is RunState.DONE
    steps = bench.book.steps(run.run)
    assert steps[Step.SHADOW].facts == {"skipped": "no champion yet"}
    assert steps[Step.CHALLENGE].facts == {"champion": None}
    assert len(bench.coordinator.listed) == 2


@pytest.mark.parametrize("kind", ["train", "score", "promote"])
def test_a_job_that_fails_ends_the_run_with_its_cause(bench: Bench, kind: str) -> None:
    bench.coordinator.fate[kind] = "failed"
    bench.begin()
    ended = bench.through()
    assert ended.state is RunState.STOPPED and f"job {kind}-" in ended.note
    assert bench.home.registry.champion == "train-old"


def test_a_job_that_a_party_holds_is_waited_for_and_not_submitted_again(bench: Bench) -> None:
    bench.coordinator.fate["promote"] = "held"
    bench.begin()
    assert bench.through().state is RunState.OPEN
    assert "held" in bench.go().rests and "held" in bench.go().rests
    (job,) = bench.coordinator.jobs(kind="promote")
    job.state = "succeeded"
    promote(bench.home, job.id, bench.reports[0])
    ended = bench.go().run
    assert ended is not None and ended.state is RunState.DONE and len(bench.coordinator.jobs(kind="promote")) == 1


def test_a_job_that_the_coordinator_has_forgotten_ends_the_run(bench: Bench) -> None:
    bench.begin()
    bench.coordinator.fate["train"] = "held"
    assert "job train-0 waits for people" in bench.go().rests
    bench.coordinator.listed.clear()
    ended = bench.go().run
    assert ended is not None and ended.note == "the coordinator knows job train-0 no more"


def test_what_people_say_of_a_run_counts_for_no_job_and_the_daemon_leaves_it_alone(bench: Bench) -> None:
    run = bench.begin()
    bench.go()
    gate = Gate(bench.home, "bank")
    assert gate.waiting() == []
    bench.say(run, "li")
    bench.say(run, "wang")
    assert gate._decided() == []
    held = bench.home.approvals.find(run.run)
    model = bench.book.steps(run.run)[Step.TRAIN].facts["model"]
    same = replace(held, digest=PromotePlan(model=model).digest().hex())
    assert bench.home.approvals.ruling(same).words == ()


def test_a_run_begins_when_it_is_time_or_at_alarms_that_nothing_has_answered(tmp_path: Path) -> None:
    bench = Bench(tmp_path, every_days=30, on_drift=True)
    assert cause(bench.config, None, [], 0.0) is not None
    run = bench.begin()
    assert cause(bench.config, run, [], run.at + 29.9 * DAY) is None
    assert cause(bench.config, run, [], run.at + 30 * DAY) == Cause("time: every 30 days")
    assert cause(bench.config, run, ["a", "b"], run.at) == Cause("drift: 2 new alarms", ("a", "b"))
    assert cause(bench.config, run, [], run.at - 3600) is None and cause(bench.config, run, [], run.at - 2 * DAY) is not None
    silent = bench.config.model_copy(update={"every_days": None, "on_drift": False})
    assert cause(silent, None, ["a"], 1e10) is None


def test_the_newest_run_is_the_last_that_began_also_by_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """A run of next year, begun by a wrong clock, stood before all later ones, and kept any from beginning until then."""
    at = [2e9]
    book = RunBook(tmp_path / "pipeline.sqlite", lambda: at[0])
    for name in ("first", "second"):
        book.begin(name, "monthly", "", (), "{}")
        book.end(name, RunState.DONE)
        at[0] = 1e9
    assert [run.run for run in book.runs(9)] == ["second", "first"]
    assert (newest := book.newest("monthly")) is not None and newest.run == "second"


def test_alarms_are_answered_by_the_run_that_began_for_them(bench: Bench) -> None:
    run = begin(bench.config, bench.book, Cause("drift: 1 new alarms", ("g1 2024-05",)))
    assert bench.home.history.answered() == set()
    bench.go()
    assert bench.home.history.answered() == {"g1 2024-05"} and run.alarms == ("g1 2024-05",)


def test_two_runs_of_one_pipeline_are_not_open_at_once(bench: Bench) -> None:
    run = bench.begin()
    with pytest.raises(JobStateError, match=f"run {run.run} of the pipeline monthly is not over"):
        bench.begin()
    end(bench.book, bench.home.approvals, run, RunState.STOPPED, "li: not now")
    assert bench.begin().run != run.run


def test_a_policy_that_asks_fewer_people_is_refused(bench: Bench) -> None:
    check(bench.config, bench.home)
    with pytest.raises(ConfigError, match=r"Set approvals = 3 under \[policy\]"):
        check(bench.config.model_copy(update={"people": 3}), bench.home)


def test_a_pipeline_says_what_of_it_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "score.toml").write_text(to_toml({"kind": "score", "model": "champion", **PLAN}))
    bench = Bench(tmp_path)
    with pytest.raises(PlanError, match=r"score.toml: not a training plan"):
        begin(bench.config.model_copy(update={"plan": tmp_path / "score.toml"}), bench.book, Cause("x"))
    whole = {"name": "m", "client": "c", "plan": "p"}
    shadow = {"grid_dataset": "a", "bank_dataset": "b"}
    for raw, says in (
        ({**whole, "name": "M"}, "name"),
        ({**whole, "evry_days": 1}, "did you mean 'every_days'"),
        ({**whole, "shadow": {**shadow, "months": ["newest"]}}, "by_period"),
        ({**whole, "shadow": {**shadow, "by_period": True, "months": ["May"]}}, "not a month"),
    ):
        (tmp_path / "wrong.toml").write_text(to_toml(raw))
        with pytest.raises(ConfigError, match=says):
            load_pipeline(tmp_path / "wrong.toml")


def test_paths_of_a_pipeline_are_relative_to_its_folder(tmp_path: Path) -> None:
    bench = Bench(tmp_path, features=[{"records": "records.toml", "out": "bank.parquet"}], reports="pages")
    (step,) = bench.config.features
    assert (step.records, step.out, step.quality) == (tmp_path / "records.toml", tmp_path / "bank.parquet", None)
    assert (bench.config.client, bench.config.reports) == (tmp_path / "client.toml", tmp_path / "pages")
    assert PipelineConfig.model_fields["shadow"].default is None and ShadowStep.model_fields["least_rows"].default == 200
