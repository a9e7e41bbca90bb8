"""Why a column is not in the model, read from the warnings that preparation gave."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from common.features.univariate import Feature
from common.report.evidence import Evidence

_REASONS = (("same value", "constant"), ("ones or zeros", "rare"), ("collinear", "collinear"), ("one bin", "one_bin"))


def remarks(evidence: Evidence) -> dict[str, str]:
    """Source column -> a key of the catalogue, for those left out in whole or, of their levels, in part."""
    found: dict[str, str] = {}
    for text in evidence.model.about["warnings"]:
        if (match := re.fullmatch(r"left out (.+?)(?: and \d+ more)?: (.+)", text)) is None:
            continue
        reason = next((key for words, key in _REASONS if words in match[2]), "other")
        for name in _names(match[1]):
            _note(found, name, reason, evidence.record.features)
    for feature in evidence.record.features:
        if not feature.prepared:
            found.setdefault(feature.name, "features.other")
    return found


def without_values(text: str, evidence: Evidence) -> str:
    """A warning of columns left out by the table's columns alone: an indicator's name holds a value of a row."""
    if (match := re.fullmatch(r"left out (.+?)( and \d+ more)?: (.+)", text)) is None:
        return text
    known = [feature.name for feature in evidence.record.features]
    found: dict[str, int] = {}
    for name in _names(match[1]):
        source = name if name in known else next((k for k in known if name.startswith(f"{k}=")), None)
        if source is None:
            return f"left out columns: {match[3]}"
        found[source] = found.get(source, 0) + (name != source)
    told = ", ".join(f"{name!r} ({count} levels)" if count else repr(name) for name, count in found.items())
    return f"left out {told}{match[2] or ''}: {match[3]}"


def _note(found: dict[str, str], name: str, reason: str, features: Sequence[Feature]) -> None:
    for feature in features:
        if name == feature.name and not feature.prepared:
            found[feature.name] = f"features.{reason}"
        elif name == feature.name or name.startswith(f"{feature.name}="):
            partly = feature.prepared and reason in ("constant", "rare", "collinear")
            found.setdefault(feature.name, f"features.partly_{reason}" if partly else f"features.{reason}")


def _names(text: str) -> list[str]:
    """The names of a list as `repr` writes them."""
    try:
        found = ast.literal_eval(f"[{text}]")
    except (ValueError, SyntaxError):
        return []
    return [name for name in found if isinstance(name, str)]
