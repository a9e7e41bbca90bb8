"""Recipes as a configuration lists them: an entry with lists is several recipes; what they need is there, and nothing later."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from itertools import product
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, TypeAdapter

from common.errors import ConfigError
from common.records.recipe import LABEL, Recipe

_LISTS = ("field", "numerator", "window", "lag")
"""Keys of an entry that may be lists: one recipe for each combination."""


def _combinations(raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw
    keys = [key for key in _LISTS if isinstance(raw.get(key), list)]
    if keys and raw.get("name"):
        raise ValueError("an entry with a list makes several recipes and cannot have a `name`")
    if empty := [key for key in keys if not raw[key]]:
        raise ValueError(f"{empty[0]} is an empty list")
    return [{**raw, **dict(zip(keys, values, strict=True))} for values in product(*(raw[key] for key in keys))]


def _distinct(entries: tuple[tuple[Recipe, ...], ...]) -> tuple[tuple[Recipe, ...], ...]:
    seen: set[str] = set()
    for recipe in flatten(entries):
        if recipe.column in seen:
            raise ValueError(f"two recipes make a column {recipe.column!r}: give one of them a `name`")
        seen.add(recipe.column)
    return entries


Entry = Annotated[tuple[Recipe, ...], BeforeValidator(_combinations)]
Entries = Annotated[tuple[Entry, ...], AfterValidator(_distinct)]
"""The type of a configuration's `recipes`: [[recipes]] tables, of which field, window and lag may be lists."""


def flatten(entries: Iterable[Iterable[Recipe]]) -> tuple[Recipe, ...]:
    return tuple(recipe for entry in entries for recipe in entry)


def make(*entries: dict[str, Any]) -> tuple[Recipe, ...]:
    """Recipes of entries as TOML would hold them. Raises ValueError (pydantic's) for a wrong one."""
    return flatten(TypeAdapter(Entries).validate_python(entries))


def check(
    recipes: Iterable[Recipe],
    *,
    numeric: Collection[str],
    categorical: Collection[str],
    label: bool,
    ahead: int,
    outcomes: Collection[str] = (),
    source: str,
) -> None:
    """Raises ConfigError for a recipe of a field that is not there or of another kind, or of the label's own month.

    label: whether there is one.  ahead: the label's months after the sample's.  outcomes: fields known only with the
    label, such as the days by which the same repayment was late.  source: names the configuration in messages.
    """
    if LABEL in numeric or LABEL in categorical:
        raise ConfigError(f"{source}: no field may have the name {LABEL!r}, which means the label", remedy="Map it to another.")
    known = {*numeric, *categorical, *([LABEL] if label else [])}
    for recipe in recipes:
        for field in recipe.fields:
            if field not in known:
                close = difflib.get_close_matches(field, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"The fields are {', '.join(map(repr, sorted(known)))}."
                raise ConfigError(f"{source}: recipe {recipe.column!r} is of {field!r}, which is no field", remedy=hint)
            if field in categorical and not recipe.categories:
                raise ConfigError(
                    f"{source}: recipe {recipe.column!r} needs numbers, and {field!r} is categorical",
                    remedy="Use the kinds last or static, or declare the field numeric.",
                )
        _check_not_the_answer(recipe, {LABEL, *outcomes}, ahead, source)


def _check_not_the_answer(recipe: Recipe, outcomes: set[str], ahead: int, source: str) -> None:
    """A past repayment may be a feature, the one to be predicted may not."""
    behind = getattr(recipe, "lag", 0) + ahead
    told = sorted(outcomes.intersection(recipe.fields))
    if told and behind < 1:
        raise ConfigError(
            f"{source}: recipe {recipe.column!r} looks at {told[0]!r} of the label's own month, which is what is predicted",
            remedy="Set lag = 1 or more, or ahead = 1.",
        )
