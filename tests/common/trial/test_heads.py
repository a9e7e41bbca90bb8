"""Two files before anything starts: what `check` says of them, and what `try` refuses with the columns there are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from common.cli import main
from common.errors import ConfigError
from common.trial import run as trial_run
from common.trial.heads import COLUMNS, LEAST, key_names, parse_words
from common.trial.try_cli import options_of
from common.trial.try_cli import try_ as try_command
from grid_party.settings import GridPolicy

ROWS = 1200
REST = {
    name: value
    for name, value in try_command.make_context("try", ["--bank", "."]).params.items()
    if name in ("test", "seed", "coding", "out", "compare", "report", "keep")
}
GOOD = ("--grid-key", "code", "--bank-key", "企业代码", "--label", "逾期")


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two tables whose keys and label have Chinese names at the bank; no process starts."""
    grid = ["code,kwh,opened", *(f"e{k:05},{k * 7 % 101},2020-01-{k % 28 + 1:02}" for k in range(ROWS))]
    bank = [
        "企业代码,纳税额,备注,序号,逾期",
        *(f"E{k:05},{k * 11 % 97},note {k},{k},{'是' if k % 3 else '否'}" for k in range(100, ROWS + 100)),
    ]
    (tmp_path / "grid.csv").write_text("\n".join(grid) + "\n")
    (tmp_path / "bank.csv").write_text("\n".join(bank) + "\n", encoding="gb18030")

    class Started:
        def __init__(self, *_: object, meanwhile: Callable[[], None], forks: object) -> None:
            self._meanwhile = meanwhile

        def __enter__(self) -> None:
            self._meanwhile()
            raise AssertionError("a trial has been started")

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(trial_run, "Trial", Started)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return tmp_path


def run(command: str, folder: Path, *words: str) -> Result:
    files = [str(folder / "grid.csv"), str(folder / "bank.csv")]
    return CliRunner().invoke(
        main, [command, *(files if command == "check" else ["--grid", files[0], "--bank", files[1]]), *words]
    )


def test_a_label_that_the_other_file_has_speaks_of_swapped_files_before_names_that_are_near(tmp_path: Path) -> None:
    for name, column in (("grid", "overdue"), ("bank", "owed")):
        (tmp_path / f"{name}.csv").write_text(f"id,{column}\n1,0\n")
    assert "swapped" in run("check", tmp_path, "--key", "id", "--label", "overdue").output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--key", "code", "--label", "逾期"), "no column 'code' (--key). It has '企业代码', '纳税额', '备注', '序号', '逾期'"),
        (("--key", "code", "--label", "逾期"), "grid.csv has it: name each side's own by --grid-key and --bank-key"),
        (("--grid-key", "Code", "--bank-key", "企业代码", "--label", "逾期"), "no column 'Code' (--grid-key). It has 'code'"),
        (("--grid-key", "企业代码", "--bank-key", "code", "--label", "逾期"), "bank.csv has it: are the two files swapped?"),
        (("--grid-key", "cod", "--bank-key", "企业代码", "--label", "逾期"), "Nearest: 'code'"),
        (("--grid-key", "code", "--bank-key", "企业代码", "--label", "逾期_"), "Nearest: '逾期'"),
        (("--grid-key", "code", "--bank-key", "企业代码", "--label", "kwh"), "grid.csv has it: are the two files swapped?"),
        (("--grid-key", "code", "--bank-key", "企业代码", "--label", "逾其"), "Nearest: '逾期'"),
        (("--grid-key", "code", "--bank-key", "企业代码", "--label", "备注"), "column '备注': "),
        (("--grid-key", "kwh", "--bank-key", "企业代码", "--label", "逾期"), "no id is common to both files"),
        (("--grid-key", "code", "--label", "逾期"), "no column of ids for the bank. Give --key for both, or --bank-key"),
        ((*GOOD, "--label-values", "是"), "'是' is not like 是=1"),
        ((*GOOD, "--label-values", "Y=1,N=0"), "It has: Y, N"),
        ((*GOOD, "--period", "month"), "no column 'month' (--period)"),
    ],
)  # fmt: skip
def test_try_refuses_before_any_process_starts(tables: Path, words: tuple[str, ...], says: str) -> None:
    ended = run("try", tables, *words)
    assert ended.exit_code == 2 and says in ended.stderr, ended.stderr


def test_too_few_common_ids_name_the_option_of_try_and_no_policy(tables: Path) -> None:
    lines = (tables / "grid.csv").read_text().splitlines()
    (tables / "grid.csv").write_text("\n".join([lines[0], *lines[-300:]]) + "\n")
    said = run("try", tables, *GOOD).stderr
    assert "300 ids are common to both files, below 1,000" in said and "--allow-small" in said and "polic" not in said
    assert "900 at the bank alone, such as E****" in said and "E****, E****" not in said and "E00100" not in said


def test_too_few_columns_of_the_grid_name_the_option_of_try_before_any_job(tables: Path) -> None:
    ended = run("try", tables, *GOOD)
    assert ended.exit_code == 2 and "grid.csv: 1 column to train on ('kwh'), below 5" in ended.stderr, ended.stderr
    assert "--allow-small" in ended.stderr
    assert GridPolicy().min_columns == COLUMNS and GridPolicy().min_matched == LEAST


def test_compare_is_refused_before_training_where_its_library_lacks(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[[str], object] = trial_run.importlib.util.find_spec
    monkeypatch.setattr(trial_run.importlib.util, "find_spec", lambda name: None if name == "sklearn" else find(name))
    ended = run("try", tables, *GOOD, "--compare")
    assert (
        ended.exit_code == 2 and "--compare needs scikit-learn" in ended.stderr and "pip install scikit-learn" in ended.stderr
    )


@pytest.mark.parametrize(
    ("grid", "bank", "lost"),
    [
        ([f"{k:08d}" for k in range(600)], [str(k) if k % 2 else f"{k:08d}" for k in range(600)], True),
        ([f"{k:08d}" for k in range(600)], [str(k) for k in range(600)], True),  # none matches
        ([f"{k:08d}" for k in range(600)], [f"{k:08d}" if k < 400 else str(7000 + k) for k in range(600)], False),
    ],
)
def test_zeros_are_said_to_be_lost_where_the_other_file_has_them(
    grid: list[str], bank: list[str], lost: bool, tmp_path: Path
) -> None:
    tmp_path.joinpath("grid.csv").write_text("id,a\n" + "".join(f"{id},{k}\n" for k, id in enumerate(grid)))
    tmp_path.joinpath("bank.csv").write_text("id,y\n" + "".join(f"{id},{k % 3 % 2}\n" for k, id in enumerate(bank)))
    said = " ".join(run("check", tmp_path, "--key", "id", "--label", "y").output.split())
    assert ("leading zeros" in said) is lost, said


def test_check_says_of_each_column_what_it_is_and_how_keys_would_match(tables: Path) -> None:
    ended = run("check", tables, *GOOD, "--label-values", "是=1,否=0")
    said = " ".join(ended.stdout.split())
    assert ended.exit_code == 0, ended.output
    assert "opened month months or dates as text: left out" in said and said.count("dates as text") == 1
    assert "free text" in said
    assert "1,100 ids are common to both" in said
    assert "1,200 ids at the grid, as 6 digits and letters; 100 at the grid alone, such as E****" in said
    assert "1 in 66.67% of rows" in said


@pytest.mark.parametrize("command", ["check", "try"])
def test_commas_that_may_stand_between_thousands_are_settled_by_an_option(command: str, tables: Path) -> None:
    lines = (tables / "bank.csv").read_text(encoding="gb18030").splitlines()
    taxed = [line.split(",") for line in lines[1:]]
    rows = [",".join([one[0], f'"{int(one[1]) + 1},{int(one[1]):03}"', *one[2:]]) for one in taxed]
    (tables / "bank.csv").write_text("\n".join([lines[0], *rows]) + "\n", encoding="utf-8")
    words = (*GOOD, "--label-values", "是=1,否=0", "--allow-small")
    asked = run(command, tables, *(words if command == "try" else words[:-1]))
    assert asked.exit_code == 2 and "column '纳税额'" in asked.output and "`--decimal .`, for both files" in asked.output
    told = run(command, tables, *(words if command == "try" else words[:-1]), "--decimal", ".")
    if command == "check":
        assert told.exit_code == 0 and "commas between thousands" in " ".join(told.output.split())
    else:  # the tables are read, and the processes begin
        assert isinstance(told.exception, AssertionError)


def test_a_separator_is_named_by_a_declaration(tables: Path) -> None:
    text = (tables / "bank.csv").read_text(encoding="gb18030")
    (tables / "bank.csv").write_text(text.replace(",", ";"), encoding="utf-8")
    told = run("try", tables, *GOOD)
    assert told.exit_code == 2 and "`wattscore schema FILE --separator ... --out FILE.toml`" in told.output
    assert told.output.count("one column only") == 1


def test_check_without_a_key_finds_the_columns_that_could_be(tables: Path) -> None:
    said = " ".join(run("check", tables).stdout.split())
    assert "1,100 ids are common by --grid-key code --bank-key 企业代码" in said


@pytest.fixture
def monthly(tables: Path) -> Path:
    """The same folder, whose tables are by month under two names, each with a declaration as `schema --out` writes it."""
    for file, month in (("grid.csv", "month"), ("bank.csv", "月份")):
        lines = (tables / file).read_bytes().decode("gb18030").splitlines()
        text = "\n".join([f"{month},{lines[0]}", *(f"2025-{k % 2 + 1:02},{line}" for k, line in enumerate(lines[1:]))])
        (tables / file).write_text(text + "\n", encoding="utf-8")
    keys = {"grid": ("--key", "code", "--period", "month")}
    keys["bank"] = ("--key", "企业代码", "--period", "月份", "--label", "逾期", "--missing=-")
    for side, words in keys.items():
        out = str(tables / f"{side}.toml")
        assert CliRunner().invoke(main, ["schema", str(tables / f"{side}.csv"), *words, "--out", out]).exit_code == 0
    return tables


MONTHS = ("--grid-period", "month", "--bank-period", "月份")


def test_months_may_have_a_name_at_each_side(monthly: Path) -> None:
    assert run("check", monthly, *GOOD, *MONTHS).stdout.count("2025-01 to 2025-02") == 2
    assert "grid.csv: 1 column to train on ('kwh'), below 5" in run("try", monthly, *GOOD, *MONTHS).stderr
    for command in ("check", "try"):
        said = run(command, monthly, *GOOD, "--period", "month").stderr
        assert "bank.csv: no column 'month' (--period)" in said and "by --grid-period and --bank-period" in said
        said = run(command, monthly, *GOOD, *MONTHS[:2]).stderr
        assert "the grid's rows are by month (month), and nothing names the months of the bank. Give --bank-period" in said


def test_declarations_say_keys_months_and_label_themselves(monthly: Path) -> None:
    files = {side: str(monthly / f"{side}.toml") for side in ("grid", "bank")}
    ended = CliRunner().invoke(main, ["check", files["grid"], files["bank"]])
    assert ended.exit_code == 0 and "1,100 ids are common to both" in ended.stdout, ended.output
    assert ended.stdout.count("2025-01 to 2025-02") == 2 and "1 in 66.67% of rows" in ended.stdout
    words = ["try", "--grid", files["grid"], "--bank", files["bank"]]
    assert "1 column to train on ('kwh'), below 5" in CliRunner().invoke(main, words).stderr  # keys and label were found
    assert "no column '逾' (--label)" in CliRunner().invoke(main, [*words, "--label", "逾"]).stderr
    found = options_of(Path(files["grid"]), Path(files["bank"]), allow_small=True, missing="N/A", **REST)
    assert found.by_period and found.datasets["bank"].missing == ("-", "N/A")
    mixed = ["check", files["grid"], str(monthly / "bank.csv"), "--key", "企业代码", "--period", "月份", "--label", "逾期"]
    assert CliRunner().invoke(main, mixed).exit_code == 0  # what is said of one side stands above what both options say


def test_a_name_that_a_declaration_has_wrong_is_told_with_its_file(monthly: Path) -> None:
    file = monthly / "grid.toml"
    file.write_text(file.read_text().replace('id = "code"', 'id = "cod"'))
    ended = run("check", monthly, *GOOD[2:])
    assert ended.exit_code == 0  # without a key for the grid, columns are looked for
    said = CliRunner().invoke(main, ["check", str(file), str(monthly / "bank.toml")]).stderr
    assert "no column 'cod' (id of grid.toml)" in said and "Nearest: 'code'" in said


def test_try_asks_for_a_label_that_nothing_names(tables: Path) -> None:
    assert "bank.csv: nothing names the column of outcomes. Give --label" in run("try", tables, *GOOD[:4]).stderr


def test_words_and_names_of_options() -> None:
    assert parse_words("是=1, 否=0") == {"是": 1, "否": 0} and parse_words(None) == {} and parse_words("a=b=1") == {"a=b": 1}
    assert parse_words({"是": 1, "否": 0}) == {"是": 1, "否": 0}
    for wrong in ({"是": 2}, {"": 1}, "是=2", "=1", "1"):
        with pytest.raises(ConfigError, match="is not like 是=1"):
            parse_words(wrong)
    assert key_names("k", None, "b") == {"grid": ("k", "--key"), "bank": ("b", "--bank-key")}
    with pytest.raises(ConfigError, match="no column of ids for the grid"):
        key_names(None, None, "b")


@pytest.mark.parametrize("command", ["check", "try"])
def test_a_cell_that_is_no_number_is_told_while_processes_start_with_an_option_that_mends_it(
    command: str, tables: Path
) -> None:
    file = tables / "grid.csv"
    file.write_text(
        re.sub(r"^(e0015\d),\d+", r"\1,-", re.sub(r"^(e0016\d),\d+", r"\1,N/A", file.read_text(), flags=re.M), flags=re.M)
    )
    words = (*GOOD, "--label-values", "是=1,否=0")
    said = run(command, tables, *words)
    assert said.exit_code == 2 and "column 'kwh'" in said.output and "--missing=-,N/A" in said.output
    mended = run(command, tables, *words, "--missing=-,N/A", *(["--allow-small"] if command == "try" else []))
    assert "column 'kwh'" not in mended.output
    assert mended.exit_code == 0 if command == "check" else "a trial has been started" in str(mended.exception)


@pytest.mark.parametrize("words", [("--missing=-,N/A",), ("--missing", "-", "--missing", "N/A")])
def test_words_that_mean_missing_are_taken_in_either_form_by_every_command(tables: Path, words: tuple[str, ...]) -> None:
    grid = (tables / "grid.csv").read_text().replace("e00003,21,", "e00003,-,").replace("e00004,28,", "e00004,N/A,")
    (tables / "grid.csv").write_text(grid)
    keyed = (*GOOD, "--label-values", "是=1,否=0")
    for arguments in (("check", *(files := [str(tables / f"{side}.csv") for side in ("grid", "bank")])), ("schema", files[0])):
        for more in ((), keyed if arguments[0] == "check" else ("--key", "code")):
            plain = CliRunner().invoke(main, [*arguments, *more]).stdout
            told = CliRunner().invoke(main, [*arguments, *more, *words]).stdout
            (kwh,) = (line for line in told.splitlines() if line.strip().startswith("kwh"))
            assert " number " in kwh and kwh not in plain.splitlines(), told


def test_check_warns_of_a_grid_with_fewer_columns_than_its_policy_wants(tables: Path) -> None:
    said = " ".join(run("check", tables, *GOOD, "--label-values", "是=1,否=0").stdout.split())
    assert f"1 column to train on ('kwh'), below {COLUMNS}: scores would all but tell them" in said


@pytest.mark.parametrize("keys", [GOOD[:4], ()])
def test_check_goes_on_after_a_column_that_is_wrong_and_tells_all_of_them(keys: tuple[str, ...], tables: Path) -> None:
    for file, encoding in (("grid.csv", "utf-8"), ("bank.csv", "gb18030")):
        lines = (tables / file).read_text(encoding=encoding).splitlines()
        lines[7] = ",".join([(cells := lines[7].split(","))[0], "-", *cells[2:]])
        (tables / file).write_text("\n".join(lines) + "\n", encoding=encoding)
    ended = run("check", tables, *keys)
    said = " ".join(ended.stdout.split())
    assert ended.exit_code == 2 and said.count("wrong cannot be read as it is") == 2
    assert "dates as text" in said and "free text" in said and "1,100 ids are common" in said
    assert "line 8, column 'kwh': '-'" in ended.stderr and "line 8, column '纳税额': '-'" in ended.stderr
    assert ended.stderr.count("--missing=-,N/A") == 2
    assert run("check", tables, *keys, "--missing=-").exit_code == 0


def test_ids_that_repeat_and_an_encoding_that_is_none_name_what_to_give_here(tables: Path) -> None:
    lines = (tables / "grid.csv").read_text().splitlines()
    (tables / "grid.csv").write_text("\n".join([*lines, lines[5]]) + "\n")
    said = run("try", tables, *GOOD).stderr
    assert "(1 row too many)" in said and "Here: --period, the column of months" in said
    (tables / "grid.csv").write_bytes(b"code,kwh\n" + bytes(range(128, 256)) * 40)
    assert "`wattscore schema FILE --encoding ... --out FILE.toml`" in run("try", tables, *GOOD).stderr
