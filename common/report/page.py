"""Evidence to one HTML page: sections, charts, words. Nothing outside is named in it: no script, no font, no address."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bank_party.decision.bundle import Decision
from bank_party.judge.refit import Refit
from bank_party.report import labels
from bank_party.report.judged import Judged, judge
from bank_party.report.parts import FEW
from common.disclosure import CATALOGUE
from common.home.record import Record
from common.party import Party
from common.report import figures, numbers
from common.report.charts import style
from common.report.columns import remarks
from common.report.evidence import Evidence
from common.report.texts import TAGS, Choice, Words
from common.stats.few import LEAST, hidden

BANK = (
    "summary", "identity", "data", "features", "model", "stability", "ranking", "lift", "calibration", "grades", "comparison",
    "segments", "decision", "swap", "opened", "warnings", "sign",
)  # fmt: skip
GRID = ("summary", "identity", "data", "features", "model", "stability", "opened", "warnings", "sign")
SECTIONS = {Party.BANK: BANK, Party.GRID: GRID}

_TEMPLATES = Path(__file__).with_name("templates")
_MOST_BINS = 40  # columns whose bins are listed


def render(evidence: Evidence, choice: Choice) -> str:
    """The page in one language or, by a switch, in both."""
    words = Words(choice)
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= numbers.FILTERS
    environment.globals |= {"t": words, "least": LEAST, "hidden": hidden, "shown": numbers.shown}
    judged = judge(evidence.held) if evidence.held is not None else None
    with style():
        charts = _charts(evidence, judged, words)
    return environment.get_template("page.html.j2").render(
        e=evidence, judged=judged, rules=evidence.held.decision if evidence.held else None, sections=SECTIONS[evidence.party],
        party=evidence.party.value, record=evidence.record, model=evidence.model, words=words, tags=TAGS,
        charts=charts, remarks=remarks(evidence), opened=_opened(evidence, words),
        features=_features(evidence), binned=_binned(evidence), months=_months(evidence), few=FEW,
        names=labels.of_parts(judged, words) if judged else {}, values=lambda text: labels.value(text, words),
        distance=lambda refit, weight: _distance(refit, weight, evidence.record),
        rising=_rising(evidence.held.decision) if evidence.held else None,
    )  # fmt: skip


def _rising(rules: Decision) -> bool:
    rates = [grade.test.observed for grade in rules.grades if grade.test.rows >= LEAST and grade.test.observed is not None]
    return all(a < b for a, b in pairwise(rates))


def _distance(refit: Refit, weight: float, record: Record) -> float | None:
    """Of the trained weight, in standard errors of the difference: errors fall with the root of the rows."""
    if not refit.error:
        return None
    return (refit.value - weight) / (refit.error * math.sqrt(1 + refit.rows / record.counts["train_rows"]))


def _months(evidence: Evidence) -> list[tuple[Any, bool, bool]]:
    """(month, whether its training, its held-out cells are hidden); () without periods."""
    found = [month for month in evidence.record.months if month.period is not None]
    train, held = hidden([m.train for m in found]), hidden([m.held for m in found])
    return [(m, bool(a), bool(b)) for m, a, b in zip(found, train, held, strict=True)]


def _features(evidence: Evidence) -> list[Any]:
    """By falling information value, of the bins the model uses where there are any; the others in their order."""
    values = {column["name"]: column["iv"] for column in (evidence.selection or {"columns": []})["columns"]}
    found = [f.model_copy(update={"iv": values.get(f.name, f.iv)}) for f in evidence.record.features]
    return sorted(found, key=lambda f: (f.iv is None, -(f.iv or 0.0)))


def _binned(evidence: Evidence) -> list[dict[str, Any]]:
    """Columns with counted bins, for the table of weights of evidence."""
    columns = (evidence.selection or {"columns": []})["columns"]
    return [column for column in columns if column["iv"] is not None][:_MOST_BINS]


def _opened(evidence: Evidence, words: Words) -> list[dict[str, Any]]:
    """What the plan allows, in the order of the list."""
    return [
        {
            "what": words.disclosed(value)[0],
            "why": words.disclosed(value)[1],
            "to": [words(f"party.{who}") for who in entry.to],
            "seen": value.value in evidence.record.opened,
        }
        for value, entry in CATALOGUE.items()
        if value in evidence.plan.allowed
    ]


def _charts(evidence: Evidence, judged: Judged | None, words: Words) -> dict[str, Markup | None]:
    """By name; None for what has nothing to show."""
    record, weights = evidence.record, evidence.model.weights.tolist()
    found: dict[str, str | None] = {"features": figures.features(words, _features(evidence)), "months": None}
    if months := _months(evidence):
        found["months"] = figures.months(words, [m for m, *_ in months], [a or b for _, a, b in months])
    if evidence.held is None or judged is None:
        found["weights"] = figures.weights(words, evidence.model.columns, weights)
    else:
        rules = evidence.held.decision
        makers: dict[str, Callable[[], str | None]] = {
            "coefficients": lambda: figures.coefficients(words, rules.coefficients),
            "refits": lambda: figures.refits(words, weights, record.refits) if record.refits else None,
            "roc": lambda: figures.roc(words, judged.joint_curve, judged.alone_curve),
            "ks": lambda: figures.ks(words, judged.joint_curve, judged.joint.ks),
            "lift": lambda: figures.lift(words, judged.joint_lifts, judged.alone_lifts),
            "gain": lambda: figures.gain(words, judged.joint_lifts, judged.alone_lifts),
            "reliability": lambda: figures.reliability(words, rules),
            "scores": lambda: figures.scores(words, judged.scores),
            "grades": lambda: figures.grades(words, rules),
            "strategy": lambda: figures.strategy(words, judged.approved),
            "month_auc": lambda: figures.month_auc(words, judged.months),
        }
        found |= {name: make() for name, make in makers.items()}
    return {name: None if svg is None else Markup(svg) for name, svg in found.items()}  # noqa: S704  # ours, names escaped
