"""`wattscore estimate` without a network: sizes from options, from configurations; what is said when there are none."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from common.cli import main
from common.client import estimate as command
from common.features.pieces import USUAL as PIECES
from common.plan.read import load_plan, make_plan
from common.plan.several import SeveralPlan
from common.stages.estimate import Sizes, estimate
from common.stages.several.estimate import SeveralSizes, estimate_several
from common.wire import coordinator_pb2 as wire

PLAN = {"grid": {"dataset": "meters"}, "bank": {"dataset": "loans"}}
TOML = '[grid]\ndataset = "meters"\n[bank]\ndataset = "loans"\n'


def run(plan: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["estimate", str(plan), "--config", str(plan.parent / "client.toml"), *words])


def priced(plan: Path, *words: str) -> dict[str, Any]:
    ended = run(plan, *words, "--json")
    assert ended.exit_code == 0, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = tmp_path / "plan.toml"
    file.write_text(TOML)
    return file


def configure(folder: Path, rows: dict[str, int]) -> list[str]:
    words = []
    for party, name, columns in (("grid", "meters", 3), ("bank", "loans", 2)):
        frame = pd.DataFrame({"id": [f"E{k:06d}" for k in range(rows[party])]})
        frame = frame.assign(**{f"c{j}": 0.5 for j in range(columns)}, **({"y": 0} if party == "bank" else {}))
        frame.to_csv(folder / f"{name}.csv", index=False)
        label = 'label = "y"\n' if party == "bank" else ""
        (folder / f"{party}.toml").write_text(f'[datasets.{name}]\npath = "{name}.csv"\nid = "id"\n{label}')
        words += [f"--{party}", str(folder / f"{party}.toml")]
    return words


def test_by_rows_and_columns(plan: Path) -> None:
    found = priced(plan, "--rows", "20000", "--columns", "12,5", "--ids", "30000,25000")
    expected = estimate(make_plan(dict(PLAN), "plan"), Sizes(20_000, 12, 5, 30_000, 25_000))
    assert found["bytes"] == expected.bytes and found["scores"] == 6000
    shown = run(plan, "--rows", "20000", "--columns", "12,5", "--line", "20mbit,10ms").output
    assert "grid to bank" in shown and "14,000 rows train, 6,000 scores of held-out rows" in shown


def test_by_the_datasets_of_both_configurations(plan: Path) -> None:
    words = configure(plan.parent, {"grid": 3000, "bank": 2000})
    found = priced(plan, *words)
    expected = estimate(make_plan(dict(PLAN), "plan"), Sizes(2000, 3 * PIECES, 2 * PIECES + 1, 3000, 2000))
    assert found["trained"] == expected.trained
    assert found["bytes"] == {line: pytest.approx(count, rel=0.01) for line, count in expected.bytes.items()}
    alone = run(plan, *words[:2])
    assert alone.exit_code == 2 and "how many columns there are" in alone.stderr and "--like JOB" in alone.stderr


@pytest.mark.parametrize(("months", "rows", "named"), [('"newest"', 300, 1), ('"2025-05", "2025-06"', 700, 2)])
def test_a_plan_of_some_months_is_priced_by_their_rows(plan: Path, months: str, rows: int, named: int) -> None:
    words = configure(plan.parent, {"grid": 1000, "bank": 1000})
    for party, name in (("grid", "meters"), ("bank", "loans")):
        frame = pd.read_csv(plan.parent / f"{name}.csv")
        frame.insert(1, "month", ["2025-04"] * 300 + ["2025-05"] * 400 + ["2025-06"] * 300)
        frame.to_csv(plan.parent / f"{name}.csv", index=False)
        file = plan.parent / f"{party}.toml"
        file.write_text(file.read_text() + 'period = "month"\n')
    plan.write_text(f'kind = "score"\nmodel = "champion"\nkeys = ["id", "period"]\nmonths = [{months}]\n' + TOML)
    expected = estimate(load_plan(plan), Sizes(rows, 3, 3, rows // named, rows // named, named))
    found = priced(plan, *words)
    assert found["scores"] == rows and found["bytes"] == expected.bytes
    assert priced(plan, *words, "--months", "36")["bytes"] == expected.bytes


def test_trees_are_trained_on_the_thresholds_of_these_columns(plan: Path) -> None:
    plan.write_text(TOML + '[model]\nkind = "trees"\nbins = 8\n')
    found = priced(plan, *configure(plan.parent, {"grid": 3000, "bank": 2000}))
    expected = estimate(make_plan({**PLAN, "model": {"kind": "trees", "bins": 8}}, "plan"), Sizes(2000, 7 * 3, 7 * 2 + 1))
    assert found["bytes"]["coordinator_to_bank"] == expected.bytes["coordinator_to_bank"]
    assert found["label_bits"] == expected.label_bits


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nothing says how many rows and columns there are"),
        (("--rows", "10", "--columns", "12"), "'12' is not like 12,5"),
        (("--rows", "10", "--columns", "1,1", "--line", "fast"), "'fast' is not like 20mbit,10ms"),
        (("--grid", "plan.toml"), "there is no table [datasets.meters]"),
    ],
)
def test_sizes_that_are_lacking_or_wrong(
    plan: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], says: str
) -> None:
    monkeypatch.chdir(plan.parent)
    ended = run(plan, *words)
    assert ended.exit_code == 2 and says in ended.stderr


SEVERAL = (
    'kind = "train"\n[grid]\ndataset = "meters"\n'
    + "".join(f'[[banks]]\nwho = "wattscore://{org}/bank-party"\ndataset = "loans"\n' for org in ("north", "south"))
    + '[preparation]\ncoding = "linear"\n'
)


def test_a_plan_of_several_banks_takes_the_sizes_of_each(plan: Path) -> None:
    plan.write_text(SEVERAL)
    found = priced(plan, "--rows", "3000,2000", "--columns", "12,5", "--ids", "9000,3500,2500")
    asked = load_plan(plan)
    assert isinstance(asked, SeveralPlan)
    expected = estimate_several(asked, SeveralSizes((3000, 2000), 12, 5, 9000, (3500, 2500)))
    assert found["bytes"] == expected.bytes and found["scores"] == 1500 and found["trained"] == 3500
    assert [one["trained"] for one in found["banks"]] == [2100, 1400]
    shown = run(plan, "--rows", "3000,2000", "--columns", "12,5").output
    assert "bank 2 to grid" in shown and "3,500 rows train, 1,500 scores of held-out rows" in shown and "label_bits" in shown


def test_a_plan_of_several_banks_takes_the_configurations_of_all(plan: Path) -> None:
    plan.write_text(SEVERAL)
    words = configure(plan.parent, {"grid": 3000, "bank": 2000})
    found = priced(plan, *words, *words[2:])  # the same file for both
    asked = load_plan(plan)
    assert isinstance(asked, SeveralPlan)
    expected = estimate_several(asked, SeveralSizes((2000, 2000), 3, 3, 3000, (2000, 2000)))
    assert found["bytes"] == {line: pytest.approx(count, rel=0.01) for line, count in expected.bytes.items()}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nothing says how many rows and columns there are"),
        (("--rows", "3000", "--columns", "12,5"), "sizes of 1 banks, and the plan has 2"),
        (("--rows", "3000,", "--columns", "12,5"), "'3000,' is not like 2000 or 2000,1500,900"),
        (("--rows", "3000,2000", "--columns", "12,5", "--ids", "1,2"), "--ids has 2 numbers for 2 banks"),
        (("--grid", "grid.toml"), "one of each of the 2 banks"),
    ],
)
def test_sizes_of_several_banks_that_are_lacking_or_wrong(plan: Path, words: tuple[str, ...], says: str) -> None:
    plan.write_text(SEVERAL)
    ended = run(plan, *words)
    assert ended.exit_code == 2 and says in ended.stderr, ended.stderr


def test_sizes_of_more_banks_than_there_are_end_with_a_remedy(plan: Path) -> None:
    ended = run(plan, "--rows", "3000,2000", "--columns", "12,5")
    assert ended.exit_code == 2 and "the plan is of one" in ended.stderr
    bank = '[[banks]]\nwho = "wattscore://east/bank-party"\ndataset = "loans"\n'
    plan.write_text(SEVERAL + bank)
    ended = run(plan, "--rows", "3000,2000", "--columns", "12,5")
    assert ended.exit_code == 2 and "sizes of 2 banks, and the plan has 3" in ended.stderr


ALONE = (
    SEVERAL.replace('[grid]\ndataset = "meters"\n', "").replace("[[banks]]", 'grid = "none"\n[[banks]]', 1)
    + '[[banks]]\nwho = "wattscore://east/bank-party"\ndataset = "loans"\n'
)


def test_banks_alone_take_the_sizes_of_each_and_of_no_grid(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan.write_text(ALONE)
    asked = load_plan(plan)
    assert isinstance(asked, SeveralPlan)
    found = priced(plan, "--rows", "3000,2000,900", "--columns", "5")
    assert found["bytes"] == estimate_several(asked, SeveralSizes((3000, 2000, 900), 0, 5)).bytes and found["scores"] == 0
    words = configure(plan.parent, {"grid": 3000, "bank": 2000})[2:]
    by_files = estimate_several(asked, SeveralSizes((2000,) * 3, 0, 3)).bytes
    assert priced(plan, *words * 3)["bytes"] == by_files
    job = wire.Job(id="train-1", kind="train", state="succeeded", plan=asked.canonical())
    job.grid.report.counts.iterations = 4
    for rows, out in ((3000, 930), (2000, 580), (900, 280)):
        counts = job.banks.add().report.counts
        counts.matched_rows, counts.test_rows, counts.own_rows, counts.trained_columns = rows, out, rows, 5
    shown = SimpleNamespace(show=lambda name: job)
    monkeypatch.setattr(command.Client, "from_config", lambda path: nullcontext(shown))
    like = SeveralSizes((3000, 2000, 900), 0, 5, held=(930, 580, 280), sums=4)
    assert priced(plan, "--like", "train-1")["bytes"] == estimate_several(asked, like).bytes


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rows", "3000,2000,900", "--columns", "1,5"), "'1,5' is not like 5"),
        (("--rows", "3000,2000,900", "--columns", "5", "--ids", "1,2,3,4"), "banks alone match no ids"),
        (("--bank", "b.toml", "--bank", "b.toml", "--bank", "b.toml", "--grid", "grid.toml"), "none of who adds up"),
        (("--columns", "5"), "nothing says how many rows there are"),
    ],
)
def test_sizes_of_banks_alone_that_are_lacking_or_wrong(plan: Path, words: tuple[str, ...], says: str) -> None:
    plan.write_text(ALONE)
    ended = run(plan, *words)
    assert ended.exit_code == 2 and says in ended.stderr, ended.stderr


def test_a_plan_of_several_banks_like_such_a_job(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan.write_text(SEVERAL)
    asked = load_plan(plan)
    assert isinstance(asked, SeveralPlan)
    job = wire.Job(id="train-1", kind="train", state="succeeded", plan=asked.canonical())
    job.grid.report.counts.trained_columns, job.grid.report.counts.own_rows = 12, 9000
    for rows, out in ((3000, 930), (2000, 580)):
        counts = job.banks.add().report.counts
        counts.matched_rows, counts.test_rows, counts.own_rows, counts.trained_columns = rows, out, rows + 500, 5
    job.bank.CopyFrom(job.banks[0])

    class Fake:
        def __enter__(self) -> Fake:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def show(self, name: str) -> wire.Job:
            return job

    monkeypatch.setattr(command.Client, "from_config", lambda path: Fake())
    expected = SeveralSizes((3000, 2000), 12, 5, 9000, (3500, 2500), 0, (930, 580))
    assert priced(plan, "--like", "train-1")["bytes"] == estimate_several(asked, expected).bytes
    more = priced(plan, "--like", "train-1", "--rows", "4000,2000")  # other rows: the plan's share of them is held out
    assert [one["held"] for one in more["banks"]] == [1200, 600]
    plan.write_text('kind = "score"\nmodel = "train-1"\n' + TOML)
    (plan.parent / "client.toml").write_text("")
    assert priced(plan, "--rows", "1000")["bytes"] == estimate(load_plan(plan), Sizes(1000, 12, 5), asked.model).bytes


def trained(kind: str, **plan: object) -> wire.Job:
    job = wire.Job(
        id=f"{kind}-1", kind=kind, state="succeeded", plan=make_plan({**PLAN, "kind": kind, **plan}, "p").canonical()
    )
    for side, own, columns in ((job.grid, 3000, 12), (job.bank, 2500, 5)):
        counts = side.report.counts
        counts.own_rows, counts.matched_rows, counts.matched_ids = own, 2000, 2000
        counts.trained_columns = columns if kind == "train" else 0
    return job


def test_like_a_job_and_by_the_model_of_a_scoring_plan(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = {"train-1": trained("train", model={"reveal": "owners"}), "score-1": trained("score", model="train-1")}

    class Fake:
        def __enter__(self) -> Fake:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def show(self, job: str) -> wire.Job:
            return jobs[job]

    monkeypatch.setattr(command.Client, "from_config", lambda path: Fake())
    expected = estimate(make_plan(dict(PLAN), "plan"), Sizes(2000, 12, 5, 3000, 2500))
    assert priced(plan, "--like", "train-1")["bytes"] == expected.bytes == priced(plan, "--like", "score-1")["bytes"]
    counts = jobs["train-1"].bank.report.counts
    monthly = {"keys": ["id", "period"], "model": {"reveal": "owners"}}
    jobs["train-2"] = trained("train", **monthly)
    jobs["train-2"].bank.report.counts.matched_ids = 500  # of four months
    plan.write_text('kind = "score"\nmodel = "train-2"\nkeys = ["id", "period"]\nmonths = ["2025-06"]\n' + TOML)
    (plan.parent / "client.toml").write_text("")
    assert priced(plan, "--like", "train-2")["scores"] == 500
    (plan.parent / "client.toml").unlink()
    plan.write_text('kind = "score"\nmodel = "train-1"\n' + TOML)
    assert run(plan, "--rows", "1000").exit_code == 2  # there is no client.toml
    (plan.parent / "client.toml").write_text("")
    assert priced(plan, "--rows", "1000")["bytes"]["grid_to_bank"] < 9000  # of an opened model
    counts.matched_rows = 0
    assert "has matched no rows" in run(plan, "--rows", "1000").stderr
