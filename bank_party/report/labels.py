"""Names of parts and values for people, in both languages; numbers to three figures, so that none is a row's."""

from __future__ import annotations

import math
import re

from markupsafe import Markup

from bank_party.report.judged import Judged
from bank_party.report.parts import Part
from common.features.column import MISSING_LEVEL
from common.report.numbers import brief
from common.report.texts import Words
from common.rows.months import month_text

_NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"


def of_parts(judged: Judged, words: Words) -> dict[str, list[Markup | str]]:
    """`month` and each segment -> the names of its parts, in their order."""
    segments = {name: [_part(part, words) for part in parts] for name, parts in judged.segments.items()}
    return {**segments, "month": [month_text(part.name) for part in judged.months if isinstance(part.name, int)]}


def _part(part: Part, words: Words) -> Markup | str:
    if part.others:
        return words("segments.others")
    if part.name is None:
        return words("segments.missing")
    if isinstance(part.name, tuple):
        return span(*part.name, words)
    return str(part.name)


def span(low: float, high: float, words: Words) -> Markup:
    """Above `low`, up to and with `high`; infinite where there is no bound."""
    if math.isinf(low):
        return words("segments.any") if math.isinf(high) else words("segments.up_to", high=brief(high))
    return (
        words("segments.above", low=brief(low))
        if math.isinf(high)
        else words("segments.quarter", low=brief(low), high=brief(high))
    )


def value(text: str, words: Words) -> Markup | str:
    """An attribute of the scorecard: a representative number, a bin, a category, or missing."""
    if text == MISSING_LEVEL:
        return words("model.missing")
    if re.fullmatch(_NUMBER, text):
        return brief(float(text))
    for pattern, key in ((f"below {_NUMBER}", "below"), (f"above {_NUMBER}", "above"), (f"{_NUMBER} to {_NUMBER}", "quarter")):
        if found := re.fullmatch(pattern, text):
            numbers = [brief(float(group)) for group in found.groups()]
            return words(f"segments.{key}", low=numbers[0], high=numbers[-1])
    return text
