"""What a party refuses whatever the plan: each floor by itself, owned weights, disclosures, and all of it at once."""

from __future__ import annotations

from typing import Any

import pytest

from common.disclosure import Opened
from common.errors import PolicyError
from common.plan.policy import Policy
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import make_plan
from common.plan.train import Limits

SIDES: dict[str, Any] = {"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}}
OWNED = {"weights": "owned", "reveal": "owners", "optimiser": "sgd"}


def refusal(policy: Policy, **plan: Any) -> str:
    with pytest.raises(PolicyError) as caught:
        policy.check(make_plan({**SIDES, **plan}, "plan"))
    assert caught.value.remedy
    return caught.value.message


def check(policy: Policy, **plan: Any) -> None:
    policy.check(make_plan({**SIDES, **plan}, "plan"))


def test_plans_of_defaults_pass_a_policy_of_defaults() -> None:
    check(Policy())
    check(Policy(), keys=["id", "period"])
    check(Policy(), kind="score", model="job-1")


def test_ids_are_matched_as_the_policy_says() -> None:
    for kind in ({}, {"kind": "score", "model": "job-1"}):
        for one, other in (("neutral", "ecdh"), ("ecdh", "neutral")):
            check(Policy(), matching=one, **kind)
            check(Policy(matching=[one]), matching=one, **kind)
            assert refusal(Policy(matching=[other]), matching=one, **kind) == (
                f"this party's policy does not allow: matching = '{one}'"
            )
        assert "matching = 'neutral'" in refusal(Policy(matching=["ecdh"]), **kind)  # the default of plans


@pytest.mark.parametrize("name", [*Limits.model_fields, "min_binary", "min_bin_rows"])
def test_a_plan_below_a_floor_is_refused_and_one_on_it_is_not(name: str) -> None:
    least = getattr(Policy(), name)
    section = "limits" if name in Limits.model_fields else "preparation"
    expected = f"this party's policy does not allow: {name} = {least - 1} (at least {least})"
    assert refusal(Policy(), **{section: {name: least - 1}}) == expected
    check(Policy(), **{section: {name: least}})
    check(Policy(**{name: 2}), **{section: {name: 2}})


def test_the_number_that_counts_of_labels_are_held_against_is_the_policys_and_no_plans() -> None:
    """A client that chose it, one job after another, would read the counts of a bin from which of its bins are merged."""
    for asked in (4, 6, 20):
        text = refusal(Policy(), preparation={"coding": "woe", "min_bin_class": asked})
        assert text == f"this party's policy does not allow: min_bin_class = {asked} (only 5)"
    check(Policy(), preparation={"coding": "woe"})
    check(Policy(min_bin_class=6), preparation={"coding": "woe", "min_bin_class": 6})
    check(Policy(min_bin_class=6), preparation={"coding": "bins"})  # no label is looked at


def test_a_party_may_refuse_promotions_and_what_scoring_tells_of_drift() -> None:
    plan = PromotePlan(model="job-1")
    Policy().check(plan)
    with pytest.raises(PolicyError, match="promotions = false"):
        Policy(promotions=False).check(plan)
    silent = Policy(may_open=tuple(set(Opened) - {Opened.DRIFT, Opened.GRADIENTS}))
    assert "opening 'drift'" in refusal(silent, kind="score", model="job-1")
    check(silent, kind="score", model="job-1", drift=False)


def test_every_limit_of_a_plan_has_a_floor() -> None:
    assert Limits.model_fields.keys() <= Policy.model_fields.keys()


def test_owned_weights_are_refused_by_default() -> None:
    text = refusal(Policy(), model=OWNED)
    assert "opening 'gradients'" in text
    assert "weights = 'owned'" in text
    check(Policy(owned_weights=True, own_weights=True), model=OWNED)


def test_allowing_gradients_to_be_opened_does_not_allow_owned_weights() -> None:
    assert refusal(Policy(may_open=tuple(Opened), own_weights=True), model=OWNED).endswith(": weights = 'owned'")


COURSE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "min_iterations": ({"model": {"iterations": 9}}, {"model": {"iterations": 10}}),
    "min_batch": ({"model": {"optimiser": "sgd", "batch": 999}}, {"model": {"optimiser": "sgd", "batch": 1000}}),
    "largest_step": ({"model": {"step": 10.1}}, {"model": {"step": 10.0}}),
    "smallest_ridge": ({"model": {"ridge": 0.0}}, {"model": {"ridge": 1e-6}}),
    "largest_clip": ({"preparation": {"clip": 10.5}}, {"preparation": {"clip": 10.0}}),
}
LOOSE = {"min_iterations": 1, "min_batch": 1, "largest_step": 16.0, "smallest_ridge": 0.0, "largest_clip": 1e9}


@pytest.mark.parametrize("name", COURSE)
def test_a_course_of_training_that_tells_of_few_rows_is_refused(name: str) -> None:
    bad, good = COURSE[name]
    ((key, value),) = (item for item in next(iter(bad.values())).items() if item[0] != "optimiser")
    assert f": {key} = {value} (at " in refusal(Policy(), **bad)
    check(Policy(), **good)
    check(Policy(**{name: LOOSE[name]}), **bad)


def test_overrides_are_off_unless_a_policy_allows_them() -> None:
    for name in ("force", "anew"):
        plan = PromotePlan.model_validate({"model": "job-1", name: True})
        for policy in (Policy(), Policy(overrides=tuple({"force", "anew"} - {name}))):
            with pytest.raises(PolicyError, match=f"{name} = true"):
                policy.check(plan)
        Policy(overrides=(name,)).check(plan)


@pytest.mark.parametrize("finest", [4, 8, 20])
def test_weights_are_opened_no_finer_than_allowed(finest: int) -> None:
    policy = Policy(finest_weight_bits=finest)
    check(policy, model={"weight_bits": finest})
    if finest < 20:
        text = refusal(policy, model={"weight_bits": finest + 1})
        assert f"weight_bits = {finest + 1} (at most {finest})" in text


def test_scores_are_opened_no_finer_than_allowed_in_both_kinds_of_plan() -> None:
    for kind in ({}, {"kind": "score", "model": "job-1"}):
        check(Policy(finest_score_bits=6), score_bits=6, **kind)
        assert "score_bits = 7 (at most 6)" in refusal(Policy(finest_score_bits=6), score_bits=7, **kind)


def test_reasons_of_the_grid_are_refused_by_default_and_so_many_allowed() -> None:
    asked = {"kind": "score", "model": "job-1", "grid_reasons": 1}
    text = refusal(Policy(), **asked)
    assert "opening 'grid_reasons'" in text and "grid_reasons = 1 (at most 0)" in text
    assert refusal(Policy(may_open=tuple(Opened)), **asked).endswith(": grid_reasons = 1 (at most 0)")
    check(Policy(reasons_per_row=1), **asked)
    assert refusal(Policy(reasons_per_row=1), **{**asked, "grid_reasons": 2}).endswith(": grid_reasons = 2 (at most 1)")


@pytest.mark.parametrize("opened", [o for o in Opened if o is not Opened.GRADIENTS])
def test_nothing_is_opened_that_the_policy_does_not_list(opened: Opened) -> None:
    every = [o.value for o in Opened if o is not Opened.GRADIENTS]
    policy = Policy(may_open=tuple(o for o in Opened if o is not opened))
    for kind in ({}, {"kind": "score", "model": "job-1"}):
        assert f"opening {opened.value!r}" in refusal(policy, disclosures=every, **kind)


def test_a_disclosure_listed_without_need_is_refused_too() -> None:
    every = [o.value for o in Opened]
    text = refusal(Policy(), disclosures=every)
    assert text.endswith(
        ": "
        + "; ".join(f"opening '{o}'" for o in ("bank_weights", "gradients", "grid_reasons", "grid_weights", "pooled_steps"))
    )


def test_the_message_names_all_problems() -> None:
    policy = Policy(may_open=(Opened.MATCHED_IDS, Opened.COUNTS), finest_weight_bits=6)
    text = refusal(
        policy,
        limits={"min_matched": 10, "min_rows": 20, "rows_per_column": 3},
        preparation={"min_binary": 5},
        model={**OWNED, "batch": 64},
    )
    for problem in (
        "opening 'split'", "opening 'gradients'", "opening 'test_scores'", "opening 'metrics'", "min_matched = 10",
        "min_rows = 20", "rows_per_column = 3", "min_binary = 5",
        "weights = 'owned'", "batch = 64", "weight_bits = 8",
    ):  # fmt: skip
        assert problem in text, problem
    assert "opening 'counts'" not in text


def test_a_policy_of_unknown_or_senseless_keys_is_refused() -> None:
    for raw in (
        {"min_match": 1},
        {"min_matched": 0},
        {"finest_weight_bits": 3},
        {"scores_per_row": 0},
        {"may_open": ["rows"]},
    ):
        with pytest.raises(ValueError, match=next(iter(raw))):
            Policy.model_validate(raw)


def test_a_predealing_plan_opens_counts_and_nothing_else() -> None:
    plan = PredealPlan.model_validate({"rows": 2000, "grid_columns": 10, "bank_columns": 4})
    Policy().check(plan)
    with pytest.raises(PolicyError, match="opening 'counts'"):
        Policy(may_open=(Opened.MATCHED_IDS,)).check(plan)
