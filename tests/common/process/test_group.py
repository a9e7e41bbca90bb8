"""Command lines that start at once: what they load, what they list, how they end."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from bank_party.__main__ import main as bank
from common import __version__
from common.cli import main as wattscore
from common.coordinator.__main__ import main as coordinator
from common.errors import PlanError
from common.process.group import LazyGroup, _chinese
from grid_party.__main__ import main as grid

GROUPS: dict[str, LazyGroup] = {
    "common.cli": wattscore,
    "grid_party.__main__": grid,
    "bank_party.__main__": bank,
    "common.coordinator.__main__": coordinator,
}
HEAVY = {
    "numpy",
    "pandas",
    "pyarrow",
    "grpc",
    "matplotlib",
    "google.protobuf",
    "cryptography",
    "pydantic",
    "rich",
    "sqlalchemy",
}


@pytest.mark.parametrize("module", GROUPS)
@pytest.mark.parametrize("word", ["--help", "--version"])
def test_asking_for_its_version_or_help_loads_no_library_but_clicks(module: str, word: str) -> None:
    code = f"import sys; from {module} import main; main([{word!r}], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"click", "common.process.group"} <= loaded and HEAVY & loaded == set()
    assert {name for name in loaded if name.startswith("common")} <= {
        "common", "common.cli", "common.errors", "common.text", "common.text.visible", "common.process", "common.process.group",
        "common.daemon", "common.daemon.entries", "common.coordinator", "common.coordinator.__main__",
    }  # fmt: skip
    assert __version__ in done.stdout or word == "--help"


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
def test_the_list_says_what_each_command_says_of_itself(group: LazyGroup) -> None:
    context = click.Context(group)
    shown = " ".join(CliRunner().invoke(group, ["--help"]).stdout.split())
    for name in group.list_commands(context):
        command, about = group.get_command(context, name), group.entries[name].about
        assert command is not None and about is not None and about in shown
        said = " ".join((command.help or "").split())
        assert said.startswith(about.removesuffix(".")), f"{name}: {said}"


def test_an_unknown_command_is_said(group: LazyGroup = wattscore) -> None:
    ended = CliRunner().invoke(group, ["trian"])
    assert ended.exit_code == 2 and "No such command 'trian'" in ended.stderr


@pytest.mark.parametrize("name", ["models", "monitor", "report"])
def test_a_command_that_has_moved_says_where_and_ends_with_2(name: str) -> None:
    ended = CliRunner().invoke(wattscore, [name, "train-1", "--config", "my bank.toml", "--help"])
    assert ended.exit_code == 2
    line = f"{name} train-1 --config 'my bank.toml' --help"
    assert f"Run `bank-party {line}` at the bank, `grid-party {line}` at the grid." in ended.stderr
    assert name not in wattscore.list_commands(click.Context(wattscore))
    for group in (grid, bank):
        assert name in group.list_commands(click.Context(group))


def test_an_error_of_ours_is_one_line_and_names_where_it_is_from() -> None:
    @click.command()
    def failing() -> None:
        error = PlanError("no such column", remedy="Name another.")
        error.origin = "grid"
        raise error

    group = LazyGroup("tool", "A tool.", {})
    group.get_command = lambda ctx, cmd_name: failing  # type: ignore[method-assign]
    ended = CliRunner().invoke(group, ["failing"])
    assert (ended.exit_code, ended.stderr) == (2, "tool: grid: no such column. Name another.\n")


def test_help_is_in_groups_with_an_example_each_and_lists_every_command_once() -> None:
    shown = CliRunner().invoke(wattscore, ["--help"]).stdout
    listed = [line.split()[0] for line in shown.splitlines() if line.startswith("  ") and line[2] not in " $-"]
    commands = [name for name in listed if name in wattscore.entries]
    assert sorted(commands) == wattscore.list_commands(click.Context(wattscore))
    assert shown.count("$ wattscore ") == 6


def test_a_shell_completes_commands_and_options() -> None:
    def complete(words: str, at: int) -> str:
        environment = {**os.environ, "_WATTSCORE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        code = "from common.cli import main; main(prog_name='wattscore')"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
        return done.stdout

    assert {"plain,train", "plain,try"} <= set(complete("wattscore tr", 1).split())
    assert "plain,--kind" in complete("wattscore jobs --k", 2)


CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["--lang", "zh", "--help"], {}),
        (["--help", "--lang=zh"], {"LANG": "en_US.UTF-8"}),
        (["--help"], {"WATTSCORE_LANG": "zh", "LC_ALL": "C"}),
        (["--help"], {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "zh_CN.UTF-8"}),
    ],
)
def test_the_list_of_commands_is_in_chinese_where_it_is_asked_for(
    group: LazyGroup, words: list[str], environment: dict[str, str]
) -> None:
    shown = CliRunner().invoke(group, words, env={"LC_ALL": "", "LC_MESSAGES": "", "WATTSCORE_LANG": "", **environment}).stdout
    told = re.findall(r"^  (?:--)?[a-z]\S*(?: \[en\|zh\])? {2,}(.*)$", shown, re.MULTILINE)
    assert len(told) == len(group.list_commands(click.Context(group))) + 3  # --version, --lang, --help
    assert [text for text in told if not CHINESE.search(text)] == [] and "Options" not in shown
    english = CliRunner().invoke(group, ["--lang", "en", "--help"], env={"LANG": "zh_CN.UTF-8"}).stdout
    assert not CHINESE.search(english) and english.count("\n") > 5


def test_every_line_of_the_chinese_list_is_one_of_the_english_lists() -> None:
    said = {group.help for group in GROUPS.values()} | {e.about for g in GROUPS.values() for e in g.entries.values()}
    said |= {"Commands", "More", "Show this message and exit.", "Show the version and exit.", "Language of the help: en or zh."}
    said |= set(wattscore._sections)
    assert set(_chinese()) == said - {None}
