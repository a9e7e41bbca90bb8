"""The page about a network: its units and passes, at both companies and in both languages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from bank_party.report import page as bank
from common.party import Party
from common.plan.sections import AnySection
from common.report.card import Card
from common.report.evidence import gather
from common.report.page import Own, make
from common.report.texts import catalogue
from grid_party import report as grid
from tests.common.report.conftest import JOB, Job
from tests.common.report.test_page import SECTIONS, Outline

NETWORK = {"kind": "network", "hidden": 3, "epochs": 30, "early_stop": 1}
MAKE = {Party.GRID: grid.make_report, Party.BANK: bank.make_report}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return Job(tmp_path_factory.mktemp("network"), model=NETWORK)


@pytest.mark.parametrize("party", list(Party))
def test_the_page_says_how_many_passes_it_took_and_whose_weights_it_has(network: Job, party: Party) -> None:
    found = Outline(MAKE[party](network.data(party), JOB, "both").page).sections
    assert tuple(found) == SECTIONS[party]
    run = network.outcomes[party].counts["iterations"] // 7  # 919 rows in batches of 128
    assert 1 < run < 30
    assert f"{run} of 30, then no gain on rows held back; the weights are those of pass {run - 1}" in found["identity"]
    assert (
        "network of one hidden layer" in found["identity"]
        and "3, sine" in found["identity"]
        and "单隐层神经网络" in found["identity"]
    )
    assert "Nobody holds this model" in found["model"] and "Levels split" not in found["model"]


@pytest.mark.parametrize(("fields", "said"), [({"early_stop": None}, "\n30\n"), ({"epochs": None}, "all {}; the weights")])
def test_a_training_that_did_not_end_early_is_told_apart(network: Job, fields: dict[str, Any], said: str) -> None:
    evidence = gather(network.data(Party.GRID), JOB)
    run = evidence.record.counts["iterations"] // 7
    changed = {name: run if value is None and name == "epochs" else value for name, value in fields.items()}
    section = evidence.plan.model.model_copy(update=changed)
    other = replace(evidence, plan=evidence.plan.model_copy(update={"model": section}))
    assert said.format(run) in Outline(make(other, Own(("identity",)), "en", Card()).page).sections["identity"]


def test_every_kind_of_model_has_its_words() -> None:
    kinds = [get_args(one)[1].tag for one in get_args(get_args(AnySection)[0])]
    assert len(kinds) > 2 and [kind for kind in kinds if f"identity.learner_{kind}" not in catalogue()] == []
