"""Plans of several banks, and that a plan of one bank is what it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bank_party.settings import BankPolicy
from common.disclosure import Opened
from common.errors import PlanError, PolicyError
from common.party import Identity
from common.plan.read import make_plan, parse_plan
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from grid_party.settings import GridPolicy
from tests.banks import several_plan


def named(*who: str) -> list[dict[str, str]]:
    return [{"who": one, "dataset": "x"} for one in who]


THREE = [f"wattscore://b{k}/bank-party" for k in range(3)]
ONE = {"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}}


def test_a_plan_of_one_bank_is_the_same_bytes_as_before_there_were_several() -> None:
    plan = make_plan(ONE, "plan")
    assert isinstance(plan, TrainPlan) and plan.kind == "train"
    assert "banks" not in plan.canonical() and '"bank":{"columns":["*"],"dataset":"loans"}' in plan.canonical()


def test_a_plan_of_several_crosses_the_network_as_it_was() -> None:
    plan = several_plan(3, keys=["id", "period"], split={"test": 0.25})
    again = parse_plan(plan.canonical())
    assert again == plan and again.digest() == plan.digest() and again.kind == "train"


def test_a_network_of_several_opens_no_more_than_a_linear_model_of_them() -> None:
    plan = several_plan(3, model={"kind": "network", "hidden": 4, "activation": "relu"})
    again = parse_plan(plan.canonical())
    assert again == plan and again.digest() == plan.digest() and again.line(1).model == plan.model
    assert plan.needs == several_plan(3).needs
    assert '"kind":"network"' in plan.canonical() and "network" not in several_plan(3).canonical()
    with pytest.raises(PolicyError, match="step = 12"):
        BankPolicy().check(several_plan(3, model={"kind": "network", "step": 12.0, "decay": 0.0001}))


def test_what_a_bank_and_the_grid_do_of_it_is_a_plan_of_one_bank() -> None:
    plan = several_plan(3, model={"iterations": 15})
    line = plan.line(2)
    assert line.split.by == "enterprise" and not line.split.stratify and line.model.iterations == 15
    assert Opened.POOLED_MOMENTS in line.allowed and line.needs <= line.allowed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"banks": [{"who": "wattscore://a/bank-party", "dataset": "x"}]}, "at least 2"),
        ({"banks": [{"who": f"wattscore://b{k}/bank-party", "dataset": "x"} for k in range(9)]}, "at most 8"),
        (
            {"banks": [{"who": "wattscore://a/one", "dataset": "x"}, {"who": "wattscore://a/two", "dataset": "x"}]},
            "organisation",
        ),
        ({"banks": [{"who": "acme", "dataset": "x"}, {"who": "wattscore://a/two", "dataset": "x"}]}, "not an identity"),
        ({"preparation": {"coding": "woe"}}, "pieces to the grid's columns"),
        ({"model": {"reveal": "owners"}}, "nobody holds the model"),
        ({"model": {"optimiser": "sgd"}}, "over all rows"),
        ({"disclosures": ["counts"]}, "pooled_moments"),
        ({"bank": {"dataset": "x"}}, "bank"),
        ({"challenge": True}, "'challenge': with several banks, promote compares"),
        ({"dealt": "ahead"}, "'dealt': with several banks all is dealt while the job runs"),
        ({"split": {"stratify": True}}, "'split.stratify': with several banks no label"),
        ({"min_live": 1}, "min_live"),
        ({"model": {"kind": "network", "dealer": "none"}}, "dealer"),
        ({"grid": "none", "banks": named(*THREE), "model": {"kind": "network"}}, "without a grid the model is linear"),
        ({"grid": "none", "banks": named(*THREE), "model": {"kind": "trees"}}, "without a grid the model is linear"),
        ({"min_live": 3}, "min_live: 2 to 2"),
        ({"leave_out_after": 5.0}, "it takes min_live"),
        ({"until": "2025-06"}, "until is of monthly rows"),
        ({"until": "June", "keys": ["id", "period"]}, "until"),
    ],
)
def test_what_several_banks_cannot_do_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    raw = {
        "grid": {"dataset": "m"},
        "banks": [{"who": f"wattscore://b{k}/bank-party", "dataset": "x"} for k in range(2)],
    } | change
    with pytest.raises(PlanError, match=said):
        make_plan(raw, "plan")


OWN, OTHER = "wattscore://bank-0/bank-party", "wattscore://bank-1/bank-party"


def test_a_bank_takes_part_with_banks_that_its_policy_lists_and_with_enough_of_them() -> None:
    plan, own = several_plan(2), Identity.parse(OWN)
    BankPolicy(with_banks=(OTHER,)).check_banks(plan, own)
    with pytest.raises(PolicyError, match=r"a bank wattscore://bank-1/bank-party \(with_banks\)"):
        BankPolicy().check_banks(plan, own)
    with pytest.raises(PolicyError, match="at least 3: min_banks"):
        BankPolicy(with_banks=(OTHER,), min_banks=3).check_banks(plan, own)
    differ = several_plan(3, differ_by_one=True)
    assert parse_plan(differ.canonical()) == differ and "differ_by_one" not in several_plan(3).canonical()
    others = tuple(str(who) for who in differ.identities)
    BankPolicy(with_banks=others).check_banks(differ, own)
    with pytest.raises(PolicyError, match=r"differ_by_one = true \(min_banks = 3\)"):
        BankPolicy(with_banks=others, min_banks=3).check_banks(differ, own)
    with pytest.raises(PolicyError, match="without wattscore://else"):
        BankPolicy(with_banks=(OWN, OTHER)).check_banks(plan, Identity("else", "bank-party"))


@pytest.mark.parametrize(
    ("rows", "floor", "strict", "refused"),
    [
        (601, 1.0, False, False),
        (600, 1.0, False, True),
        (301, 0.5, True, False),
        (1, 0.0, True, False),
        (601, None, True, False),
        (600, None, True, True),
    ],
)
def test_a_bank_wants_more_rows_in_a_step_than_a_coalition_sees_numbers(
    rows: int, floor: float | None, strict: bool, refused: bool
) -> None:
    policy = BankPolicy(coalition_rows=floor)
    assert GridPolicy().check_path(rows, 600, strict=strict) == ""  # the grid has no rows to lose
    if not refused:
        assert policy.check_path(rows, 600, strict=strict) == ""
        return
    with pytest.raises(PolicyError, match=r"600 of this bank's rows.*they would see 600 numbers") as told:
        policy.check_path(rows, 600, strict=strict)
    assert "more than 600 rows (coalition_rows = 1)" in str(told.value) and "coalition_rows = 0" in str(told.value)
    assert "600" not in told.value.public


def test_a_bank_that_has_said_nothing_of_coalitions_is_warned_of_a_linear_model() -> None:
    assert "600 of this bank's rows" in BankPolicy().check_path(600, 600, strict=False)
    assert BankPolicy().check_path(601, 600, strict=False) == ""


def test_a_plan_of_several_says_its_purpose_to_each_sides_grant() -> None:
    plan = several_plan(3, purpose="credit limits")
    assert plan.line(2).purpose == plan.line(0).purpose == "credit limits" and parse_plan(plan.canonical()) == plan
    assert "purpose" not in several_plan(3).canonical()


def test_a_plan_of_several_as_of_a_month_is_so_for_each_bank_and_also_without_a_grid() -> None:
    plan = several_plan(4, keys=["id", "period"], until="2025-06", min_live=2)
    assert {plan.line(k).until for k in range(4)} == {"2025-06"} and parse_plan(plan.canonical()) == plan
    assert plan.without([Identity("bank-1", "bank-party")]).until == "2025-06"
    assert several_plan(3, grid="none", keys=["id", "period"], until="2025-06").line(1).until == "2025-06"
    assert "until" not in several_plan(4).canonical()


def test_a_plan_goes_on_without_banks_as_far_as_it_says_and_policies_let_it() -> None:
    plan = several_plan(4, min_live=2, leave_out_after=5.0)
    assert "min_live" not in several_plan(4).canonical() and parse_plan(plan.canonical()) == plan
    gone = [Identity(f"bank-{k}", "bank-party") for k in (1, 3, 0)]
    trees = several_plan(4, min_live=2, model={"kind": "trees"})
    assert trees.without(gone[:2]).model == trees.model
    fewer = plan.without(gone[:2])
    assert [who.org for who in fewer.identities] == ["bank-0", "bank-2"] and plan.without(()) is plan
    assert fewer.line(1).bank.dataset == "loans" and fewer.digest() != plan.digest() and parse_plan(fewer.canonical()) == fewer
    for without, of in ((gone, plan), (gone[:1], several_plan(4)), ([Identity("else", "bank-party")], plan)):
        with pytest.raises(PlanError):
            of.without(without)
    for refusing in (BankPolicy(), GridPolicy()):
        with pytest.raises(PolicyError, match=r"min_live = 2 \(leave_out = false\)"):
            refusing.check(plan)
        refusing.model_copy(update={"leave_out": True}).check(plan)
    others = tuple(f"wattscore://bank-{k}/bank-party" for k in range(4))
    BankPolicy(with_banks=others, min_banks=2).check_banks(fewer, fewer.identities[0])
    with pytest.raises(PolicyError, match=r"min_live = 2 \(at least 3: min_banks\)"):
        BankPolicy(with_banks=others, min_banks=3).check_banks(plan, plan.identities[0])
    with pytest.raises(PlanError, match="min_live: 3 to 4"):
        alone(4, min_live=2)


def test_a_policys_floors_hold_for_plans_of_several_too() -> None:
    with pytest.raises(PolicyError, match="min_binary = 5"):
        BankPolicy(with_banks=(OTHER,)).check(several_plan(2, preparation={"min_binary": 5}))
    closed = tuple(o for o in Opened if o is not Opened.POOLED_MOMENTS)
    with pytest.raises(PolicyError, match="pooled_moments"):
        BankPolicy(may_open=closed).check(several_plan(2))
    BankPolicy().check(several_plan(2))


def alone(count: int = 3, **more: Any) -> SeveralPlan:
    plan = make_plan(json.loads(several_plan(count).canonical()) | {"grid": "none", "disclosures": None} | more, "plan")
    assert isinstance(plan, SeveralPlan)
    return plan


def test_banks_alone_open_no_ids_and_no_weights_of_a_grid() -> None:
    plan = alone()
    assert plan.alone and not plan.aided and several_plan(3).aided
    opened = {Opened.COUNTS, Opened.METRICS, Opened.POOLED_MOMENTS, Opened.POOLED_STEPS, Opened.POOLED_METRICS}
    assert plan.needs == opened and parse_plan(plan.canonical()) == plan
    assert '"grid":"none"' in plan.canonical() and not several_plan(3).alone


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"banks": named(OWN, OTHER)}, "three or more without a grid"),
        ({"differ_by_one": True}, "differ_by_one: not without a grid"),
        ({"model": {"iterations": 20}}, "model.iterations: without a grid the model takes ridge alone"),
        ({"grid": "nobody"}, "grid"),
        ({"disclosures": ["counts", "metrics", "pooled_moments", "pooled_metrics"]}, "pooled_steps"),
    ],
)
def test_what_banks_alone_cannot_do_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        alone(**change)


@pytest.mark.parametrize("policy", [BankPolicy, GridPolicy])
def test_banks_alone_need_the_word_of_each_policy_also_of_who_adds_up(policy: type[BankPolicy] | type[GridPolicy]) -> None:
    with pytest.raises(PolicyError, match=r"grid = 'none' \(banks_alone = false\)"):
        policy().check(alone())
    policy(banks_alone=True).check(alone())
    policy(banks_alone=True).check(several_plan(3))
    policy().check(several_plan(3))


def test_the_text_of_another_kind_is_no_plan_of_several() -> None:
    assert not isinstance(make_plan({**ONE, "kind": "score", "model": "train-1"}, "plan"), SeveralPlan)
