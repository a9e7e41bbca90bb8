"""The recipes a party gets that names none: of each field it has, what usually tells of a coming default."""

from __future__ import annotations

from typing import Any

from common.party import Party
from common.records.entries import make
from common.records.panel import Panel
from common.records.recipe import LABEL, Recipe
from common.records.samples import Samples

Entry = dict[str, Any]

GRID: tuple[Entry, ...] = (
    # How much, and how that compares with the enterprise's own past: health shows before a payment fails.
    {"kind": "last", "field": "consumption"},
    {"kind": "mean", "field": "consumption", "window": [3, 12]},
    {"kind": "ratio", "numerator": "consumption", "denominator": "consumption", "window": [1, 3], "denominator_window": 12},
    {"kind": "trend", "field": "consumption", "window": [3, 6]},
    {"kind": "volatility", "field": "consumption", "window": 6},
    {"kind": "utilisation", "field": "consumption", "window": 12},
    {"kind": "growth", "field": "consumption", "window": 3, "cap": 10.0},
    {"kind": "ratio", "numerator": "consumption", "denominator": "capacity", "window": 3},
    # Paying for it.
    {"kind": "last", "field": "arrears_record", "lag": [0, 1, 2]},
    {"kind": "share", "field": "arrears_record", "window": [3, 12]},
    {"kind": "since", "field": "arrears_record", "window": 12},
    {"kind": "last", "field": "arrears_amount"},
    {"kind": "mean", "field": "arrears_amount", "window": [3, 12]},
    {"kind": "ratio", "numerator": "arrears_amount", "denominator": "bill", "window": [1, 6], "cap": 12.0},
    {"kind": "ratio", "numerator": "arrears_amount", "denominator": "consumption", "window": [3, 12], "cap": 1000.0},
    {"kind": "last", "field": "days_late", "lag": [0, 1]},
    {"kind": "mean", "field": "days_late", "window": [3, 12]},
    {"kind": "max", "field": "days_late", "window": 12},
    {"kind": "share", "field": "days_late", "window": 12, "when": "<=", "threshold": 0.0, "name": "days_late_on_time_12"},
    {"kind": "static", "field": ["industry", "tariff"]},
)

BANK: tuple[Entry, ...] = (
    {"kind": "share", "field": "tax_record", "window": [3, 12]},
    {"kind": "last", "field": "tax_record"},
    {"kind": "last", "field": "tax_amount"},
    {"kind": "mean", "field": "tax_amount", "window": [3, 12]},
    {"kind": "ratio", "numerator": "tax_amount", "denominator": "tax_amount", "window": 3, "denominator_window": 12},
    {"kind": "trend", "field": "tax_amount", "window": 6},
    {"kind": "volatility", "field": "tax_amount", "window": 6},
    {"kind": "growth", "field": "tax_amount", "window": 3, "cap": 10.0},
    {"kind": "count", "field": "loan_record", "window": [3, 12]},
    {"kind": "since", "field": "loan_record", "window": 12},
    {"kind": "last", "field": "loan_amount"},
    {"kind": "trend", "field": "loan_amount", "window": 6},
    {"kind": "utilisation", "field": "loan_amount", "window": 12},
    # What is owed against what is earned; taxes stand for turnover.
    {"kind": "ratio", "numerator": "loan_amount", "denominator": "tax_amount", "window": 12, "cap": 10000.0},
    {"kind": "ratio", "numerator": "repayment_due", "denominator": "tax_amount", "window": 12, "cap": 1000.0},
    {"kind": "ratio", "numerator": "repayment_due", "denominator": "loan_amount"},
    {"kind": "last", "field": "repayment_due"},
    {"kind": "mean", "field": "repayment_due", "window": 6},
    {"kind": "static", "field": "region"},
)

PAST_LABELS: tuple[Entry, ...] = (
    {"kind": "last", "field": LABEL, "name": "past_overdue_last"},
    {"kind": "share", "field": LABEL, "window": 3, "min_months": 1, "name": "past_overdue_share_3"},
    {"kind": "share", "field": LABEL, "window": 12, "min_months": 1, "name": "past_overdue_share_12"},
    {"kind": "since", "field": LABEL, "window": 12, "min_months": 1, "name": "past_overdue_since_12"},
)
"""At the bank: past repayments, with the smallest lag at which they are past; `label` in a name would read as a leak."""


def default_recipes(party: Party, panel: Panel, samples: Samples) -> tuple[Recipe, ...]:
    """The default recipes of which `panel` has the fields; of a field that none knows, its last value and recent course.

    Label-derived ones are as of the latest month before the label's own.
    """
    recipes = [r for r in make(*(GRID if party is Party.GRID else BANK)) if all(_serves(panel, f) for f in r.fields)]
    if panel.label is not None:
        lag = max(0, 1 - samples.ahead)
        recipes += make(*({**entry, "lag": lag} for entry in PAST_LABELS))
    used = {field for recipe in recipes for field in recipe.fields}
    recipes += [r for field in panel.numeric if field not in used for r in make(*_unknown(field, samples))]
    recipes += [r for field in panel.categorical if field not in used for r in make({"kind": "static", "field": field})]
    return tuple(recipes)


def _serves(panel: Panel, field: str) -> bool:
    return field in panel.numeric or field in panel.categorical


def _unknown(field: str, samples: Samples) -> tuple[Entry, ...]:
    lag = max(0, 1 - samples.ahead) if field in samples.outcomes else 0
    return (
        {"kind": "last", "field": field, "lag": lag},
        {"kind": "mean", "field": field, "window": [3, 12], "lag": lag},
        {"kind": "trend", "field": field, "window": 6, "lag": lag},
    )
