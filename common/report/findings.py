"""Findings: what a report's figures say by limits that stand beside them. Those that either party can make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from common.report.card import Card
from common.report.evidence import Evidence
from common.report.numbers import coarse, real, share

PSI = (0.1, 0.25)  # steady up to, moved beyond
VIF = (5.0, 10.0)
MISSING = 0.5
IV = 0.5  # beyond which a column is suspected of knowing the outcome


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105  (no password)
    ATTENTION = "attention"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One check: its name in the catalogue's `findings`, the verdict, the section with its figures, what fills its texts."""

    check: str
    verdict: Verdict
    section: str
    value: Mapping[str, str] = field(default_factory=dict)
    limit: Mapping[str, str] = field(default_factory=dict)


def within(value: float, limits: tuple[float, float]) -> Verdict:
    """Pass up to the first limit, attention up to the second."""
    return Verdict.PASS if value <= limits[0] else Verdict.ATTENTION if value <= limits[1] else Verdict.FAIL


def none_of(count: int) -> Verdict:
    """Attention as soon as there is one."""
    return Verdict.ATTENTION if count else Verdict.PASS


def furthest(seen: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Of indices, each with what it may be by chance, the one that is furthest beyond its limit, or nearest to it."""
    return max(seen, key=lambda one: (one[0] / max(PSI[0], one[1]), one[0]))


def of_psi(check: str, psi: float, chance: float, **value: str) -> Finding:
    """A stability index: what few rows may have by chance says nothing, so that it is a limit too."""
    limits = max(PSI[0], chance), max(PSI[1], chance)
    shown = {"first": real(limits[0], 3) if chance > PSI[0] else f"{PSI[0]:g}"}
    shown["second"] = real(limits[1], 3) if chance > PSI[1] else f"{PSI[1]:g}"
    return Finding(check, within(psi, limits), "stability", {"psi": real(psi, 3), **value}, shown)


def common_findings(evidence: Evidence, card: Card) -> tuple[Finding, ...]:
    """Split, columns, warnings, card; in the order of the report."""
    return (*_split(evidence), *_columns(evidence), *_warnings(evidence), _card(card))


def _split(evidence: Evidence) -> Iterator[Finding]:
    record, by = evidence.record, evidence.plan.split.by
    if record.both_sides is not None and by != "time":
        count = f"{record.both_sides:,}"
        yield Finding("both_sides", none_of(record.both_sides), "data", {"count": count})
    if any(month.period is not None for month in record.months):
        yield Finding("out_of_time", Verdict.PASS if by == "time" else Verdict.ATTENTION, "data", {"by": by})


def _columns(evidence: Evidence) -> Iterator[Finding]:
    record = evidence.record
    used = [feature for feature in record.features if feature.prepared]
    if used:
        found = furthest([(feature.psi, feature.chance) for feature in used])
        worst = next(feature for feature in used if (feature.psi, feature.chance) == found)
        yield of_psi("column_psi", *found, name=worst.name)
        empty = [feature for feature in used if feature.missing > MISSING]
        limit = {"most": share(MISSING, 0)}
        yield Finding("missing", none_of(len(empty)), "features", {"count": str(len(empty)), "all": str(len(used))}, limit)
    if record.collinear:
        twin = max(record.collinear, key=lambda column: column.vif)
        value = {"vif": real(twin.vif, 1), "name": coarse(twin.name)}
        limits = {"first": real(VIF[0], 0), "second": real(VIF[1], 0)}
        yield Finding("vif", within(twin.vif, VIF), "dictionary", value, limits)


def _warnings(evidence: Evidence) -> Iterator[Finding]:
    """Of the label's side: columns that all but are it. Of both: anything else that was warned of, bar columns left out."""
    texts: list[str] = evidence.model.about["warnings"]
    leaks = [text for text in texts if re.fullmatch(r"column .+ (is it known before the outcome\?.*|is no feature)", text)]
    told = [feature for feature in evidence.record.features if feature.iv is not None and feature.iv > IV and feature.prepared]
    if any(feature.iv is not None for feature in evidence.record.features):
        verdict = Verdict.FAIL if leaks else none_of(len(told))
        value = {"leaks": str(len(leaks)), "count": str(len(told))}
        yield Finding("leak", verdict, "features", value, {"most": real(IV, 1)})
    others = [text for text in texts if text not in leaks and not text.startswith("left out ")]
    yield Finding("warnings", none_of(len(others)), "warnings", {"count": str(len(others))})


def _card(card: Card) -> Finding:
    all_of = len(card.facts)
    return Finding("card", none_of(len(card.missing)), "card", {"told": str(all_of - len(card.missing)), "all": str(all_of)})
