"""A side's evidence to one HTML page: sections, charts, words. It names nothing outside: no script, no font, no address."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from common.disclosure import CATALOGUE
from common.features.pieces import deviation, is_piece
from common.learn.network.steps import epoch_steps
from common.plan.network import Network
from common.plan.trees import Trees
from common.report import figures, numbers, tables
from common.report.card import Card
from common.report.charts import style
from common.report.columns import remarks, without_values
from common.report.evidence import Evidence
from common.report.findings import Finding, Verdict, common_findings
from common.report.tables import Table
from common.report.texts import TAGS, Choice, Words
from common.stats.few import LEAST, hidden_cells
from common.text.templates import pages

Chart = Callable[[Words], str | None]  # SVG; None for what has nothing to show

_TEMPLATES = Path(__file__).with_name("templates")
_MOST_BINS = 40  # columns whose bins are listed


@dataclass(frozen=True, repr=False)
class Own:
    """A side's part of the page: its sections in order, the folder of those templates that it alone has, and their values.

    values: a function of the words, by name as the templates use them; charts: by name; findings: before those of both sides;
    about: what the JSON beside the page says more.
    """

    sections: tuple[str, ...]
    templates: Path | None = None
    values: Callable[[Words], Mapping[str, Any]] = lambda words: {}
    charts: Mapping[str, Chart] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Report:
    """One training job at one party: the page, its tables as numbers, and what says whose they are, JSON-safe."""

    page: str
    tables: tuple[Table, ...]
    about: dict[str, Any]


def make(evidence: Evidence, own: Own, choice: Choice, card: Card) -> Report:
    """The page in one language or, by a switch, in both, and its tables."""
    found = tables.read_tables(_render(evidence, own, "en", card, plain=True))
    about = {
        "job": evidence.model.job,
        "party": evidence.party.value,
        "software": evidence.model.about["software"],
        "code_sha256": evidence.record.code_sha256,
        "plan_sha256": evidence.model.about["plan_sha256"],
        "dataset_sha256": evidence.model.about["dataset_sha256"],
        "files_sha256": evidence.digests,
        "tables_sha256": tables.digest(found),
        "findings": [{"check": f.check, "verdict": f.verdict.value} for f in _findings(evidence, own, card)],
        **own.about,
    }
    return Report(_render(evidence, own, choice, card, about["tables_sha256"]), found, about)


def _findings(evidence: Evidence, own: Own, card: Card) -> list[Finding]:
    """The worst first, otherwise in their order."""
    worst = list(Verdict)[::-1]
    return sorted((*own.findings, *common_findings(evidence, card)), key=lambda finding: worst.index(finding.verdict))


def _render(evidence: Evidence, own: Own, choice: Choice, card: Card, fingerprint: str = "", *, plain: bool = False) -> str:
    """plain: for programs, without charts; fingerprint: of the tables."""
    words = Words(choice)
    folders = [_TEMPLATES, *([own.templates] if own.templates is not None else [])]
    environment = pages(folders, (numbers.PLAIN if plain else numbers.FILTERS) | {"framed": tables.framed})
    environment.globals |= {"t": words, "least": LEAST, "hidden_cells": hidden_cells, "shown": numbers.shown}
    charts: dict[str, Markup | None] = defaultdict(lambda: None)
    if not plain:
        with style():
            charts |= {name: _markup(chart(words)) for name, chart in (_charts(evidence) | dict(own.charts)).items()}
    findings = _findings(evidence, own, card)
    return environment.get_template("page.html.j2").render(
        {
            "e": evidence, "judged": None, "sections": own.sections, "party": evidence.party.value, "record": evidence.record,
            "model": evidence.model, "words": words, "tags": TAGS, "charts": charts, "remarks": remarks(evidence),
            "opened": opened(evidence, words), "features": _features(evidence), "binned": _binned(evidence),
            "months": _months(evidence), "coding": _coding(evidence), "splits": _splits(evidence),
            "epochs": _epochs(evidence),
            "findings": findings, "card": card, "fingerprint": fingerprint,
            "counted": {v.value: Counter(f.verdict for f in findings)[v] for v in Verdict},
            "meanings": _meanings(evidence, card), "warnings": [without_values(text, evidence) for text in
            evidence.model.about["warnings"]], "notes": evidence.model.about.get("notes", []), **own.values(words),
        }
    )  # fmt: skip


def _meanings(evidence: Evidence, card: Card) -> list[tuple[str, Any, str]]:
    """(column, what the card tells of it, the sign of its weight where that is known here), in the order of the columns."""
    model = evidence.model
    known = {} if model.coefficients is None else dict(zip(model.columns, model.coefficients.tolist(), strict=True))
    names = [feature.name for feature in evidence.record.features if feature.name in card.columns]
    return [(name, card.columns[name], sign(known.get(name))) for name in names]


def sign(weight: float | None) -> str:
    """Of a weight; a dash where there is none."""
    return numbers.DASH if not weight else "+" if math.copysign(1.0, weight) > 0 else "−"


def _markup(svg: str | None) -> Markup | None:
    return None if svg is None else Markup(svg)  # noqa: S704  # ours, names escaped


def _months(evidence: Evidence) -> list[tuple[Any, bool, bool]]:
    """(month, whether its training, its held-out cells are hidden); () without periods."""
    found = [month for month in evidence.record.months if month.period is not None]
    train, held = hidden_cells([m.train for m in found]), hidden_cells([m.held for m in found])
    return [(m, bool(a), bool(b)) for m, a, b in zip(found, train, held, strict=True)]


def _features(evidence: Evidence) -> list[Any]:
    """By falling information value, of the bins the model uses where there are any; the others in their order."""
    values = {column["name"]: column["iv"] for column in (evidence.selection or {"columns": []})["columns"]}
    found = [f.model_copy(update={"iv": values.get(f.name, f.iv)}) for f in evidence.record.features]
    return sorted(found, key=lambda f: (f.iv is None, -(f.iv or 0.0)))


def _splits(evidence: Evidence) -> dict[str, Any] | None:
    """Of trees: (column, levels that it splits, their share of all) by falling number, and those of the other side."""
    counts, section = evidence.model.split_counts, evidence.plan.model
    if counts is None or not isinstance(section, Trees):
        return None
    total = section.trees * section.depth
    found = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    other = total - sum(counts.values())
    columns = [(name, count, count / total) for name, count in found]
    return {"columns": columns, "other": other, "other_part": other / total}


def _epochs(evidence: Evidence) -> dict[str, Any] | None:
    """Of a network how many epochs it was trained, and of one that ended early whose weights it has: the last that gained."""
    section, counts = evidence.plan.model, evidence.record.counts
    if not isinstance(section, Network):
        return None
    told = {"all": section.epochs}
    if section.early_stop is None or "iterations" not in counts:
        return {"how": "all", "told": told}
    run = counts["iterations"] // epoch_steps(section, counts.get("all_train_rows", counts["train_rows"]))
    if run == section.epochs:
        return {"how": "full", "told": told}
    return {"how": "stopped", "told": told | {"run": run, "best": run - section.early_stop}}


def _coding(evidence: Evidence) -> dict[str, Any]:
    """How columns are prepared, and, of pieces, their number and how many of their deviations a unit of theirs is."""
    fitted = evidence.model.fitted
    unit, coding = (
        1.0 / deviation(evidence.record.counts["train_rows"], evidence.plan.model.pieces),
        evidence.plan.preparation.coding,
    )
    return {
        "name": coding if evidence.model.split_counts is None else "woe_trees" if coding == "woe" else "trees",
        "pieces": sum(is_piece(column, fitted.columns) for column in fitted.fitted),
        "unit": f"{unit:.3g}",
    }


def _binned(evidence: Evidence) -> list[dict[str, Any]]:
    """Columns with counted bins, for the table of weights of evidence."""
    columns = (evidence.selection or {"columns": []})["columns"]
    return [column for column in columns if column["iv"] is not None][:_MOST_BINS]


def opened(evidence: Evidence, words: Words) -> list[dict[str, Any]]:
    """The disclosures the plan allows, in the order of the list."""
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


def _charts(evidence: Evidence) -> dict[str, Chart]:
    """Those that both sides have."""
    months = _months(evidence)
    splits = _splits(evidence)
    shown, small = [month for month, *_ in months], [train or held for _, train, held in months]
    return {
        "features": lambda words: figures.features(words, _features(evidence)),
        "months": lambda words: figures.months(words, shown, small) if months else None,
        "splits": lambda words: figures.splits(words, splits["columns"]) if splits else None,
    }
