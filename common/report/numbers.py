"""Numbers as the report writes them; a missing or hidden one is a dash."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from markupsafe import Markup

from common.rows.months import month_text
from common.stats.few import LEAST

DASH = "–"
_NUMBER = r"-?\d[\d.]*(?:e[+-]?\d+)?"
_CUT = re.compile(rf".+?(>{_NUMBER}|=\[(?:-inf|{_NUMBER}), (?:inf|{_NUMBER})\))", re.DOTALL)


def count(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"


def share(value: float | None, digits: int = 1) -> str:
    return DASH if value is None else f"{100 * value:.{digits}f}%"


def real(value: float | None, digits: int = 4) -> str:
    return DASH if value is None else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 4) -> str:
    text = DASH if value is None else f"{value:+.{digits}f}".replace("-", "−")
    return text if text.strip("+−0.") else text.lstrip("+−")


def brief(value: float | None) -> str:
    """Three figures: enough to place a value, too few to name a row's."""
    if value is None or abs(value) == float("inf"):
        return "" if value is not None else DASH
    return f"{float(f'{value:.3g}'):,.6g}".replace("-", "−")


def money(value: float | None) -> str:
    """Whole units where there are many of them."""
    digits = 0 if value is None or abs(value) >= 1000 else 1
    return DASH if value is None else f"{value:,.{digits}f}".replace("-", "−")


def shown(value: float | None, rows: int) -> float | None:
    """None for a figure of fewer than five rows."""
    return value if rows >= LEAST else None


def p_value(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"= {value:.4f}"


def moment(value: datetime) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S")


def edge(value: float | None) -> str:
    """A probability that may be a row's, to so many figures as its decision needs."""
    return share(value, 2)


def coarse(name: str) -> str:
    """A prepared column's name, the places where its source is cut to three figures: each is the value of a row.

    That of an indicator of one value stays: many rows have it.
    """
    if (cut := _CUT.fullmatch(name)) is None:
        return name
    return name[: cut.start(1)] + re.sub(_NUMBER, lambda found: f"{float(f'{float(found[0]):.3g}'):.6g}", cut[1])


def parted(name: object) -> object:
    """A column's `coarse` name with places where a line may break, behind each underscore; all but plain text as it is."""
    if not isinstance(name, str) or isinstance(name, Markup):
        return name
    return Markup("_<wbr>").join(coarse(name).split("_"))


FILTERS: dict[str, Callable[..., Any]] = {
    "count": count, "share": share, "real": real, "signed": signed, "brief": brief, "p_value": p_value, "moment": moment,
    "money": money, "month": month_text, "edge": edge, "parted": parted,
}  # fmt: skip


def _plain(value: float | None, _: int = 0) -> str:
    return "" if value is None else f"{value:.6g}"


def _plain_brief(value: float | None) -> str:
    return "" if value is None or abs(value) == float("inf") else f"{float(f'{value:.3g}'):.6g}"


PLAIN = FILTERS | dict.fromkeys(("share", "real", "signed", "money"), _plain) | {
    "count": lambda value: "" if value is None else f"{value:.0f}",
    "p_value": lambda value: f"{value:.6g}",
    "brief": _plain_brief,
    "edge": lambda value: "" if value is None else f"{value:.4f}",
}  # fmt: skip
"""The same filters for programs: shares as fractions, six figures, "" for what is hidden. `brief` and `edge` stay as coarse."""
