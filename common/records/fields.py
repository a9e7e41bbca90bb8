"""The fields both parties' records usually have, by name, with the cleaning each takes unless told otherwise."""

from __future__ import annotations

from typing import Any

_AMOUNT: dict[str, Any] = {"kind": "numeric", "min": 0.0, "outliers": {"rule": "clip"}}
_FLAG: dict[str, Any] = {"kind": "flag"}
_CATEGORY: dict[str, Any] = {"kind": "categorical"}

KNOWN: dict[str, dict[str, dict[str, Any]]] = {
    "grid": {
        "consumption": _AMOUNT,  # kWh
        "bill": _AMOUNT,  # yuan
        "arrears_record": _FLAG,  # fees owed or paid late
        "arrears_amount": _AMOUNT,  # yuan
        "days_late": {"kind": "numeric", "min": 0.0, "max": 365.0},
        "capacity": _AMOUNT,  # kVA, contracted
        "tariff": _CATEGORY,
        "industry": _CATEGORY,
    },
    "bank": {
        "tax_record": _FLAG,  # filed in time
        "tax_amount": _AMOUNT,  # yuan
        "loan_record": _FLAG,  # a loan drawn
        "loan_amount": _AMOUNT,  # yuan outstanding
        "repayment_due": _AMOUNT,  # yuan
        "overdue": {"kind": "flag", "role": "label", "malformed": "refuse", "impossible": "refuse"},
        "region": _CATEGORY,
    },
}
"""party -> field -> keys of its `FieldConfig`."""
