"""The bank's page: the frame, and what held-out scores and labels say of the model."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from bank_party.decision import bundle
from bank_party.decision.bundle import Decision, HeldOut
from bank_party.monitor.overrides import OverridesConfig
from bank_party.report import figures, labels
from bank_party.report.backtest import Origin, find_origins
from bank_party.report.findings import bank_findings, of_overrides
from bank_party.report.judged import Judged, judge
from bank_party.report.overridden import Overridden, find_overridden
from bank_party.report.parts import FEW
from common.disk.data_folder import Name
from common.home.record import Record, Refit
from common.report.card import Card
from common.report.evidence import Evidence, gather
from common.report.page import Chart, Own, Report, make, sign
from common.report.texts import Choice, Words
from common.stats.few import LEAST

SECTIONS = (
    "summary", "findings", "card", "identity", "data", "features", "dictionary", "model", "stability",
    "ranking", "lift", "calibration", "grades", "comparison",
    "backtest", "segments", "decision", "swap", "overrides", "opened", "warnings", "sign",
)  # fmt: skip


def make_report(
    data: Path,
    job: str,
    choice: Choice,
    card: Card | None = None,
    finals: OverridesConfig | None = None,
    look: int | None = None,
) -> Report:
    """The report of a training job, from the bank's data folder; raises as `gather` and `find_overridden` do.

    finals: final decisions; look: which of them count, as of `find_overridden`.
    """
    evidence = gather(data, job, bundle.RULES)
    held = bundle.load(job, data / Name.MODELS / job)
    card = card or Card()
    overridden = find_overridden(data, job, finals, look)
    return make(evidence, own(evidence, held, card, find_origins(data, evidence, held), overridden), choice, card)


def own(
    evidence: Evidence, held: HeldOut, card: Card, origins: tuple[Origin, ...], overridden: Overridden | None = None
) -> Own:
    """The bank's part of the page; its back-test where there are several origins, overrides where officers have decided."""
    judged = judge(held)
    absent = {"backtest"} if not origins else set()
    absent |= {"overrides"} if overridden is None else set()
    return Own(
        tuple(name for name in SECTIONS if name not in absent),
        Path(__file__).parent,
        lambda words: (
            _values(evidence, held, judged, words)
            | {"meanings": _meanings(evidence.record, held.decision, card), "origins": origins, "overridden": overridden}
        ),
        _charts(evidence, held.decision, judged)
        | {
            "origin_auc": lambda words: figures.origin_auc(words, origins),
            "origin_rate": lambda words: figures.origin_rate(words, origins),
        },
        (*bank_findings(evidence.record, held, judged, card, origins), *of_overrides(overridden)),
        {} if overridden is None else {"overrides_look": overridden.look},
    )


def _meanings(record: Record, rules: Decision, card: Card) -> list[tuple[str, Any, str]]:
    """(column, what the card tells of it, the sign of its weight or, of a closed model, of what it explains)."""
    known = {c.name: c.joint for c in rules.coefficients if c.name == c.source}
    names = [feature.name for feature in record.features if feature.name in card.columns]
    return [(name, card.columns[name], sign(known.get(name))) for name in names]


def _values(evidence: Evidence, held: HeldOut, judged: Judged, words: Words) -> dict[str, Any]:
    return {
        "held": held,
        "judged": judged,
        "rules": held.decision,
        "few": FEW,
        "names": labels.of_parts(judged, words),
        "values": lambda text: labels.value(text, words),
        "distance": lambda refit, weight: _distance(refit, weight, evidence.record),
        "rising": _rising(held.decision),
    }


def _rising(rules: Decision) -> bool:
    """Whether observed rates rise from grade to grade, of those with enough rows to be shown."""
    rates = [grade.test.observed for grade in rules.grades if grade.test.rows >= LEAST and grade.test.observed is not None]
    return all(a < b for a, b in pairwise(rates))


def _distance(refit: Refit, weight: float, record: Record) -> float | None:
    """The distance from the trained weight, in standard errors of the difference: errors fall with the root of the rows."""
    if not refit.error:
        return None
    return (refit.value - weight) / (refit.error * math.sqrt(1 + refit.rows / record.counts["train_rows"]))


def _charts(evidence: Evidence, rules: Decision, judged: Judged) -> dict[str, Chart]:
    record, weights = evidence.record, rules.weights.tolist()
    return {
        "coefficients": lambda words: figures.coefficients(words, rules.coefficients),
        "refits": lambda words: figures.refits(words, weights, record.refits) if record.refits else None,
        "roc": lambda words: figures.roc(words, judged.joint_curve, judged.alone_curve),
        "ks": lambda words: figures.ks(words, judged.joint_curve, judged.joint.ks),
        "lift": lambda words: figures.lift(words, judged.joint_lifts, judged.alone_lifts),
        "gain": lambda words: figures.gain(words, judged.joint_lifts, judged.alone_lifts),
        "reliability": lambda words: figures.reliability(words, rules),
        "scores": lambda words: figures.scores(words, judged.scores),
        "grades": lambda words: figures.grades(words, rules),
        "strategy": lambda words: figures.strategy(words, judged.approved),
        "month_auc": lambda words: figures.month_auc(words, judged.months),
    }
