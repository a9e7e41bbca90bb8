"""Every page for users held against the code and against its Chinese equal: commands, configurations, figures, structure."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from bank_party.settings import BankPolicy, BankSettings
from common.daemon.settings import check_separate
from common.disk import data_folder
from common.disk.data_folder import BackUp, Kept
from common.features.options import Preparation
from common.plan.job_stages import MEANING
from common.plan.policy import Policy
from common.plan.train import Limits, TrainPlan
from common.process.settings import CoordinatorSettings
from common.stages.price import metric_bits
from common.trial.result import as_json
from common.wire import coordinator_pb2
from grid_party.settings import GridPolicy, GridSettings
from tests.pages import ELSEWHERE, TYPED, blocks, command_lines, headings, plain, rows, typed_elsewhere
from tests.source import ROOT
from tests.test_docs import COMMANDS, MODELS, SAMPLES, check_command, load, sample, subcommand

WRITTEN = [f for f in ROOT.rglob("*.md") if not any(part.startswith(".") for part in f.relative_to(ROOT).parts)]
CHINESE = sorted(f for f in WRITTEN if f.name.endswith(".zh-CN.md"))
PAIRS = {file.with_name(file.name.replace(".zh-CN", "")): file for file in CHINESE}
PAGES = [page for pair in PAIRS.items() for page in pair]
FOR_DEVELOPERS = {"common/README.md", "findings/README.md", "tests/vectors/README.md"}
MOST_LINES = 180


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


pages = pytest.mark.parametrize("page", PAGES, ids=named)


def test_every_readme_but_those_for_developers_is_in_both_languages() -> None:
    found = {named(f) for f in WRITTEN if f.name == "README.md"}
    assert found - {named(page) for page in PAIRS} == FOR_DEVELOPERS


@pytest.mark.parametrize(("en", "zh"), PAIRS.items(), ids=[named(page) for page in PAIRS])
def test_both_languages_have_the_same_structure_code_and_figures(en: Path, zh: Path) -> None:
    one, two = read(en), read(zh)
    assert headings(one) == headings(two)
    assert [plain(*b) for b in blocks(one)] == [plain(*b) for b in blocks(two)]
    for pattern in (r"^\|", r"^- "):
        assert len(re.findall(pattern, one, re.MULTILINE)) == len(re.findall(pattern, two, re.MULTILINE))
    figures = r"\d\.\d{4}"
    assert sorted(re.findall(figures, one)) == sorted(re.findall(figures, two))


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "README.zh-CN.md"], ids=named)
def test_the_first_page_is_short(page: Path) -> None:
    assert len(read(page).splitlines()) < MOST_LINES


def configurations(language: str) -> dict[str, str]:
    """The configurations that pages of a language show, by the file's name in the first line."""
    chosen = PAIRS if language == "en" else CHINESE
    codes = [code for page in chosen for _, code in blocks(read(page), "toml")]
    return {code.splitlines()[0].removeprefix("# "): code for code in codes}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_configurations_in_pages_are_valid(language: str, tmp_path: Path) -> None:
    found = configurations(language)
    for name, code in found.items():
        load(name, code, tmp_path)
    others = {
        "score.toml",
        "predeal.toml",
        "promote.toml",
        "trees.toml",
        "network.toml",
        "records-bank.toml",
        "records-sql.toml",
        "records-wide.toml",
    }
    assert found.keys() == MODELS.keys() - others


def test_parties_of_the_pages_and_of_the_samples_would_start(tmp_path: Path) -> None:
    for source in (configurations("en"), {name: sample(name) for name in MODELS}):
        settings = {n: load(n, source[n], tmp_path) for n in ("grid.toml", "bank.toml", "coordinator.toml")}
        grid, bank, neutral = settings.values()
        assert isinstance(grid, GridSettings) and isinstance(bank, BankSettings) and isinstance(neutral, CoordinatorSettings)
        assert (str(bank.peer.who), str(grid.peer.who)) == (neutral.grid, neutral.bank)
        check_separate(bank.peer.who, grid)
        check_separate(grid.peer.who, bank)


# Commands


@pages
def test_every_command_of_a_page_exists(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    for line in command_lines(read(page)):
        name, *words = shlex.split(line)
        name = name.removeprefix(".venv/bin/")
        if name == "make":
            assert {word for word in words if "=" not in word} <= targets
        elif name == "docker" and page.parent == ROOT / "deploy":
            check_compose(words)
        elif name in COMMANDS:
            check_command(name, words)


def test_the_pages_show_the_commands_there_are() -> None:
    seen: set[str] = set()
    for page in PAIRS:
        words = [shlex.split(line) for line in command_lines(read(page))]
        seen |= {word.removeprefix(".venv/bin/") for line in words for word in line[:3]}
    assert COMMANDS.keys() <= seen
    wanted = "try train jobs show cancel score predeal promote rollback renew revoke init issue bundle trust features doctor"
    assert set(wanted.split()) <= seen


def check_compose(words: list[str]) -> None:
    """Raises unless a `docker compose run` or `exec` is of a service of the demo, with a command of `wattscore` if any."""
    services = read(ROOT / "deploy" / "compose.yaml")
    if words[1] == "--profile":
        assert f"profiles: [{words[2]}]" in services
        words = [words[0], *words[3:]]
    assert words[0] == "compose" and words[1] in ("up", "run", "exec", "down", "cp", "logs")
    if words[1] in ("run", "exec"):
        service, *command = [word for word in words[2:] if word != "--rm"]
        assert f"\n  {service}:\n" in services
        if command:
            name, *rest = command if words[1] == "exec" else ["wattscore", *command]
            check_command(name, rest)


@pytest.mark.parametrize("page", [*PAGES, *SAMPLES.glob("*.toml")], ids=named)
def test_commands_named_in_prose_exist(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", read(page), flags=re.MULTILINE | re.DOTALL)
    for name, sub in re.findall(rf"(?<!from )\b({'|'.join(COMMANDS)}) ([a-z]+)\b", prose):
        subcommand(COMMANDS[name], sub)


# What pages say


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_field_of_a_result_is_explained(name: str) -> None:
    text = read(ROOT / "common" / "trial" / name)
    keys = as_json(coordinator_pb2.Job(), 0.0, None).keys()
    assert [key for key in keys if f"`{key}`" not in text] == []


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_stage_is_explained_once(name: str) -> None:
    table = [row[0].strip("`") for row in rows(read(ROOT / "common" / "stages" / name)) if row[0].startswith("`")]
    assert table == list(MEANING)


def test_the_limits_that_pages_state_are_the_defaults() -> None:
    for model in (Limits(), Policy()):
        assert (model.min_matched, model.min_rows, model.rows_per_column) == (1000, 1000, 20)
    assert (BankPolicy().min_per_class, BankPolicy().min_test_per_class, Policy().least_difference) == (100, 20, 100)
    assert (BankPolicy().label_bits, BankPolicy().metric_bits) == (0.1, 0.5)
    assert [int(0.5 // (metric_bits(held) / held)) for held in (300, 900, 3000, 9000)] == [2, 6, 15, 45]
    assert Policy().min_binary == Preparation().min_binary == 50
    plan = TrainPlan.model_validate({"grid": {"dataset": "m"}, "bank": {"dataset": "l"}})
    assert 2 ** Policy().finest_score_bits == 2**plan.score_bits == 32
    assert 2 ** Policy().finest_weight_bits == 2**plan.model.weight_bits == 256
    assert (GridPolicy().scores_per_row, GridPolicy().min_columns, Policy().owned_weights) == (8, 5, False)
    assert math.floor(plan.model.make_link().reach) == 12


BOOKS: dict[str, Sequence[Kept]] = {
    "Grid company": data_folder.GRID,
    "Bank": data_folder.BANK,
    "Coordinator": data_folder.COORDINATOR,
}
IN_CHINESE = {BackUp.DAILY: "是，每天", BackUp.YES: "是", BackUp.NO: "否", BackUp.NEVER: "**绝不**"}


@pytest.mark.parametrize("title", BOOKS)
def test_the_page_of_the_data_folder_is_as_the_code(title: str) -> None:
    parts = [re.split(r"^## .*$", read(ROOT / "deploy" / name), flags=re.MULTILINE) for name in ("DATA.md", "DATA.zh-CN.md")]
    place, kept = list(BOOKS).index(title) + 1, BOOKS[title]
    pruned = (
        [[f"`--{k.goes.option}`: {k.goes.what}"] if k.goes else ["no"] for k in kept]
        if title != "Coordinator"
        else [[]] * len(kept)
    )
    wanted = [[f"`{k.name}`", k.what, k.writer, k.back_up.value, k.lost] for k in kept]
    assert rows(parts[0][place])[2:] == [row + goes for row, goes in zip(wanted, pruned, strict=True)]
    chinese = rows(parts[1][place])[2:]
    assert [(row[0], row[3]) for row in chinese] == [(f"`{k.name}`", IN_CHINESE[k.back_up]) for k in kept]
    for row, k in zip(chinese, kept, strict=True):
        assert title == "Coordinator" or row[5].startswith(f"`--{k.goes.option}`：" if k.goes else "否")


# Who runs the commands of pages


def test_every_command_of_a_page_is_run_by_a_test() -> None:
    """Typed as it stands by a scenario that reads the page, or by the test that `ELSEWHERE` names."""
    runs = {f"deploy/{role}/README.md": "tests/scenarios/separate/test_follow.py" for role in ("grid", "bank", "coordinator")}
    runs |= dict.fromkeys(TYPED, "tests/scenarios/end_to_end/test_pages.py")
    runs["deploy/RESTORE.md"] = "tests/scenarios/end_to_end/test_restore.py"
    runs["deploy/ONLINE.md"] = "tests/scenarios/online/test_page.py"
    runs["tests/bench/README.md"] = "tests/scenarios/end_to_end/test_uci_recipes.py"
    for page in PAIRS:
        lines = [line for line in command_lines(read(page)) if not typed_elsewhere(line)]
        assert not lines or named(page) in runs, named(page)
    assert all((ROOT / file).exists() for file in runs.values())


@pytest.mark.parametrize(("pattern", "file", "word"), ELSEWHERE)
def test_what_runs_other_commands_is_there(pattern: str, file: str, word: str) -> None:
    assert word in read(ROOT / file)
    assert [line for page in PAIRS for line in command_lines(read(page)) if re.match(pattern, line)]


def test_make_demo_is_the_demo_that_is_tested() -> None:
    assert "\n\t$(BIN)/wattscore demo --out demo-out\n" in read(ROOT / "Makefile")
