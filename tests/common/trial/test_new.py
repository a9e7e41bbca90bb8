"""`wattscore new`: what it writes is what the pages deploy, and what each process would start with."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from bank_party.settings import BankSettings
from common.cli import main
from common.config import StrictModel
from common.plan.read import load_plan
from common.process.settings import ClientSettings, CoordinatorSettings, load_settings
from common.trial.new_cli import FILES
from grid_party.settings import GridSettings
from tests.source import ROOT

SETTINGS: dict[str, type[StrictModel]] = {
    "coordinator/coordinator.toml": CoordinatorSettings,
    "grid/grid.toml": GridSettings,
    "bank/bank.toml": BankSettings,
    "bank/client.toml": ClientSettings,
}


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["new", *map(str, words)])


def tables(folder: Path) -> tuple[Path, Path]:
    grid, bank = folder / "电表.csv", folder / "贷款.csv"
    grid.write_text("企业代码,月,kwh\nA,2024-01,3\n", encoding="utf-8")
    bank.write_text("统一社会信用代码,月,逾期\nA,2024-01,是\n", encoding="utf-8")
    return grid, bank


def test_what_it_writes_is_what_the_pages_deploy(tmp_path: Path) -> None:
    assert run(tmp_path, "--period", "month", "--label", "overdue_next_month").exit_code == 0
    for role, names in FILES.items():
        for name in names:
            deployed = (ROOT / "deploy" / role / name).read_text().replace("../samples/", "deploy/samples/")
            assert (tmp_path / role / name).read_text() == deployed


def test_every_process_would_start_with_names_and_words_of_ones_own(tmp_path: Path) -> None:
    grid, bank = tables(tmp_path)
    words = ["--grid-key", "企业代码", "--bank-key", "统一社会信用代码", "--label", "逾期", "--label-values", "是=1,否=0"]
    where = ["--coordinator-address", "127.0.0.1:7000", "--grid-address", "grid.hua.example:7005"]
    names = ["--grid-org", "hua-grid", "--bank-org", "hua-bank", "--neutral-org", "third"]
    told = run(tmp_path / "new", "--grid-table", grid, "--bank-table", bank, "--period", "月", *words, *where, *names)
    assert told.exit_code == 0, told.output
    read = {path: load_settings(model, tmp_path / "new" / path) for path, model in SETTINGS.items()}
    one, other, third = (read[f"{path}.toml"] for path in ("bank/bank", "grid/grid", "coordinator/coordinator"))
    assert isinstance(one, BankSettings) and isinstance(other, GridSettings) and isinstance(third, CoordinatorSettings)
    assert (one.datasets["loans"].path, one.datasets["loans"].label_values) == (bank.resolve(), {"是": 1, "否": 0})
    assert (other.listen, other.datasets["meters"].id, other.datasets["meters"].period) == ("0.0.0.0:7005", "企业代码", "月")
    assert (third.listen, third.clients) == ("127.0.0.1:7000", ("wattscore://hua-bank/client",))
    assert list(load_plan(tmp_path / "new" / "bank" / "plan.toml").keys) == ["id", "period"]
    text = (tmp_path / "new" / "bank" / "bank.toml").read_text(encoding="utf-8").splitlines()
    columns = {cell_len(line[: line.index("# required")]) for line in text if line.startswith(("id =", "label =", "data ="))}
    assert len(columns) == 1  # comments stand in one column beside Chinese names too
    steps = told.output.split("Next, at ")[1:]
    assert [step.strip().splitlines()[-1].strip() for step in steps] == [
        "wattscore doctor --config coordinator.toml",
        "grid-party doctor --config grid.toml",
        "wattscore train plan.toml --watch",
    ]
    assert "wattscore certs issue --dir ca --role bank-party --role client --out certs" in told.output
    for path in SETTINGS:  # a value has its meaning beside it, in one column
        lines = [x for x in (tmp_path / "new" / path).read_text().splitlines() if " = " in x and not x.startswith("#")]
        assert all("# " in x for x in lines)


def test_rows_without_months_are_matched_by_id(tmp_path: Path) -> None:
    assert run(tmp_path, "--role", "bank").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]
    assert load_plan(tmp_path / "bank" / "plan.toml").keys == ("id",)
    assert "period" not in tomllib.loads((tmp_path / "bank" / "bank.toml").read_text())["datasets"]["loans"]


def test_each_side_may_have_a_name_of_its_own_for_months(tmp_path: Path) -> None:
    assert run(tmp_path / "one", "--grid-period", "月", "--bank-period", "month").exit_code == 0
    told = {role: tomllib.loads((tmp_path / "one" / role / f"{role}.toml").read_text()) for role in ("grid", "bank")}
    assert (told["grid"]["datasets"]["meters"]["period"], told["bank"]["datasets"]["loans"]["period"]) == ("月", "month")
    assert load_plan(tmp_path / "one" / "bank" / "plan.toml").keys == ("id", "period")
    half = run(tmp_path / "two", "--bank-period", "month")
    assert half.exit_code == 2 and "nothing names the months of the grid" in half.output and "--grid-period" in half.output
    assert not (tmp_path / "two").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "plan.toml").write_text("mine")
    told = run(tmp_path)
    assert told.exit_code == 2 and "plan.toml exists, and nothing was written" in told.output
    assert [path.name for path in tmp_path.iterdir()] == ["bank"] and (tmp_path / "bank" / "plan.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--grid-org", "Acme Grid"], "is not an identity"),
        (["--grid-org", "one", "--neutral-org", "one"], "two of the three organisations have one name"),
        (["--grid-address", "grid.example"], "'grid.example' is not HOST:PORT"),
        (["--label-values", "yes"], "'yes' is not like 是=1"),
    ],
)
def test_what_no_process_would_take_is_refused_before_anything_is_written(words: list[str], said: str, tmp_path: Path) -> None:
    told = run(tmp_path / "new", *words)
    assert told.exit_code == 2 and said in told.output
    assert not (tmp_path / "new").exists()


def test_a_table_is_looked_at_by_the_side_that_has_it(tmp_path: Path) -> None:
    _, bank = tables(tmp_path)
    told = run(tmp_path / "new", "--role", "bank", "--bank-table", bank, "--bank-key", "统一社会信用码", "--label", "逾期")
    assert told.exit_code == 2
    assert "no column '统一社会信用码' (--bank-key). It has '统一社会信用代码', '月', '逾期'" in told.output
    assert "Nearest: '统一社会信用代码'." in told.output


def test_words_that_mean_missing_stand_in_both_configurations(tmp_path: Path) -> None:
    assert run(tmp_path, "--missing=-,N/A, -9999").exit_code == 0
    for path, model, name in (("grid/grid.toml", GridSettings, "meters"), ("bank/bank.toml", BankSettings, "loans")):
        settings = load_settings(model, tmp_path / path)
        assert isinstance(settings, GridSettings | BankSettings)
        assert settings.datasets[name].missing == ("-", "N/A", "-9999")
