"""Strict configuration: TOML into frozen pydantic models that forbid unknown keys; errors name file, key and remedy."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Tag, ValidationError

from common.errors import ConfigError, WattScoreError

TAGGED = "kind = "
"""The word before the kind of a section that has several: no key has one, and no error names it."""


class StrictModel(BaseModel):
    """Base of plans and configuration: frozen, no unknown key, only finite numbers, defaults checked too."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    elsewhere: ClassVar[Mapping[str, str]] = {}  # keys that are another's, and what is said to who writes one here


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not host or not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be HOST:PORT")
    return text


Address = Annotated[str, AfterValidator(_address)]

M = TypeVar("M", bound=StrictModel)


def read_toml(path: Path) -> dict[str, Any]:
    """Raises ConfigError for a missing, unreadable or malformed file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", remedy="Check the path and its permissions.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def validate(model: type[M], raw: dict[str, Any], source: str, error: type[WattScoreError] = ConfigError) -> M:
    """`raw` as a `model`; raises `error` naming each wrong key of `source`, with the nearest known key as a remedy."""
    try:
        return model.model_validate(raw)
    except ValidationError as failure:
        lines = [_explain(model, item) for item in failure.errors()]
        raise error(f"{source}: " + "; ".join(lines)) from None


def _explain(model: type[BaseModel], item: Any) -> str:
    where = ".".join(_path(model, item["loc"])) or "(top level)"
    if item["type"] == "union_tag_invalid":
        return f"{where}.kind: {item['ctx']['tag']!r} is not known, use one of: {item['ctx']['expected_tags']}"
    if item["type"] == "extra_forbidden" and (why := _elsewhere(model).get(str(item["loc"][-1]))):
        return f"unknown key {where!r}: {why}"
    if item["type"] == "extra_forbidden":
        key = str(item["loc"][-1])
        if tables := list(_tables_with(model, key)):
            return f"unknown key {where!r}: it belongs in {' or '.join(tables[:3])}"
        close = difflib.get_close_matches(key, _known_keys(model), n=1)
        return f"unknown key {where!r}" + (f", did you mean {close[0]!r}?" if close else "")
    if item["type"] == "missing":
        return f"missing key {where!r}"
    if item["type"] in ("too_long", "too_short"):
        bound, limit = ("at most", "max_length") if item["type"] == "too_long" else ("at least", "min_length")
        return f"{where}: {bound} {item['ctx'][limit]}, not {item['ctx']['actual_length']}"
    said = item["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if item["loc"] else said  # of a whole section, a check names the key itself


def _path(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """The keys to what is wrong, without the tags of unions, which pydantic puts among them."""
    tagged = {
        name: {m.tag for arg in get_args(field.annotation) for m in getattr(arg, "__metadata__", ()) if isinstance(m, Tag)}
        for inner in _inside(model)
        for name, field in inner.model_fields.items()
    }
    return [str(part) for place, part in enumerate(loc) if not place or part not in tagged.get(str(loc[place - 1]), ())]


def _known_keys(model: type[BaseModel]) -> list[str]:
    return [key for inner in _inside(model) for key in inner.model_fields]


def _tables_with(model: type[BaseModel], key: str, at: str = "", seen: frozenset[type] = frozenset()) -> Iterator[str]:
    """The tables that have this key, as TOML heads them."""
    if key in model.model_fields:
        yield f"[{at}]" if at else "the top level"
    for name, field in model.model_fields.items():
        place = f"{at}.{name}".lstrip(".") + (".NAME" if get_origin(field.annotation) in (dict, Mapping) else "")
        for inner in dict.fromkeys(_models_in(field.annotation)):
            if inner not in seen:
                yield from _tables_with(inner, key, place, seen | {inner})


def _elsewhere(model: type[BaseModel]) -> dict[str, str]:
    return {key: why for inner in _inside(model) if issubclass(inner, StrictModel) for key, why in inner.elsewhere.items()}


def _inside(model: type[BaseModel], seen: frozenset[type] = frozenset()) -> Iterator[type[BaseModel]]:
    """The model, and every one that is in it."""
    yield model
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            if inner not in seen:
                yield from _inside(inner, seen | {inner})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in get_args(annotation) for m in _models_in(arg)]


def to_toml(values: Mapping[str, Any], prefix: str = "") -> str:
    """Nested mappings of strings, numbers, booleans and lists, of mappings too, as TOML; None is left out."""
    lines, tables = [], []
    for key, value in values.items():
        bare = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else quoted(key)
        name = f"{prefix}{bare}"
        if isinstance(value, Mapping):
            tables.append(f"\n[{name}]\n{to_toml(value, name + '.')}")
        elif isinstance(value, list | tuple) and value and all(isinstance(one, Mapping) for one in value):
            tables += [f"\n[[{name}]]\n{to_toml(one, name + '.')}" for one in value]
        elif value is not None:
            text = str(value) if isinstance(value, Path) else value
            lines.append(f"{bare} = {quoted(text)}\n")
    return "".join(lines) + "".join(tables)


def quoted(value: Any) -> str:
    """A string, number, boolean or list as TOML."""
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")  # which TOML wants escaped
