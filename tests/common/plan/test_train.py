"""Plans: their defaults, the bytes both parties hash, and everything a plan is refused for, by name."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.disclosure import Opened
from common.errors import ConfigError, PlanError
from common.home.stocks import predealt
from common.learn.linear.deal import TrainingDemand
from common.learn.linear.steps import STEP, make_steps, make_work
from common.mpc.link import Fourier, Taylor
from common.party import Party
from common.plan.linear import Model
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import load_plan, make_plan, parse_plan
from common.plan.request import Request
from common.plan.score import ScorePlan
from common.plan.train import TrainPlan

SIDES: dict[str, Any] = {"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}}
WEIGHTS = {Opened.GRID_WEIGHTS, Opened.BANK_WEIGHTS}
TRAINING = {
    Opened.MATCHED_IDS, Opened.COUNTS, Opened.SPLIT, Opened.TRAINING_CHECK, Opened.TEST_SCORES, Opened.METRICS,
}  # fmt: skip
# The canonical bytes of a plan of defaults. A change here breaks every stored digest and needs a new protocol version.
TRAIN_DIGEST = "dcda0eaf89a7bb7e2fb6153b356ff2c4e36d6da915d4188a561b80acacfde7f6"
PREDEAL_DIGEST = "f7c6a76ecf170e68e4885b56304f04a9b6a89b7619fbf750c882fe8da3811ec7"
SCORE_DIGEST = "aa3f99ca1039e055926647a5d0dcd10cb2ffd4e75251b2739ee9474f85b1cd56"
PROMOTE_DIGEST = "0f098cb4915c7347a20daf9cffc793735b21401edfbe9b64d537fb394c1fc60e"


def train(**more: Any) -> TrainPlan:
    plan = make_plan({**SIDES, **more}, "plan")
    assert isinstance(plan, TrainPlan)
    return plan


def score(**more: Any) -> ScorePlan:
    plan = make_plan({**SIDES, "kind": "score", "model": "job-1", **more}, "plan")
    assert isinstance(plan, ScorePlan)
    return plan


def predeal(**more: Any) -> PredealPlan:
    plan = make_plan({"kind": "predeal", "rows": 1000, "grid_columns": 10, "bank_columns": 4, **more}, "plan")
    assert isinstance(plan, PredealPlan)
    return plan


def test_the_defaults_are_the_safe_and_stated_ones() -> None:
    plan = train()
    assert plan.grid.columns == plan.bank.columns == ("*",)
    assert (plan.keys, plan.disclosures, plan.split.test, plan.split.stratify) == (("id",), None, 0.3, True)
    assert (plan.model.weights, plan.model.optimiser, plan.model.iterations, plan.model.weight_bits) == (
        "shared",
        "nesterov",
        12,
        8,
    )
    assert plan.limits.model_dump() == {
        "min_matched": 1000,
        "min_rows": 1000,
        "rows_per_column": 20,
    }
    assert plan.side(Party.GRID).dataset == "meters"
    assert plan.side(Party.BANK).dataset == "loans"


def test_a_plan_needs_what_its_computation_opens_and_allows_no_more_by_default() -> None:
    assert train().needs == train().allowed == TRAINING
    periods = {Opened.PERIOD_RANGE, Opened.MATCHED_ROWS}
    assert train(keys=["id", "period"]).needs == TRAINING | periods
    assert train(model={"reveal": "owners"}).needs == TRAINING | WEIGHTS
    owned = train(model={"weights": "owned", "reveal": "owners", "optimiser": "sgd"})
    assert owned.needs == TRAINING - {Opened.TRAINING_CHECK} | {Opened.GRADIENTS}
    assert score().needs == {Opened.MATCHED_IDS, Opened.COUNTS, Opened.SCORES, Opened.DRIFT}
    assert score(drift=False).needs == {Opened.MATCHED_IDS, Opened.COUNTS, Opened.SCORES}
    assert train(preparation={"coding": "bins"}).needs == TRAINING
    assert train(preparation={"coding": "woe"}).needs == TRAINING | {Opened.BIN_COUNTS}
    assert score(keys=["id", "period"]).needs == score().needs | periods


def test_disclosures_may_say_more_than_needed_and_then_allow_it() -> None:
    every = [opened.value for opened in Opened]
    assert train(disclosures=every).allowed == frozenset(Opened)
    assert score(disclosures=every).allowed == frozenset(Opened)


@pytest.mark.parametrize("lacking", sorted(TRAINING, key=lambda opened: opened.value))
def test_disclosures_that_lack_a_needed_value_are_refused(lacking: Opened) -> None:
    with pytest.raises(PlanError, match=f"disclosures lack what this plan needs: {lacking.value}$"):
        train(disclosures=[opened.value for opened in TRAINING - {lacking}])


@pytest.mark.parametrize("plan", [train(), score(), predeal(), PromotePlan(model="job-1")], ids=lambda plan: plan.kind)
def test_the_canonical_bytes_are_pinned(plan: Request) -> None:
    pinned = {"train": TRAIN_DIGEST, "score": SCORE_DIGEST, "predeal": PREDEAL_DIGEST, "promote": PROMOTE_DIGEST}
    assert plan.digest().hex() == pinned[plan.model_dump()["kind"]]


def test_a_move_names_a_model_or_rolls_back() -> None:
    for raw in ({}, {"action": "rollback", "model": "job-1"}, {"action": "rollback", "anew": True}):
        with pytest.raises(PlanError, match=r"promote needs a model|anew begins"):
            make_plan({"kind": "promote", **raw}, "plan")
    plan = make_plan({"kind": "promote", "action": "rollback"}, "plan")
    assert PromotePlan(model="job-1").allowed == {Opened.COUNTS, Opened.METRICS}
    assert plan.allowed == {Opened.COUNTS} and parse_plan(plan.canonical()) == plan


def test_the_canonical_json_names_every_field_in_order() -> None:
    raw = json.loads(train().canonical())
    assert list(raw) == sorted(TrainPlan.model_fields.keys() - {"with_bank", "purpose", "until"})  # only where a plan has one
    assert raw["model"].keys() == Model.model_fields.keys()
    assert " " not in train(name="a").canonical()
    assert "é" in train(name="café").canonical()


models = st.fixed_dictionaries(
    {
        "link": st.sampled_from(["fourier", "taylor"]),
        "period": st.none() | st.sampled_from([8, 16, 32]),
        "terms": st.integers(4, 32),
        "iterations": st.integers(1, 1000),
        "step": st.none() | st.floats(0.0, 16.0, exclude_min=True),
        "ridge": st.floats(0.0, 10.0),
        "weight_bits": st.integers(4, 20),
    }
)


@given(
    model=models,
    name=st.text(max_size=100),
    test=st.floats(0, 1, exclude_min=True, exclude_max=True),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_plan_survives_its_canonical_json(model: dict[str, Any], name: str, test: float, seed: int) -> None:
    plan = train(model=model, name=name.encode("utf-8", "replace").decode(), split={"test": test, "seed": seed})
    again = parse_plan(plan.canonical())
    assert again == plan
    assert again.canonical() == plan.canonical()
    assert again.digest() == plan.digest()


def test_two_plans_that_differ_anywhere_have_different_digests() -> None:
    plans = [
        train(),
        train(name="x"),
        train(split={"seed": 1}),
        train(model={"ridge": 0.0}),
        score(),
        score(model="job-2"),
    ]
    assert len({plan.digest() for plan in plans}) == len(plans)


def test_order_and_spelled_out_defaults_do_not_change_the_digest() -> None:
    assert train(split={"test": 0.3, "seed": 42}).digest() == train(split={"seed": 42}).digest() == train().digest()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"splt": {}}, "unknown key 'splt', did you mean 'split'?"),
    ({"model": {"iteration": 3}}, "unknown key 'model.iteration', did you mean 'iterations'?"),
    ({"grid": {"dataset": "m", "colums": ["a"]}}, "unknown key 'grid.colums', did you mean 'columns'?"),
    ({"zzzzzz": 1}, "unknown key 'zzzzzz'"),
    ({"grid": {}}, "missing key 'grid.dataset'"),
    ({"grid": {"dataset": "m", "columns": []}}, "grid.columns: "),
    ({"keys": ["period"]}, 'keys must be ["id"] or ["id", "period"]'),
    ({"keys": ["id", "id"]}, 'keys must be ["id"] or ["id", "period"]'),
    ({"keys": ["id", "day"]}, "keys.1: "),
    ({"disclosures": ["rows"]}, "disclosures.0: "),
    ({"model": {"weights": "owned"}}, "owned weights go with optimiser = 'sgd'"),
    ({"model": {"period": 12}}, "period must be a power of two from 8 to 4096"),
    ({"model": {"period": 4}}, "period must be a power of two from 8 to 4096"),
    ({"model": {"period": 8192}}, "period must be a power of two from 8 to 4096"),
    ({"model": {"period": 0}}, "period must be a power of two from 8 to 4096"),
    ({"model": {"period": -16}}, "period must be a power of two from 8 to 4096"),
    ({"model": {"weight_bits": 3}}, "model.weight_bits: "),
    ({"model": {"weight_bits": 21}}, "model.weight_bits: "),
    ({"model": {"ridge": float("nan")}}, "model.ridge: "),
    ({"model": {"step": 0}}, "model.step: "),
    ({"preparation": {"clip": float("inf")}}, "preparation.clip: "),
    ({"preparation": {"monotone": True}}, "monotone bins go with coding = 'woe'"),
    ({"preparation": {"bins": 1}}, "preparation.bins: "),
    ({"preparation": {"coding": "woe", "min_bin_class": 0}}, "preparation.min_bin_class: "),
    ({"split": {"test": 0}}, "split.test: "),
    ({"split": {"test": 1}}, "split.test: "),
    ({"split": {"seed": -1}}, "split.seed: "),
    ({"split": {"seed": 2**63}}, "split.seed: "),
    ({"limits": {"min_matched": 0}}, "limits.min_matched: "),
    ({"limits": {"min_per_class": 50}}, "unknown key 'limits.min_per_class'"),
    ({"name": "x" * 101}, "name: "),
    ({"kind": "scoring"}, "kind 'scoring' is not known. Use one of: train, score, predeal, promote."),
    ({"kind": ["train"]}, "kind ['train'] is not known"),
    ({"kind": "score"}, "missing key 'model'"),
    ({"dealt": "ahead", "model": {"optimiser": "sgd"}}, "only optimiser = 'nesterov' can be dealt ahead"),
    ({"kind": "predeal", "rows": 9, "grid_columns": 2, "bank_columns": 2}, "unknown key 'grid'"),
    ({"kind": "score", "model": "j", "split": {}}, "unknown key 'split'"),
]


@pytest.mark.parametrize(("raw", "text"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_a_wrong_plan_is_refused_by_name(raw: dict[str, Any], text: str) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan({**SIDES, **raw}, "risk.toml")
    assert str(caught.value).startswith("risk.toml: ")
    assert text in str(caught.value)


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        make_plan({"grid": {"dataset": "m"}, "model": {"terms": 1, "epochs": 0}}, "plan")
    assert all(part in str(caught.value) for part in ("missing key 'bank'", "model.terms: ", "model.epochs: "))


def test_a_plan_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        train().name = "x"  # type: ignore[misc]


@pytest.mark.parametrize(("period", "terms"), [(64, 3), (4096, 32), (128, 6)])
def test_a_link_that_is_far_off_or_amplifies_is_refused(period: int, terms: int) -> None:
    with pytest.raises(PlanError, match="poor link"):
        train(model={"period": period, "terms": terms})


def test_steps_that_could_leave_the_ring_are_refused_with_the_numbers() -> None:
    model = train(model={"optimiser": "sgd", "batch": 1, "step": 4.0}).model
    with pytest.raises(PlanError, match=r"past what the ring holds \(expected at most 48, got 256\)"):
        make_steps(model, 10_000, 9)
    assert len(make_steps(train(model={"optimiser": "sgd", "batch": 1024, "step": 1.0}).model, 100_000, 9)) == 5 * 97


def test_too_many_steps_are_refused_before_they_are_made() -> None:
    model = Model(optimiser="sgd", epochs=1, batch=1, step=0.01)
    assert len(make_steps(model, 100_000, 9)) == 100_000
    with pytest.raises(PlanError, match=r"too many steps .*at most 100000, got 100001"):
        make_steps(model, 100_001, 9)
    with pytest.raises(PlanError, match=r"too many steps .*got 1000000000"):
        make_steps(Model(optimiser="sgd", epochs=1000, batch=1, step=0.01), 10**6, 9)


def test_the_links_and_their_default_periods() -> None:
    assert Model().make_link() == Fourier(Fraction(256, 7), 5)
    assert Model(period=64, terms=16).make_link() == Fourier(64, 16)
    assert Model(period=64).make_link() == Fourier(64, 9)
    assert Model(dealer="half", reveal="owners").make_link() == Fourier(32, 8, odd=False)
    assert Model(dealer="half", reveal="owners", period=16).make_link() == Fourier(16, 8, odd=False)
    assert Model(dealer="half", reveal="owners", period=64).make_link() == Fourier(64, 16, odd=False)
    assert Model(dealer="half", reveal="owners", period=64, terms=11).make_link() == Fourier(64, 11, odd=False)
    assert Model(link="taylor").make_link() == Taylor(128)
    assert Model(link="taylor", period=256).make_link() == Taylor(256)


def test_the_steps_of_both_optimisers() -> None:
    steps = make_steps(Model(iterations=4), 1000, 9)
    assert [(s.number, s.low, s.high, s.size) for s in steps] == [(t, 0, 1000, STEP) for t in range(4)]
    batches = make_steps(Model(optimiser="sgd", epochs=2, batch=400, step=0.5), 1000, 9)
    assert {s.size for s in batches} == {0.5}
    assert [(s.number, s.low, s.high) for s in batches] == [(0, 0, 400), (1, 400, 1000), (2, 0, 400), (3, 400, 1000)]


def test_sizes_beyond_the_fixed_point_budget_are_the_plans_fault() -> None:
    with pytest.raises(PlanError, match="fractional bits"):
        make_steps(Model(), 2**40, 9)


def test_a_predealing_plan_is_of_one_trainings_size_and_opens_counts() -> None:
    plan = predeal(model={"iterations": 6})
    assert parse_plan(plan.canonical()) == plan
    assert plan.allowed == {Opened.COUNTS}
    work = make_work(plan.model, cast(TrainingDemand, predealt(plan).demand))
    assert (work.rows, work.columns, len(work.steps)) == (1000, {Party.GRID: 10, Party.BANK: 4}, 6)
    for wrong in ({"rows": 0}, {"bank_columns": 0}, {"model": {"optimiser": "sgd"}}):
        with pytest.raises(PlanError):
            predeal(**wrong)


def test_steps_over_zero_rows_average_over_those_of_data() -> None:
    for step in make_steps(Model(iterations=8), 1250, 9, 1000):
        assert step.rows == 1250
        assert step.scales(Model().make_link()).step_over_n == pytest.approx(STEP / 1000)


def test_only_shared_weights_are_rounded_before_they_are_opened() -> None:
    assert Model(weight_bits=6, reveal="owners").revealed_bits == 6
    assert Model(weight_bits=6).revealed_bits == 20 and Model().closed
    assert Model(weights="owned", reveal="owners", optimiser="sgd").revealed_bits is None
    with pytest.raises(ValueError, match="go with reveal = 'owners'"):
        Model(weights="owned", optimiser="sgd")


TOML = """
name = "joint risk"
keys = ["id", "period"]
[grid]
dataset = "meters"
columns = ["kwh", "peak"]
[bank]
dataset = "loans"
[split]
test = 0.25
[model]
optimiser = "sgd"
"""


def test_a_plan_is_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(TOML)
    plan = load_plan(file)
    assert isinstance(plan, TrainPlan)
    assert (plan.name, plan.keys, plan.grid.columns) == ("joint risk", ("id", "period"), ("kwh", "peak"))
    assert (plan.split.test, plan.model.optimiser) == (0.25, "sgd")
    file.write_text('kind = "score"\nmodel = "job-7"\n[grid]\ndataset = "m"\n[bank]\ndataset = "l"\n')
    again = load_plan(file)
    assert isinstance(again, ScorePlan)
    assert (again.model, again.min_matched) == ("job-7", 1)


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        (
            None,
            ConfigError,
            "plan.toml: cannot be read (No such file or directory). Check the path and its permissions.",
        ),
        (b"[grid\n", ConfigError, "plan.toml: not valid TOML: "),
        (b'name = "\xff"\n', ConfigError, "plan.toml: not valid TOML: "),
        (b"", PlanError, "plan.toml: missing key 'grid'; missing key 'bank'"),
        (TOML.replace("[split]", "[splits]").encode(), PlanError, "unknown key 'splits', did you mean 'split'?"),
    ],
    ids=["no file", "syntax", "encoding", "empty", "unknown"],
)
def test_files_that_cannot_be_read_say_which_and_why(
    tmp_path: Path, content: bytes | None, kind: type[Exception], text: str
) -> None:
    file = tmp_path / "plan.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(kind) as caught:
        load_plan(file)
    assert str(file) in str(caught.value)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "[1]", '"train"', "null", '{"kind": 3}'], ids=lambda text: text[:12] or "empty"
)
def test_text_from_the_network_that_is_no_plan_is_a_plan_error(text: str) -> None:
    with pytest.raises(PlanError):
        parse_plan(text)


def test_a_plan_without_a_kind_is_a_training_plan() -> None:
    assert parse_plan(json.dumps(SIDES)) == train()


@pytest.mark.parametrize(
    ("keys", "split", "by"),
    [
        (["id"], {}, "row"),
        (["id", "period"], {}, "enterprise"),
        (["id", "period"], {"test": 0.2, "seed": 3}, "enterprise"),
        (["id", "period"], {"by": "row"}, "row"),
        (["id", "period"], {"by": "time"}, "time"),
    ],
)
def test_months_are_split_by_enterprise_unless_the_plan_says_how(keys: list[str], split: dict[str, Any], by: str) -> None:
    made = TrainPlan.model_validate({"keys": keys, "split": split, "grid": {"dataset": "a"}, "bank": {"dataset": "b"}})
    assert made.split.by == by
    assert made.mixes_enterprises is (by == "row" and "period" in keys)
    assert parse_plan(made.canonical(), "again") == made
