"""Reading TOML into strict models: what is refused, and that the message names file, key and nearest known key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, model_validator

from common.config import StrictModel, read_toml, to_toml, validate
from common.errors import ConfigError, PlanError


class Inner(StrictModel):
    colour: str = "red"
    weight: float = Field(default=1.0, gt=0)


class Outer(StrictModel):
    size: int
    inner: Inner = Inner()
    named: dict[str, Inner] = Field(default_factory=dict)
    maybe: Inner | None = None
    many: tuple[Inner, ...] = Field(default=(), max_length=2)

    @model_validator(mode="after")
    def _fits(self) -> Outer:
        if len(self.named) > self.size:
            raise ValueError("named: more than size says")
        return self


def message(raw: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(Outer, raw, "file.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"siz": 1}, "file.toml: missing key 'size'; unknown key 'siz', did you mean 'size'?"),
        ({"size": 1, "xyzzy": 1}, "file.toml: unknown key 'xyzzy'"),
        ({"size": 1, "inner": {"color": "b"}}, "file.toml: unknown key 'inner.color', did you mean 'colour'?"),
        ({"size": 1, "named": {"a": {"wieght": 1}}}, "file.toml: unknown key 'named.a.wieght', did you mean 'weight'?"),
        ({"size": 1, "maybe": {"wieght": 1}}, "file.toml: unknown key 'maybe.wieght', did you mean 'weight'?"),
        ({"size": 1, "many": [{"colours": "b"}]}, "file.toml: unknown key 'many.0.colours', did you mean 'colour'?"),
        ({"size": "large"}, "file.toml: size: "),
        ({"size": 1, "inner": {"weight": 0}}, "file.toml: inner.weight: Input should be greater than 0"),
        ({"size": 1, "inner": {"weight": float("inf")}}, "file.toml: inner.weight: Input should be a finite number"),
        ({"size": 1, "inner": 3}, "file.toml: inner: "),
        ({"size": 1, "many": [{}, {}, {}]}, "file.toml: many: at most 2, not 3"),
        ({"size": 0, "named": {"a": {}}}, "file.toml: named: more than size says"),
    ],
)
def test_a_wrong_key_is_named_with_the_nearest_known_one(raw: dict[str, Any], text: str) -> None:
    assert message(raw).startswith(text)


def test_a_message_quotes_no_value() -> None:
    assert "s3cret" not in message({"size": "s3cret", "inner": {"weight": "s3cret"}, "other": "s3cret"})


def test_the_error_is_of_the_class_asked_for() -> None:
    with pytest.raises(PlanError, match=r"plan: missing key 'size'"):
        validate(Outer, {}, "plan", PlanError)


def test_models_are_frozen_and_their_defaults_checked() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Outer(size=1).size = 2  # type: ignore[misc]

    class Wrong(StrictModel):
        weight: float = Field(default=-1.0, gt=0)

    with pytest.raises(ConfigError, match="weight: Input should be greater than 0"):
        validate(Wrong, {}, "x")


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('size = 3\n[inner]\ncolour = "grün"\n', encoding="utf-8")
    assert read_toml(file) == {"size": 3, "inner": {"colour": "grün"}}
    assert validate(Outer, read_toml(file), str(file)) == Outer(size=3, inner=Inner(colour="grün"))


def test_missing_unreadable_and_malformed_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read \(No such file or directory\)\. Check the path"):
        read_toml(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        read_toml(tmp_path)
    for content in (b"size = ", b"\xff\xfe", b"size = 1\nsize = 2"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"bad\.toml: not valid TOML"):
            read_toml(tmp_path / "bad.toml")


def test_what_is_written_as_toml_is_read_as_it_was() -> None:
    values = {
        "name": "three banks",
        "keys": ["id", "period"],
        "banks": [{"who": "a", "columns": ["x"]}, {"who": "b", "split": {"test": 0.5}}],
        "grid": {"dataset": "meters", "odd key": True, "lists": [{"n": 1}]},
        "none": [],
    }
    assert tomllib.loads(to_toml(values)) == values
