"""Command lines that start at once: what they load, what they list, how they end."""

from __future__ import annotations

import gc
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from bank_party.__main__ import main as bank
from common import __version__
from common.cli import main as wattscore
from common.coordinator.__main__ import main as coordinator
from common.errors import PlanError
from common.process.chinese import read_chinese
from common.process.group import Entry, LazyGroup
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

LATER = {"matplotlib", "jinja2", "rich", "sqlalchemy", "duckdb", "openpyxl", "sklearn", "scipy"}


@pytest.mark.parametrize("module", GROUPS)
@pytest.mark.parametrize("word", ["--help", "--version"])
def test_asking_for_its_version_or_help_loads_no_library_but_clicks(module: str, word: str) -> None:
    code = f"import sys; from {module} import main; main([{word!r}], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"click", "common.process.group"} <= loaded and HEAVY & loaded == set()
    assert {name for name in loaded if name.startswith("common")} <= {
        "common", "common.cli", "common.errors", "common.text", "common.text.visible", "common.process", "common.process.group",
        "common.process.memory", "common.daemon", "common.daemon.entries", "common.coordinator", "common.coordinator.__main__",
    }  # fmt: skip
    assert __version__ in done.stdout or word == "--help"


def test_a_daemon_waits_for_no_library_that_only_a_page_or_a_database_needs() -> None:
    """What all three have imported has none of them, so none of the three has one."""
    code = "import sys, grid_party.seat, bank_party.seat, common.coordinator.daemon; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"numpy", "grpc"} <= loaded and LATER & loaded == set()


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
    assert ended.exit_code == 2 and "no command 'trian'. Did you mean train?" in " ".join(ended.stderr.split())
    far = CliRunner().invoke(group, ["xyzzy"])
    assert far.exit_code == 2 and "no command 'xyzzy'. `wattscore --help` lists them." in " ".join(far.stderr.split())


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


def test_the_language_of_the_help_is_taken_after_a_command_unless_the_command_writes_in_a_language(tmp_path: Path) -> None:
    for words in (
        ["jobs", "--lang", "zh"],
        ["certs", "issue", "--lang=zh"],
        ["--lang", "zh", "features"],
        ["try", "--lang", "zh"],
    ):
        shown = CliRunner().invoke(wattscore, [*words, "--config", str(tmp_path / "none.toml")])
        assert "No such option '--lang'" not in shown.output and wattscore.language == "zh", words
    CliRunner().invoke(wattscore, ["features", "--lang", "zh", str(tmp_path / "none.toml"), "--out", "x"])
    assert wattscore.language != "zh"  # of quality.html
    assert "'fr' is not one of 'en', 'zh'" in CliRunner().invoke(wattscore, ["jobs", "--lang", "fr"]).output


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


def commands(command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command under this one, by the words that call it."""
    yield (), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in {**getattr(command, "entries", {}), **command.commands}:
            one = command.get_command(context, name)
            assert one is not None
            yield from (((name, *words), found) for words, found in commands(one))


EVERY = [(group, words, found) for group in GROUPS.values() for words, found in commands(group)]
LEAVES = [(group, words) for group, words, found in EVERY if words and found.help]


def texts() -> set[str]:
    """All that help says in English."""
    said = {"Commands", "More", "Options", "Show this message and exit.", "Show the version and exit.", *wattscore._sections}
    for group, words, command in EVERY:
        said |= {entry.about for entry in group.entries.values() if entry.about}
        paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")) if words else [group.help or ""]
        said |= {" ".join(text.split()) for text in paragraphs if text}
        for option in (param for param in command.params if isinstance(param, click.Option)):
            assert option.help, f"{group.name} {words} {option.opts}: an option without help"
            said.add(" ".join(option.help.split()))
    return said


def test_every_command_and_option_has_its_help_in_chinese_and_nothing_is_left_over() -> None:
    missing, over = sorted(texts() - set(read_chinese())), sorted(set(read_chinese()) - texts())
    assert not missing and not over, f"common/process/help.zh.toml lacks {missing} and has {over}, which no help says"
    for en, zh in read_chinese().items():
        assert CHINESE.search(zh), en
        assert sorted(re.findall(r"`[^`]*`|--[a-z-]+|\d+", en)) == sorted(re.findall(r"`[^`]*`|--[a-z-]+|\d+", zh)), (en, zh)


@pytest.mark.parametrize(("group", "words"), LEAVES, ids=[f"{group.name} {' '.join(words)}" for group, words in LEAVES])
def test_help_of_a_command_is_in_chinese_and_fits_a_terminal(group: LazyGroup, words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(group, ["--lang", "zh", *words, "--help"], terminal_width=80)
    assert done.exit_code == 0
    assert CliRunner().invoke(group, [*words, "--help", "--lang", "zh"], terminal_width=80).stdout == done.stdout
    said = re.sub(r"^  .*?  +", "", done.stdout, flags=re.MULTILINE)  # what stands left of it are names
    english = [line for line in said.splitlines() if re.search(r"(?:[a-z]+ ){4}", line) and not CHINESE.search(line)]
    assert english == [] and "用法：" in done.stdout and "选项:" in done.stdout
    assert [line for line in done.stdout.splitlines() if cell_len(line) > 80] == []
    assert not CHINESE.search(
        CliRunner().invoke(group, ["--lang", "en", *words, "--help"]).stdout.replace("是=1", "").replace("否=0", "")
    )


@pytest.mark.parametrize("module", GROUPS)
def test_a_command_ends_without_looking_for_garbage_in_all_that_was_imported(module: str) -> None:
    """What is registered first for the end is called last: it sees what is left to look through."""
    program = (
        "import atexit, gc, importlib, sys\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 10 * len(gc.get_objects())))\n"
        f"importlib.import_module({module!r}).main(['--version'])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


@pytest.mark.parametrize("collecting", [True, False])
@pytest.mark.parametrize("module", ["common.trust.cli:certs", "common.nowhere:command"])
def test_nothing_is_collected_while_a_command_is_imported_and_as_before_afterwards(
    monkeypatch: pytest.MonkeyPatch, module: str, collecting: bool
) -> None:
    seen, load = list[bool](), importlib.import_module

    def loaded(name: str) -> object:
        seen.append(gc.isenabled())
        return load(name)

    monkeypatch.setattr(importlib, "import_module", loaded)
    group = LazyGroup("words", "Of one.", {"one": Entry(module, "It.")})
    (gc.enable if collecting else gc.disable)()
    try:
        found = group.get_command(click.Context(group), "one")
        assert found is not None and found.name == "certs"
    except ModuleNotFoundError:
        assert module == "common.nowhere:command"
    finally:
        after = gc.isenabled()
        gc.enable()
    assert seen == [False] and after == collecting
