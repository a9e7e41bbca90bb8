"""Findings say what the figures say: each verdict from figures made to be so, and each limit at its border."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bank_party.decision import bundle
from bank_party.decision.bundle import Coefficient, HeldOut
from bank_party.report.findings import bank_findings, distance
from bank_party.report.judged import Judged, judge
from bank_party.report.parts import Part, score_psi
from common.home.record import Record, Refit
from common.party import Party
from common.report.card import Card, ColumnCard
from common.report.evidence import Evidence, gather
from common.report.findings import Finding, Verdict, common_findings, of_psi, within
from tests.common.report.conftest import JOB, Job


class Bank:
    """The evidence of a small job, to be changed."""

    def __init__(self, job: Job) -> None:
        data = job.data(Party.BANK)
        self.evidence: Evidence = gather(data, JOB, bundle.RULES)
        self.held: HeldOut = bundle.load(JOB, data / "models" / JOB)
        self.judged: Judged = judge(self.held)

    def found(
        self, check: str, *, record: Record | None = None, judged: Judged | None = None, card: Card | None = None
    ) -> Finding:
        record = record or self.evidence.record
        evidence = replace(self.evidence, record=record)
        of_all = (
            *bank_findings(record, self.held, judged or self.judged, card or Card()),
            *common_findings(evidence, card or Card()),
        )
        (one,) = [finding for finding in of_all if finding.check == check]
        return one


@pytest.fixture(scope="module")
def bank(job: Job) -> Bank:
    return Bank(job)


def test_a_limit_is_still_within() -> None:
    verdicts = [within(value, (0.1, 0.25)) for value in (0.1, 0.11, 0.25, 0.26)]
    assert verdicts == [Verdict.PASS, Verdict.ATTENTION, Verdict.ATTENTION, Verdict.FAIL]


def test_few_rows_are_not_said_to_have_moved_for_what_chance_does(bank: Bank) -> None:
    """A thousand pairs of draws of one kind, 60 rows against 300 in ten bins: none has moved, though many are above 0.1."""
    rng = np.random.default_rng(4)
    for psi, chance in (score_psi(rng.normal(size=300), rng.normal(size=60)) for _ in range(1000)):
        assert chance > 0.25 and of_psi("parts_psi", psi, chance).verdict is Verdict.PASS
    psi, chance = score_psi(rng.normal(size=300), rng.normal(2.0, size=60))
    assert (found := of_psi("parts_psi", psi, chance)).verdict is Verdict.FAIL and float(found.limit["first"]) > 0.25
    assert of_psi("parts_psi", 0.11, 0.01).verdict is Verdict.ATTENTION
    months = tuple(replace(month(400, 0.1, 0.1), psi=p, chance=c) for p, c in ((0.4, 0.5), (0.12, 0.05)))
    found = bank.found("score_psi", judged=replace(bank.judged, months=months))
    assert (found.verdict, found.value["psi"], found.limit["second"]) == (Verdict.ATTENTION, "0.120", "0.25")
    features = tuple(f.model_copy(update={"psi": 0.3, "chance": 0.4}) for f in bank.evidence.record.features)
    assert (
        bank.found("column_psi", record=bank.evidence.record.model_copy(update={"features": features})).verdict is Verdict.PASS
    )


def month(rows: int | None, rate: float, expected: float) -> Part:
    hidden = rows is None
    return Part(24, rows, None if hidden else rate, None if hidden else expected, None, None, None, None)


def test_a_month_is_off_by_what_its_rows_allow(bank: Bank) -> None:
    assert distance(month(400, 0.14, 0.10)) == pytest.approx(0.04 / (0.1 * 0.9 / 400) ** 0.5)
    cases = [
        ((month(400, 0.12, 0.10), month(None, 0.9, 0.1)), Verdict.PASS, "0", "1"),
        ((month(400, 0.14, 0.10), month(400, 0.10, 0.10)), Verdict.ATTENTION, "1", "2"),
        ((month(100_000, 0.11, 0.10),), Verdict.ATTENTION, "1", "1"),  # sure, and small
        ((month(1000, 0.14, 0.10),), Verdict.FAIL, "1", "1"),
    ]
    for months, verdict, count, of_all in cases:
        found = bank.found("months", judged=replace(bank.judged, months=months))
        assert (found.verdict, found.value["count"], found.value["all"]) == (verdict, count, of_all)


def test_signs_that_turn_weigh_by_their_part_of_the_score(bank: Bank) -> None:
    record = bank.evidence.record

    def turned(place: int) -> Record:
        refits = tuple(
            Refit(name=r.name, rows=r.rows, value=r.value, error=r.error, parts=(c.joint, -c.joint if k == place else c.joint))
            for k, (r, c) in enumerate(zip(record.refits, bank.held.decision.coefficients, strict=True))
        )
        return record.model_copy(update={"refits": refits})

    assert bank.found("signs", record=turned(-1)).verdict is Verdict.PASS
    for share, verdict in ((0.09, Verdict.ATTENTION), (-0.11, Verdict.FAIL)):
        rules = bank.held.decision
        first = rules.coefficients[0].model_copy(update={"share": share})
        changed = rules.model_copy(update={"coefficients": (first, *rules.coefficients[1:])})
        (found,) = [
            f for f in bank_findings(turned(0), replace(bank.held, decision=changed), bank.judged, Card()) if f.check == "signs"
        ]
        assert (found.verdict, found.value["count"]) == (verdict, "1")


def test_a_sign_against_the_declared_one_needs_attention(bank: Bank) -> None:
    one: Coefficient = next(c for c in bank.held.decision.coefficients if c.name == c.source == "debt")
    right = "+" if one.joint > 0 else "-"
    for sign, verdict in ((right, Verdict.PASS), ("-" if right == "+" else "+", Verdict.ATTENTION)):
        card = Card(columns={"debt": ColumnCard.model_validate({"sign": sign})})
        assert bank.found("expected", card=card).verdict is verdict
    assert bank.found("card", card=Card(purpose="limits")).value == {"told": "1", "all": "7"}


def test_enterprises_on_both_sides_of_a_split_by_row_need_attention(bank: Bank) -> None:
    record = bank.evidence.record
    assert bank.evidence.plan.split.by == "enterprise" and record.both_sides == 0
    assert bank.found("both_sides").verdict is Verdict.PASS
    found = bank.found("both_sides", record=record.model_copy(update={"both_sides": 3}))
    assert (found.verdict, found.value["count"]) == (Verdict.ATTENTION, "3")
    assert bank.found("out_of_time").verdict is Verdict.ATTENTION


def test_an_input_that_nearly_is_the_label_fails(bank: Bank) -> None:
    said = "column 'debt' all but is the label: by itself it ranks it with an AUC of 0.99: is it known before the outcome?"
    assert bank.found("leak").verdict is Verdict.PASS
    about = bank.evidence.model.about
    about["warnings"].append(f"{said} If not, leave it out")
    try:
        assert bank.found("leak").verdict is Verdict.FAIL
        assert bank.found("warnings").value["count"] == "0"
    finally:
        about["warnings"].pop()
