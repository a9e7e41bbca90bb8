"""Samples and the reading order, held against the code; what commands there are, for the tests of other pages."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from bank_party.__main__ import main as bank_party
from bank_party.pipeline.config import PipelineConfig
from bank_party.settings import BankSettings
from common.cli import main as wattscore
from common.config import StrictModel
from common.coordinator.__main__ import main as coordinator
from common.plan.predeal import PredealPlan
from common.plan.promote import PromotePlan
from common.plan.read import load_plan
from common.plan.request import Request
from common.plan.score import ScorePlan
from common.plan.section import Section
from common.plan.several import SeveralPlan
from common.plan.train import TrainPlan
from common.process.settings import ClientSettings, CoordinatorSettings, load_settings
from common.records.config import RecordsConfig, load_records
from common.scale.settings import RayCluster
from grid_party.__main__ import main as grid_party
from grid_party.settings import GridSettings
from tests.source import ROOT, parse

SAMPLES = ROOT / "deploy" / "samples"
COMMANDS: dict[str, click.Command] = {
    "wattscore": wattscore,
    "grid-party": grid_party,
    "bank-party": bank_party,
    "wattscore-coordinator": coordinator,
}
MODELS: dict[str, type[StrictModel]] = {
    "grid.toml": GridSettings,
    "bank.toml": BankSettings,
    "coordinator.toml": CoordinatorSettings,
    "client.toml": ClientSettings,
    "plan.toml": TrainPlan,
    "network.toml": TrainPlan,
    "plan-banks.toml": SeveralPlan,
    "score.toml": ScorePlan,
    "records-grid.toml": RecordsConfig,
    "records-bank.toml": RecordsConfig,
    "records-sql.toml": RecordsConfig,
    "records-wide.toml": RecordsConfig,
    "trees.toml": TrainPlan,
    "predeal.toml": PredealPlan,
    "promote.toml": PromotePlan,
    "pipeline.toml": PipelineConfig,
    "ray.toml": RayCluster,
}
TOGETHER = [
    ("grid.toml", "bank.toml"),
    tuple(name for name, model in MODELS.items() if model is RecordsConfig),
]


# Samples


def sample(name: str, hashes: int = 0) -> str:
    """A sample's text, with the keys behind up to that many hashes in force: 1 for defaults, 2 for examples too."""
    text = (SAMPLES / name).read_text(encoding="utf-8")
    return re.sub(rf"^#{{1,{hashes}}} (?=\w+ = )", "", text, flags=re.MULTILINE) if hashes else text


def load(name: str, text: str, folder: Path) -> StrictModel:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    model = MODELS[name]
    if model is RecordsConfig:
        return load_records(file)
    return load_plan(file) if issubclass(model, Request) else load_settings(model, file)


def test_there_is_a_sample_of_everything() -> None:
    assert {file.name for file in SAMPLES.glob("*.toml")} == MODELS.keys()


@pytest.mark.parametrize("name", MODELS)
def test_a_sample_is_valid_as_it_stands_and_with_its_examples(name: str, tmp_path: Path) -> None:
    assert isinstance(load(name, sample(name), tmp_path), MODELS[name])
    load(name, sample(name, 2), tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_the_defaults_that_a_sample_states_are_the_defaults(name: str, tmp_path: Path) -> None:
    assert load(name, sample(name, 1), tmp_path) == load(name, sample(name), tmp_path)


def missing(model: type[StrictModel], raw: dict[str, Any], at: str = "") -> Iterator[str]:
    """Keys of `model`, and of the models in it, that `raw` lacks."""
    for name, field in model.model_fields.items():
        if name not in raw:
            yield f"{at}{name}"
            continue
        kinds = (field.annotation, *(getattr(arg, "__origin__", arg) for arg in getattr(field.annotation, "__args__", ())))
        for inner in (k for k in kinds if isinstance(k, type) and issubclass(k, StrictModel) and fits(k, raw[name])):
            named = field.annotation is not inner and "dict" in str(field.annotation)
            tables = list(raw[name].values()) if named else raw[name] if isinstance(raw[name], list) else [raw[name]]
            tables = [table for table in tables if isinstance(table, dict)]  # a field may be written as its column alone
            yield from missing(inner, merged(tables), f"{at}{name}.")


def fits(model: type[StrictModel], raw: Any) -> bool:
    """Whether `raw` is of this kind, where there are several."""
    if issubclass(model, Section) and isinstance(raw, dict):
        return raw.get("kind", "linear") in get_args(model.model_fields["kind"].annotation)
    return True


def merged(tables: list[dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            out[key] = merged([out[key], value]) if isinstance(value, dict) and key in out else value
    return out


@pytest.mark.parametrize("names", [*TOGETHER, *((n,) for n in MODELS if n not in sum(TOGETHER, ()))])
def test_every_key_is_in_a_sample(names: tuple[str, ...]) -> None:
    raw = merged([tomllib.loads(sample(name, 2)) for name in names])
    lacking = [key for name in names for key in missing(MODELS[name], raw)]
    if names in {("trees.toml",), ("network.toml",)}:  # its other sections are those of plan.toml
        lacking = [key for key in lacking if key.startswith("model.")]
        assert "model" in raw
    assert lacking == []


def test_the_check_for_missing_keys_finds_nested_ones() -> None:
    raw = merged([tomllib.loads(sample(name, 2)) for name in ("grid.toml", "bank.toml")])
    del raw["datasets"]["meters"]["format"], raw["datasets"]["loans"]["format"], raw["policy"]["max_ids"]
    assert list(missing(GridSettings, raw)) == ["datasets.format", "policy.max_ids"]


# Commands


def check_compose(words: list[str]) -> None:
    """Raises unless a `docker compose run` or `exec` is of a service of the demo, with a command of `wattscore` if any."""
    assert words[0] == "compose" and words[1] in ("up", "run", "exec", "down", "cp", "logs")
    if words[1] == "run":
        service, *command = [word for word in words[2:] if word != "--rm"]
        assert f"\n  {service}:\n" in (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
        if command:
            check_command("wattscore", command)
    if words[1] == "exec":
        service, name, *command = words[2:]
        assert f"\n  {service}:\n" in (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
        check_command(name, command)


def subcommand(group: click.Command, name: str) -> click.Command:
    """Raises unless there is one of this name that is listed, and so not one that has moved."""
    assert isinstance(group, click.Group)
    context = click.Context(group)
    assert name in group.list_commands(context), f"{group.name} {name}"
    found = group.get_command(context, name)
    assert found is not None
    return found


def check_command(name: str, words: list[str]) -> str:
    """Raises unless the command exists, has these options, and has all it requires; its name within the group."""
    command, shown = COMMANDS[name], name
    while isinstance(command, click.Group):
        shown, *words = words
        command = subcommand(command, shown)
    options = {option: p for p in command.params if isinstance(p, click.Option) for option in p.opts}
    given = [word for word in words if word.startswith("--")]
    assert set(given) <= options.keys(), f"{name} {shown} has no {set(given) - options.keys()}"
    required = {p.opts[0] for p in command.params if p.required and isinstance(p, click.Option)}
    assert required <= set(given), f"{name} {shown} needs {required - set(given)}"
    return shown


# The reading order of common/


def modules() -> dict[str, Path]:
    files = (ROOT / "common").rglob("*.py")
    return {
        str(file.relative_to(ROOT / "common")): file
        for file in files
        if file.name != "__init__.py" and not file.stem.endswith("_pb2")
    }


def listed() -> list[str]:
    text = (ROOT / "common" / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^- `([\w/]+\.py)`: \S", text, re.MULTILINE)


def test_every_module_of_common_is_listed_once() -> None:
    assert sorted(listed()) == sorted(modules())


def test_a_module_is_listed_after_all_that_it_imports() -> None:
    seen: set[str] = set()
    files = modules()
    for name in listed():
        later = {used for used in imports(files[name]) if used in files} - seen
        assert not later, f"{name} imports {later}, which is listed after it"
        seen.add(name)


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("common"):
            inside = node.module.removeprefix("common").replace(".", "/").removeprefix("/")
            yield f"{inside}.py"
            yield from (f"{inside}/{alias.name}.py".removeprefix("/") for alias in node.names)
