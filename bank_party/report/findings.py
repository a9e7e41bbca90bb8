"""Findings of the bank: what needs label or score. The limits are those of the report's own reading notes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from bank_party.decision.bundle import Coefficient, Decision, HeldOut
from bank_party.report.backtest import Origin
from bank_party.report.judged import Judged
from bank_party.report.overridden import Overridden
from bank_party.report.parts import Part
from common.home.record import Record
from common.report.card import Card
from common.report.findings import Finding, Verdict, furthest, none_of, of_psi, within
from common.report.numbers import real, share, signed
from common.stats.few import LEAST

_ECE = (0.02, 0.05)
_Z = (1.96, 3.29)  # of a month's overdue rate from the expected one: 5 % and 0.1 % of months by chance
_QUARTER = 0.25  # of the expected rate, by which a month must be off besides, to fail
_SHARE = 0.1  # of the score's variance, that columns of an unsteady sign make up
_LABELS = (200, 50)  # overdue held-out rows that rates by grade and month need


def bank_findings(
    record: Record, held: HeldOut, judged: Judged, card: Card, origins: tuple[Origin, ...] = ()
) -> tuple[Finding, ...]:
    rules = held.decision
    return (
        _gain(judged),
        _labels(held),
        Finding("ece", within(rules.error_after, _ECE), "calibration", {"ece": share(rules.error_after, 2)}, _percent(_ECE)),
        *_months(judged.months),
        *_origins(origins),
        _grades(rules),
        *_stable(judged),
        *_signs(record, rules),
        *_expected(rules, card),
        *_segments(judged),
    )


def _gain(judged: Judged) -> Finding:
    band = judged.bands.difference["auc"]
    verdict = Verdict.PASS if band.low > 0 else Verdict.FAIL if band.high < 0 else Verdict.ATTENTION
    value = {"gain": signed(judged.difference.difference, 3), "low": signed(band.low, 3), "high": signed(band.high, 3)}
    return Finding("gain", verdict, "comparison", value)


def _labels(held: HeldOut) -> Finding:
    bad = int(held.label.sum())
    fewer = min(bad, len(held.label) - bad)
    verdict = Verdict.PASS if fewer >= _LABELS[0] else Verdict.ATTENTION if fewer >= _LABELS[1] else Verdict.FAIL
    return Finding("labels", verdict, "data", {"count": f"{fewer:,}"}, {"first": str(_LABELS[0]), "second": str(_LABELS[1])})


def distance(part: Part) -> float | None:
    """How far a part's overdue rate is from the expected one, in standard errors of that; None for what is hidden."""
    if part.rows is None or part.rate is None or part.expected is None or not 0 < part.expected < 1:
        return None
    return (part.rate - part.expected) / math.sqrt(part.expected * (1 - part.expected) / part.rows)


def _months(months: tuple[Part, ...]) -> Iterator[Finding]:
    seen = [(z, part.rate or 0.0, part.expected or 0.0) for part in months if (z := distance(part)) is not None]
    yield from _rates("months", "segments", seen)


def _rates(name: str, section: str, seen: list[tuple[float, float, float]]) -> Iterator[Finding]:
    """seen: of overdue rates, how far each is from the expected one in standard errors, it, and the expected one."""
    if seen:
        off = sum(abs(z) > _Z[0] for z, _, _ in seen)
        far = any(abs(z) > _Z[1] and abs(rate - expected) > _QUARTER * expected for z, rate, expected in seen)
        yield Finding(name, Verdict.FAIL if far else none_of(off), section, {"count": str(off), "all": str(len(seen))})


def _origins(origins: tuple[Origin, ...]) -> Iterator[Finding]:
    """Gain and calibration at each origin of a back-test; the latter as trained, with no look at the months tested."""
    gains = [o.gain_band for o in origins if o.gain_band is not None]
    if gains:
        real_ = sum(band.low > 0 for band in gains)
        verdict = Verdict.FAIL if any(band.high < 0 for band in gains) else none_of(len(gains) - real_)
        aucs = [o.joint for o in origins if o.joint is not None]
        value = {"count": str(real_), "all": str(len(gains)), "low": real(min(aucs), 3), "high": real(max(aucs), 3)}
        yield Finding("origins", verdict, "backtest", value)
    yield from _rates(
        "origin_rates", "backtest", [(z, o.observed or 0.0, o.expected) for o in origins if (z := o.off) is not None]
    )


def _grades(rules: Decision) -> Finding:
    """Grades from the best; each must have been overdue more often than the one before."""
    rates = [g.test for g in rules.grades if g.test.rows >= LEAST and g.test.observed is not None]
    out = [(a, b) for a, b in pairwise(rates) if (a.observed or 0) >= (b.observed or 0)]
    sure = [(a, b) for a, b in out if _apart(a.observed or 0, a.rows, b.observed or 0, b.rows) > _Z[0]]
    verdict = Verdict.FAIL if sure else none_of(len(out))
    return Finding("grades", verdict, "grades", {"count": str(len(out)), "all": str(len(rates))})


def _apart(one: float, n: int, two: float, m: int) -> float:
    """The difference of two rates in standard errors."""
    both = (one * n + two * m) / (n + m)
    error = math.sqrt(both * (1 - both) * (1 / n + 1 / m))
    return abs(one - two) / error if error > 0 else 0.0


def _stable(judged: Judged) -> Iterator[Finding]:
    if seen := [(part.psi, part.chance) for part in judged.months if part.psi is not None]:
        yield of_psi("score_psi", *furthest(seen))
    yield of_psi("parts_psi", judged.parts_psi, judged.parts_chance)


def _signs(record: Record, rules: Decision) -> Iterator[Finding]:
    """Columns whose weight, or part in what explains a closed model's score, changes sign between parts of the rows."""
    pairs = [(c, r) for c, r in zip(rules.coefficients[:-1], record.refits[:-1], strict=False) if r.parts]
    if not pairs:
        return
    turned = [c for c, r in pairs if not all(_same(c.joint, part) for part in r.parts)]
    weight = sum(abs(c.share or 0.0) for c in turned)
    verdict = Verdict.PASS if not turned else Verdict.FAIL if weight > _SHARE else Verdict.ATTENTION
    value = {"count": str(len(turned)), "all": str(len(pairs)), "share": share(weight)}
    yield Finding("signs", verdict, "stability", value, {"most": share(_SHARE, 0)})


def _same(a: float, b: float) -> bool:
    return (a > 0) == (b > 0) and (a < 0) == (b < 0)


def against(c: Coefficient, card: Card) -> bool | None:
    """Whether a column's sign is against the declared one; None where none is declared, or where it has no one sign."""
    told = card.columns.get(c.source)
    if told is None or not told.sign or c.name != c.source or not c.joint:
        return None
    return (c.joint > 0) != (told.sign == "+")


def _expected(rules: Decision, card: Card) -> Iterator[Finding]:
    found = [wrong for c in rules.coefficients[:-1] if (wrong := against(c, card)) is not None]
    if found:
        yield Finding("expected", none_of(sum(found)), "dictionary", {"count": str(sum(found)), "all": str(len(found))})


def _segments(judged: Judged) -> Iterator[Finding]:
    parts = [part for name in judged.segments.values() for part in name if part.gain is not None]
    if parts:
        worse = [part for part in parts if part.gain is not None and part.gain.high < 0]
        yield Finding("segments", none_of(len(worse)), "segments", {"count": str(len(worse)), "all": str(len(parts))})


def of_overrides(found: Overridden | None) -> Iterator[Finding]:
    """Whether officers decide against the model more often than declared, in any month."""
    if found is not None and (part := found.share) is not None:
        value = {"share": share(part), "count": str(len(found.above)), "all": str(len(found.months))}
        yield Finding("overrides", none_of(len(found.above)), "overrides", value, {"most": share(found.limit, 0)})


def _percent(limits: tuple[float, float]) -> dict[str, str]:
    return {"first": share(limits[0], 0), "second": share(limits[1], 0)}
