"""What one party's policy forbids ends the job, names that party and reaches the client."""

from __future__ import annotations

import pytest

from common.client.client import Client
from common.disclosure import Opened
from tests.scenarios.end_to_end.lab import BANK_POLICY, GRID_POLICY, Lab, fail, make_plan, make_tables, succeed

OWNED = {"weights": "owned", "reveal": "owners", "optimiser": "sgd", "batch": 1000, "epochs": 2}

NONE = {"dealer": "none", "link": "taylor", "reveal": "owners"}


@pytest.mark.parametrize(
    ("fields", "who", "why"),
    [
        ({"model": OWNED}, "either", "reveal = 'owners' (own_weights = false)"),
        ({"model": {"dealer": "half", "reveal": "owners"}}, "either", "dealer = 'half' (half_dealer = false)"),
        ({"model": NONE, "matching": "ecdh"}, "either", "dealer = 'none' (no_dealer = false)"),
        ({"limits": {"rows_per_column": 5}}, "either", "rows_per_column = 5 (at least 20)"),
        ({"preparation": {"min_binary": 2}}, "either", "min_binary = 2 (at least 50)"),
        ({"limits": {"min_rows": 10, "min_matched": 10}}, "either", "min_matched = 10 (at least 1000); min_rows = 10"),
        ({"model": {"weight_bits": 20}}, "either", "weight_bits = 20 (at most 8)"),
        ({"disclosures": [o.value for o in Opened]}, "either", "opening 'bank_weights'"),
    ],
    ids=["owned", "half", "none", "classes", "binary", "rows", "weights", "disclosures"],
)
def test_a_refusal_names_the_party(client: Client, fields: dict[str, object], who: str, why: str) -> None:
    origin, kind, message = fail(client, make_plan("main", **fields))
    assert (kind == "PolicyError" and origin == who) or (who == "either" and origin in ("grid", "bank"))
    assert message.startswith("this party's policy does not allow: ") and why in message


def test_owned_weights_train_where_both_allow_them(lab: Lab, client: Client) -> None:
    own = {"owned_weights": True, "own_weights": True}
    for name, policy in (("grid", GRID_POLICY), ("bank", BANK_POLICY)):
        lab.restart(name, policy={**policy, **own})
    lab.write("scratch", *make_tables("W"))
    origin, kind, message = fail(client, make_plan("scratch", model=OWNED))
    assert (origin, kind) == ("bank", "PolicyError") and "have been told as much of as the bank allows" in message
    lab.restart("bank", policy={**BANK_POLICY, **own, "label_bits": 64 * 12 * 2 / 1000})  # 64 bits of 12 columns, two steps
    job = succeed(client, make_plan("scratch", model=OWNED))
    found = {Opened(value) for value in (*job.grid.report.opened, *job.bank.report.opened)}
    assert found == make_plan("scratch", model=OWNED).needs and Opened.GRID_WEIGHTS not in found
    assert job.bank.report.evaluation.joint.auc > job.bank.report.evaluation.bank_only.auc + 0.05
