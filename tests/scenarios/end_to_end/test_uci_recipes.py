"""UCI's raw columns to a joint model by the configurations in examples/uci and the command line alone: no code of ours."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from common.cli import main
from tests.scenarios.end_to_end.test_uci import SOURCE
from tests.source import ROOT

pytestmark = pytest.mark.skipif(
    not SOURCE.exists(), reason="UCI's default-of-credit-card-clients table is absent: set WATTSCORE_UCI to its path"
)


def wattscore(*arguments: object) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_raw_columns_reach_the_figure_through_three_daemons(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "uci", tmp_path, dirs_exist_ok=True)
    (tmp_path / "uci.csv").symlink_to(SOURCE)
    for side in ("grid", "bank"):
        said = wattscore("features", tmp_path / f"{side}.toml", "--out", tmp_path / f"{side}.parquet")
        (dataset,) = tomllib.loads(said.split("configuration:\n")[1])["datasets"].values()
    out = tmp_path / "result.json"
    tables = ("--grid", tmp_path / "grid.parquet", "--bank", tmp_path / "bank.parquet")
    keys = ("--key", dataset["id"], "--label", dataset["label"], "--period", dataset["period"])
    wattscore("try", *tables, *keys, "--json", out)
    found = json.loads(out.read_text())
    assert (found["rows"]["matched"], found["rows"]["test"]) == (30_000, 9_000)
    assert found["auc"]["joint"] >= 0.761
    assert found["auc"]["joint"] > found["auc"]["bank_only"] + 0.1
